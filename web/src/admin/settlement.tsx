// Books against chain, and what is on its way out: the reconciliation as an equation, then the batches.
import { useQuery } from '@tanstack/react-query';
import { admin, type Settlement } from '../api/admin';
import { useSay } from '../app/settings';
import { nano_of } from '../format/money';
import { t } from '../text/admin';
import { t as common } from '../text/common';
import { Badge, Card, Count, Empty, Loaded, Money, Time, Title } from '../ui/parts';
import { Table } from '../ui/table';
import { Noted } from './noted';

type Batch = Settlement['batches'][number];
type Reconciliation = NonNullable<Settlement['reconciliation']>;

export function SettlementPage() {
  const say = useSay();
  const settlement = useQuery(admin.settlement());
  return (
    <>
      <Title text={say(t.settlement)} help={say(t.settlement_help)} />
      <Loaded query={settlement}>
        {(now) => (
          <>
            <div className={`notice ${now.payouts_paused ? 'warn' : ''}`}>
              <div className="row between">
                <strong>{say(now.payouts_paused ? t.payouts_paused : t.payouts_running)}</strong>
                <Noted
                  button={now.payouts_paused ? t.resume_payouts : t.pause_payouts}
                  title={say(t.payouts)}
                  help={t.pause_payouts_help}
                  touches={[]}
                  act={now.payouts_paused ? admin.resume_payouts : admin.pause_payouts}
                />
              </div>
            </div>
            <Card
              title={say(t.reconciliation)}
              tools={now.reconciliation && <Verdict of={now.reconciliation} />}
              bare
            >
              {now.reconciliation ? <Equation of={now.reconciliation} /> : <Empty title={say(t.not_reconciled)} />}
            </Card>
            <Batches rows={now.batches} />
          </>
        )}
      </Loaded>
    </>
  );
}

function Verdict({ of }: { of: Reconciliation }) {
  const say = useSay();
  const same = of.difference_nano === '0';
  return (
    <span className="row">
      <Badge tone={same ? 'good' : 'bad'}>{say(same ? t.books_agree : t.books_differ)}</Badge>
      <span className="muted tiny">
        <Time at={of.at} ago />
      </span>
    </span>
  );
}

/** wallet = owed + held + operator − fees − moving + difference, line by line. */
function Equation({ of }: { of: Reconciliation }) {
  const say = useSay();
  const rows = [
    { name: say(t.owed), help: say(t.owed_help), nano: nano_of(of.owed_nano) },
    { name: say(t.held_for_nobody), help: say(t.held_help), nano: nano_of(of.held_nano) },
    { name: say(t.operators), help: say(t.operators_help), nano: nano_of(of.operator_nano) },
    { name: say(t.chain_fees), help: say(t.chain_fees_help), nano: -nano_of(of.fees_nano) },
    { name: say(t.moving), help: say(t.moving_help), nano: -nano_of(of.moving_nano) },
    { name: say(t.difference), help: say(t.difference_help), nano: nano_of(of.difference_nano) },
  ];
  return (
    <table className="sum">
      <tbody>
        {rows.map((row) => (
          <tr key={row.name}>
            <th scope="row">
              {row.name}
              <small>{row.help}</small>
            </th>
            <td className="right">
              <Money nano={row.nano} />
            </td>
          </tr>
        ))}
      </tbody>
      <tfoot>
        <tr>
          <th scope="row">
            {say(t.wallet)}
            <small>
              {say(t.cover)}: <Money nano={of.cover_nano} />
            </small>
          </th>
          <td className="right">
            <Money nano={of.wallet_nano} />
          </td>
        </tr>
      </tfoot>
    </table>
  );
}

function Batches({ rows }: { rows: Batch[] }) {
  const say = useSay();
  return (
    <Card title={say(t.batches)} bare>
      <Table<Batch>
        name={say(t.batches)}
        rows={rows}
        row_key={(batch) => batch.number}
        empty={<Empty title={say(t.no_batches)} />}
        columns={[
          { name: say(t.batch), plain: (batch) => batch.number },
          {
            name: say(common.state),
            plain: (batch) => batch.phase,
            show: (batch) => <Badge tone={batch.phase === 'accepted' ? 'accent' : 'warn'}>{batch.phase}</Badge>,
          },
          { name: say(t.payouts), right: true, plain: (batch) => batch.payouts, show: (batch) => <Count value={batch.payouts} /> },
          {
            name: say(t.at_most),
            right: true,
            plain: (batch) => nano_of(batch.cost_nano),
            show: (batch) => <Money nano={batch.cost_nano} />,
          },
          { name: say(t.expires), right: true, plain: (batch) => batch.expires_at, show: (batch) => <Time at={batch.expires_at} ago /> },
          {
            name: say(t.message),
            wide_only: true,
            plain: (batch) => batch.message_hash,
            show: (batch) => <code className="break tiny">{batch.message_hash}</code>,
          },
        ]}
      />
    </Card>
  );
}
