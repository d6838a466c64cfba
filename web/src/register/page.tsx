// The public register of builds: what machines on this market run, where its source is, and what was decided about it.
import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router-dom';
import { paged } from '../api/paged';
import type { Measurement, MeasurementState } from '../api/register';
import { useSession } from '../app/session';
import { useSay } from '../app/settings';
import { t as common } from '../text/common';
import { t } from '../text/register';
import { Dialog } from '../ui/form';
import { Card, Empty, StateBadge, Time, Title } from '../ui/parts';
import { Narrowed, PagedTable, type Column } from '../ui/table';
import { SubmitForm } from './submit';

const states: MeasurementState[] = ['pending', 'approved', 'revoked'];

export function RegisterPage() {
  const say = useSay();
  const provides = useSession()?.account.kind === 'provider';
  return (
    <div className="stack">
      <Title text={say(t.title)} help={say(t.help)}>
        {provides && (
          <Dialog button={say(t.submit)} title={say(t.submit)} tone="primary">
            {(close) => <SubmitForm done={close} />}
          </Dialog>
        )}
      </Title>
      <Register />
    </div>
  );
}

/** Someone else's link: opened apart, and told nothing about where it was found. */
export function SourceLink({ source }: { source: string }) {
  return (
    <a href={/^https:\/\//.test(source) ? source : undefined} target="_blank" rel="noreferrer noopener nofollow" className="break">
      {source.replace(/^https:\/\//, '')}
    </a>
  );
}

export function useRegisterColumns(): Column<Measurement>[] {
  const say = useSay();
  return [
    {
      name: say(t.build),
      plain: (one) => `${one.name} ${one.version} ${one.id}`,
      show: (one) => (
        <>
          <Link className="strong break" to={`/measurements/${one.id}`}>
            {one.name} {one.version}
          </Link>
          <br />
          <span className="muted tiny">
            {one.id} · {one.kind}
          </span>
        </>
      ),
    },
    { name: say(common.state), plain: (one) => one.state, show: (one) => <StateBadge state={one.state} /> },
    { name: say(t.source), plain: (one) => one.source, show: (one) => <SourceLink source={one.source} />, wide_only: true },
    {
      name: say(t.reason),
      plain: (one) => one.reason,
      show: (one) => <span className="break">{one.reason ?? <span className="muted">—</span>}</span>,
    },
    {
      name: say(t.decided),
      right: true,
      wide_only: true,
      plain: (one) => one.decided_at ?? one.submitted_at,
      show: (one) => <Time at={one.decided_at ?? one.submitted_at} ago />,
    },
  ];
}

function Register() {
  const say = useSay();
  const [state, set_state] = useState<MeasurementState | ''>('');
  const entries = useInfiniteQuery(paged('/v1/measurements', { state: state || undefined }));
  return (
    <Card title={say(t.title)} json="/v1/measurements" bare>
      <PagedTable<Measurement>
        name={say(t.title)}
        query={entries}
        row_key={(one) => one.id}
        tools={<Narrowed name={say(common.state)} choices={states} value={state} change={set_state} />}
        empty={
          <Empty title={say(t.none)}>
            <p>{say(t.none_help)}</p>
          </Empty>
        }
        columns={useRegisterColumns()}
      />
    </Card>
  );
}
