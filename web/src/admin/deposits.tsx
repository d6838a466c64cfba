// Transfers that reached the wallet but no account: why they wait, whose they turned out to be, and whom to credit.
import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { admin, type HeldDeposit } from '../api/admin';
import { paged } from '../api/paged';
import { useSession } from '../app/session';
import { useSay } from '../app/settings';
import { nano_of } from '../format/money';
import { t } from '../text/admin';
import { t as common } from '../text/common';
import { Dialog, Faults, Field, Form, useAct } from '../ui/form';
import { Badge, Card, coin_name, Empty, Money, Segments, Time, Title } from '../ui/parts';
import { PagedTable } from '../ui/table';

type State = 'open' | 'credited';

export function Deposits() {
  const say = useSay();
  const [state, set_state] = useState<State>('open');
  const held = useInfiniteQuery({ ...paged('/v1/admin/held-deposits', { state }), refetchInterval: 15_000 });
  return (
    <>
      <Title text={say(t.deposits)} help={say(t.deposits_help)} />
      <Card
        title={say(t.deposits)}
        bare
        tools={
          <Segments<State>
            name={say(common.state)}
            chosen={state}
            choose={set_state}
            values={[
              ['open', say(t.still_open)],
              ['credited', say(t.credited)],
            ]}
          />
        }
      >
        <PagedTable<HeldDeposit>
          name={say(t.deposits)}
          query={held}
          row_key={(one) => one.id}
          empty={<Empty title={say(state === 'open' ? t.no_deposits : t.none_credited)} />}
          columns={[
            {
              name: say(t.from),
              plain: (one) => `${one.source} ${one.reference} ${one.id}`,
              show: (one) => (
                <>
                  <code className="break">{one.source}</code>
                  <div className="muted tiny break">
                    {one.id} · {one.reference}
                  </div>
                </>
              ),
            },
            {
              name: say(t.memo),
              plain: (one) => one.memo,
              show: (one) => <code className="break">{one.memo || '—'}</code>,
            },
            { name: say(t.why), plain: (one) => one.reason, show: (one) => <Badge tone="warn">{one.reason}</Badge> },
            {
              name: say(common.amount),
              right: true,
              plain: (one) => nano_of(one.amount_nano),
              show: (one) => <Money nano={one.amount_nano} />,
            },
            {
              name: say(common.time),
              right: true,
              wide_only: true,
              plain: (one) => one.at,
              show: (one) => <Time at={one.at} ago />,
            },
            {
              name: state === 'open' ? '' : say(t.credited),
              plain: (one) => one.credited_to,
              show: (one) => one.credited_to ?? <Credit deposit={one} />,
            },
          ]}
        />
      </Card>
    </>
  );
}

/** Says whose the transfer is. The account's name is shown before anything moves. */
function Credit({ deposit }: { deposit: HeldDeposit }) {
  const say = useSay();
  const [account, set_account] = useState('');
  const [note, set_note] = useState('');
  const accounts = useInfiniteQuery(paged('/v1/admin/accounts'));
  const known = accounts.data?.pages.flatMap((page) => page.items).find((one) => one.id === account.trim());
  const credit = useAct(() => admin.credit(deposit.id, account.trim(), note), ['/v1/admin']);
  if (useSession()?.account.kind !== 'admin') return null;
  const amount = `${nano_of(deposit.amount_nano)} nano${coin_name.current}`;
  return (
    <Dialog button={say(t.credit)} title={`${say(t.credit)}: ${deposit.id}`} tone="small">
      {(close) => (
        <Form submit={() => credit.mutate(undefined, { onSuccess: close })}>
          <p className="soft whole">{say(t.credit_help)}</p>
          <p className="whole">
            <Money nano={deposit.amount_nano} /> <span className="muted tiny">{amount}</span>
          </p>
          <Field
            label={say(t.account)}
            value={account}
            change={set_account}
            placeholder="acc_42"
            hint={known ? `${known.name} · ${known.kind}` : undefined}
            required
            whole
          />
          <Field label={say(t.note)} value={note} change={set_note} hint={say(t.credit_note_hint)} required whole />
          <Faults error={credit.error} />
          <div className="whole">
            <button className="button primary" type="submit" disabled={credit.isPending}>
              {say(t.credit)}
            </button>
          </div>
        </Form>
      )}
    </Dialog>
  );
}
