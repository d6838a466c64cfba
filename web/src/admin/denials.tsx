// Hardware that may not trade, whoever owns it: processors, GPUs and whole families, with the reason its owner reads.
import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Schemas } from '../api/client';
import { paged } from '../api/paged';
import { register, type Denial } from '../api/register';
import { useSession } from '../app/session';
import { useSay } from '../app/settings';
import { t } from '../text/admin';
import { t as common } from '../text/common';
import { Choice, Dialog, Faults, Field, Form, useAct } from '../ui/form';
import { Card, Empty, Time, Title } from '../ui/parts';
import { PagedTable } from '../ui/table';
import { Noted } from './noted';

type Kind = Schemas['DenialCreate']['kind'];

export function Denials() {
  const say = useSay();
  const list = useInfiniteQuery(paged('/v1/admin/denials'));
  const acts = useSession()?.account.kind === 'admin';
  return (
    <>
      <Title text={say(t.denials)} help={say(t.denials_help)}>
        {acts && (
          <Dialog button={say(t.deny)} title={say(t.deny)} tone="primary">
            {(close) => <Deny done={close} />}
          </Dialog>
        )}
      </Title>
      <Card title={say(t.denials)} bare>
        <PagedTable<Denial>
          name={say(t.denials)}
          query={list}
          row_key={(one) => one.id}
          empty={<Empty title={say(t.no_denials)} />}
          columns={[
            {
              name: say(t.identity),
              plain: (one) => one.identity,
              show: (one) => (
                <>
                  <code className="break">{one.identity}</code>
                  <br />
                  <span className="muted tiny">{one.id}</span>
                </>
              ),
            },
            { name: say(t.reason), plain: (one) => one.reason, show: (one) => <span className="break">{one.reason}</span> },
            { name: say(common.time), right: true, plain: (one) => one.at, show: (one) => <Time at={one.at} ago /> },
            {
              name: '',
              plain: () => '',
              show: (one) => (
                <Noted
                  button={t.lift}
                  title={one.identity}
                  help={t.lift_help}
                  label={t.public_reason}
                  touches={['/v1/nodes', '/v1/network']}
                  act={(reason) => register.lift(one.id, reason)}
                />
              ),
            },
          ]}
        />
      </Card>
    </>
  );
}

function Deny({ done }: { done: () => void }) {
  const say = useSay();
  const [kind, set_kind] = useState<Kind>('cpu');
  const [value, set_value] = useState('');
  const [reason, set_reason] = useState('');
  const deny = useAct(
    () => register.deny({ kind, value: value.trim(), reason }),
    ['/v1/admin', '/v1/nodes', '/v1/network'],
  );
  return (
    <Form submit={() => deny.mutate(undefined, { onSuccess: done })}>
      <p className="soft small whole">{say(t.deny_help)}</p>
      <Choice
        label={say(t.kind)}
        value={kind}
        change={set_kind}
        values={[
          ['cpu', say(t.one_processor)],
          ['gpu', 'GPU'],
          ['fmspc', say(t.processor_family)],
          ['simulated', say(common.tier_simulated)],
        ]}
      />
      <Field label={say(t.identity)} hint={say(t.identity_hint)} value={value} change={set_value} required whole />
      <Field label={say(t.reason)} hint={say(t.reason_hint)} value={reason} change={set_reason} required whole />
      <Faults error={deny.error} />
      <div className="whole">
        <button className="button danger" type="submit" disabled={deny.isPending}>
          {say(t.deny)}
        </button>
      </div>
    </Form>
  );
}
