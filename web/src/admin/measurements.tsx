// The queue of builds: approve or revoke, with a reason that everybody reads, and how many machines that takes out.
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { paged } from '../api/paged';
import { nodes_scanned_max, register, type Measurement, type MeasurementState } from '../api/register';
import { useSay } from '../app/settings';
import { useRegisterColumns } from '../register/page';
import { t } from '../text/admin';
import { t as common } from '../text/common';
import { t as words } from '../text/register';
import { Card, Empty, Skeleton, Title } from '../ui/parts';
import { PagedTable } from '../ui/table';
import { Segments } from '../ui/parts';
import { Noted } from './noted';

const states: MeasurementState[] = ['pending', 'approved', 'revoked'];

export function Measurements() {
  const say = useSay();
  const [state, set_state] = useState<MeasurementState>('pending');
  const entries = useInfiniteQuery(paged('/v1/measurements', { state }));
  const columns = useRegisterColumns();
  return (
    <>
      <Title text={say(t.measurements)} help={say(t.measurements_help)} />
      <Card
        title={say(words.title)}
        json={`/v1/measurements?state=${state}`}
        bare
        tools={
          <Segments<MeasurementState>
            name={say(common.state)}
            chosen={state}
            choose={set_state}
            values={states.map((one) => [one, say(t[one])])}
          />
        }
      >
        <PagedTable<Measurement>
          name={say(t.measurements)}
          query={entries}
          row_key={(one) => one.id}
          empty={<Empty title={say(state === 'pending' ? t.queue_empty : words.none)} />}
          columns={[...columns, { name: '', plain: () => '', show: (one) => <Decide entry={one} /> }]}
        />
      </Card>
    </>
  );
}

function Decide({ entry }: { entry: Measurement }) {
  const touches = ['/v1/measurements', '/v1/nodes', '/v1/network'];
  const title = `${entry.name} ${entry.version}`;
  return (
    <div className="row">
      {entry.state !== 'approved' && (
        <Noted
          button={t.approve}
          title={title}
          help={t.approve_help}
          label={t.public_reason}
          touches={touches}
          act={(reason) => register.approve(entry.id, reason)}
        >
          <Preview id={entry.id} gains />
        </Noted>
      )}
      {entry.state !== 'revoked' && (
        <Noted
          button={t.revoke}
          title={title}
          help={t.revoke_help}
          label={t.public_reason}
          tone="danger small"
          touches={touches}
          act={(reason) => register.revoke(entry.id, reason)}
        >
          <Preview id={entry.id} />
        </Noted>
      )}
    </div>
  );
}

/** Whom the decision meets: the machines that show these registers now. */
function Preview({ id, gains = false }: { id: string; gains?: boolean }) {
  const say = useSay();
  const runners = useQuery(register.runners(id));
  if (!runners.data) return <Skeleton />;
  const { nodes, whole } = runners.data;
  const values = { count: nodes.length, ready: nodes.filter((node) => node.available).length };
  return (
    <div className={`notice ${nodes.length > 0 && !gains ? 'warn' : ''}`}>
      <strong>{say(gains ? t.preview_gains : t.preview_loses, values)}</strong>
      {!whole && <span>{say(words.scanned, { count: nodes_scanned_max })}</span>}
    </div>
  );
}
