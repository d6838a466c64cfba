// Everybody's payouts, and the two words that a large one waits for.
import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { admin, type OverseenPayout } from '../api/admin';
import { paged } from '../api/paged';
import { useSay } from '../app/settings';
import { nano_of } from '../format/money';
import { t } from '../text/admin';
import { t as common } from '../text/common';
import { Card, Empty, Money, Segments, StateBadge, Time, Title } from '../ui/parts';
import { PagedTable } from '../ui/table';
import { Noted } from './noted';

type Which = 'awaiting_approval' | 'all';

export function Payouts() {
  const say = useSay();
  const [which, set_which] = useState<Which>('awaiting_approval');
  const payouts = useInfiniteQuery({
    ...paged('/v1/admin/payouts', { state: which === 'all' ? undefined : which }),
    refetchInterval: 15_000,
  });
  return (
    <>
      <Title text={say(t.payouts)} help={say(t.payouts_help)} />
      <Card
        title={say(t.payouts)}
        bare
        tools={
          <Segments<Which>
            name={say(common.state)}
            chosen={which}
            choose={set_which}
            values={[
              ['awaiting_approval', say(t.waiting_for_two)],
              ['all', say(t.all_payouts)],
            ]}
          />
        }
      >
        <PagedTable<OverseenPayout>
          name={say(t.payouts)}
          query={payouts}
          row_key={(one) => one.id}
          empty={<Empty title={say(t.no_payouts)} />}
          columns={[
            {
              name: say(t.payout),
              plain: (one) => `${one.id} ${one.account}`,
              show: (one) => (
                <>
                  <strong>{one.id}</strong>
                  <br />
                  <span className="muted tiny">{one.account}</span>
                </>
              ),
            },
            {
              name: say(common.amount),
              right: true,
              plain: (one) => nano_of(one.amount_nano),
              show: (one) => <Money nano={one.amount_nano} />,
            },
            {
              name: say(t.to_address),
              wide_only: true,
              plain: (one) => one.address,
              show: (one) => <code className="break tiny">{one.address}</code>,
            },
            {
              name: say(common.state),
              plain: (one) => one.state,
              show: (one) => (
                <>
                  <StateBadge state={one.state} />
                  {one.reason && <div className="muted tiny break">{one.reason}</div>}
                </>
              ),
            },
            { name: say(t.approvals), plain: (one) => one.approvers.join(', ') || '—' },
            {
              name: say(t.requested),
              right: true,
              wide_only: true,
              plain: (one) => one.requested_at,
              show: (one) => <Time at={one.requested_at} ago />,
            },
            { name: '', plain: () => '', show: (one) => <Decide payout={one} /> },
          ]}
        />
      </Card>
    </>
  );
}

function Decide({ payout }: { payout: OverseenPayout }) {
  if (payout.state !== 'awaiting_approval') return null;
  return (
    <div className="row">
      <Noted
        button={t.approve}
        title={payout.id}
        help={t.approve_payout_help}
        touches={[]}
        act={(note) => admin.approve(payout.id, note)}
      >
        <Money nano={payout.amount_nano} /> → <code className="break">{payout.address}</code>
      </Noted>
      <Noted
        button={t.reject}
        title={payout.id}
        help={t.reject_help}
        label={t.reason}
        tone="danger small"
        touches={[]}
        act={(reason) => admin.reject(payout.id, reason)}
      />
    </div>
  );
}
