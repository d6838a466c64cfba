// Money of an account: balance, how to deposit, statement, deposits, payouts.
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router-dom';
import type { Schemas } from '../api/client';
import { act, own, statement_csv } from '../api/desk';
import { paged } from '../api/paged';
import { useSay } from '../app/settings';
import { nano_of, parse_coins, plain_coins } from '../format/money';
import { t as common } from '../text/common';
import { t } from '../text/desk';
import { t as wallet } from '../text/wallet';
import { Choice, Dialog, Faults, Field, Form, useAct } from '../ui/form';
import {
  Card,
  CopyButton,
  Empty,
  Facts,
  Figure,
  Figures,
  Loaded,
  Money,
  StateBadge,
  Time,
  Title,
} from '../ui/parts';
import { Qr } from '../ui/qr';
import { PagedTable } from '../ui/table';
import { WalletChoice } from '../wallet/choice';

const faucet_nano = '5000000000';

export function BalanceFigures() {
  const say = useSay();
  const balance = useQuery(own.balance());
  return (
    <Loaded query={balance}>
      {(now) => (
        <Figures>
          <Figure name={say(t.available)}>
            <Money nano={now.available_nano} />
          </Figure>
          <Figure name={say(t.held)} note={say(t.held_note)}>
            <Money nano={now.held_nano} />
          </Figure>
          <Figure name={say(t.earned)}>
            <Money nano={now.earned_nano} />
          </Figure>
          <Figure name={say(t.paying)}>
            <Money nano={now.paying_nano} />
          </Figure>
        </Figures>
      )}
    </Loaded>
  );
}

export function DepositCard() {
  const say = useSay();
  const where = useQuery(own.deposit());
  return (
    <Card title={say(t.deposit)}>
      <Loaded query={where}>
        {(found) =>
          found.address ? (
            <Where found={found} address={found.address} />
          ) : (
            <p className="muted">{say(t.deposit_closed)}</p>
          )
        }
      </Loaded>
    </Card>
  );
}

function Where({ found, address }: { found: Schemas['DepositInstructions']; address: string }) {
  const say = useSay();
  const development = address.startsWith('dev:');
  const send = useAct(() => act.faucet(found.memo, faucet_nano), ['/v1/account', '/v1/deposits']);
  return (
    <div className="row top-aligned">
      {!development && (
        <Qr text={`ton://transfer/${address}?text=${encodeURIComponent(found.memo)}`} label={say(t.qr)} />
      )}
      <div className="stack tight grow">
        <p className="small soft">{say(t.deposit_help)}</p>
        <Facts
          rows={[
            [
              say(t.address),
              <span key="a" className="row">
                <code>{address}</code>
                <CopyButton text={address} label={say(t.address)} />
              </span>,
            ],
            [
              say(t.memo),
              <span key="m" className="row">
                <code>{found.memo}</code>
                <CopyButton text={found.memo} label={say(t.memo)} />
              </span>,
            ],
            [say(t.minimum), <Money key="n" nano={found.minimum_nano} />],
          ]}
        />
        {!development && (
          <div className="row">
            <Dialog button={say(wallet.pay)} title={say(wallet.pay)}>
              {() => <WalletChoice purpose="deposit" />}
            </Dialog>
          </div>
        )}
        {development && (
          <div className="notice warn">
            {say(t.faucet_help)}
            <span>
              <button
                type="button"
                className="button small"
                disabled={send.isPending}
                onClick={() => send.mutate(undefined)}
              >
                {say(t.faucet)}
              </button>
            </span>
          </div>
        )}
        <Faults error={send.error} />
      </div>
    </div>
  );
}

type Entry = Schemas['StatementEntry'];

export function StatementPage() {
  const say = useSay();
  const entries = useInfiniteQuery(paged('/v1/account/statement'));
  const deposits = useInfiniteQuery(paged('/v1/deposits'));
  const whole = useAct(async () => {
    const url = URL.createObjectURL(new Blob([await statement_csv()], { type: 'text/csv' }));
    const link = document.createElement('a');
    link.href = url;
    link.download = 'statement.csv';
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }, []);
  return (
    <>
      <Title text={say(t.statement)} help={say(t.statement_help)}>
        <button type="button" className="button" disabled={whole.isPending} onClick={() => whole.mutate(undefined)}>
          {say(t.whole_csv)}
        </button>
      </Title>
      <Faults error={whole.error} />
      <BalanceFigures />
      <Card title={say(t.statement)} bare>
        <PagedTable<Entry>
          name={say(t.statement)}
          query={entries}
          dense
          row_key={(entry) => `${entry.sequence}.${entry.ordinal} ${entry.bucket} ${entry.amount_nano}`}
          empty={<Empty title={say(t.no_entries)} />}
          columns={[
            { name: say(common.time), plain: (entry) => entry.at, show: (entry) => <Time at={entry.at} /> },
            { name: say(t.bucket), plain: (entry) => entry.bucket },
            {
              name: say(common.amount),
              right: true,
              plain: (entry) => nano_of(entry.amount_nano),
              show: (entry) => <Money nano={entry.amount_nano} />,
            },
            {
              name: say(t.counterpart),
              plain: (entry) => `${entry.counterpart ?? ''} ${entry.counterpart_bucket ?? ''}`,
            },
            { name: say(t.job), plain: (entry) => entry.job ?? '' },
            {
              name: say(t.receipt_hash),
              wide_only: true,
              plain: (entry) => entry.receipt_hash ?? '',
              show: (entry) =>
                entry.receipt_hash ? (
                  <code title={entry.receipt_hash}>{entry.receipt_hash.slice(0, 12)}…</code>
                ) : (
                  ''
                ),
            },
          ]}
        />
      </Card>
      <Card title={say(t.deposits)} bare>
        <PagedTable<Schemas['Deposit']>
          name={say(t.deposits)}
          query={deposits}
          row_key={(deposit) => deposit.id}
          columns={[
            { name: say(common.time), plain: (deposit) => deposit.at, show: (deposit) => <Time at={deposit.at} /> },
            {
              name: say(common.amount),
              right: true,
              plain: (deposit) => nano_of(deposit.amount_nano),
              show: (deposit) => <Money nano={deposit.amount_nano} />,
            },
            {
              name: say(t.reference),
              plain: (deposit) => deposit.reference,
              show: (deposit) => <code className="break">{deposit.reference}</code>,
            },
          ]}
        />
      </Card>
    </>
  );
}

export function PayoutsPage() {
  const say = useSay();
  const payouts = useInfiniteQuery(paged('/v1/payouts'));
  return (
    <>
      <Title text={say(t.payouts)}>
        <RequestPayout />
      </Title>
      <BalanceFigures />
      <Card title={say(t.payouts)} bare>
        <PagedTable<Schemas['Payout']>
          name={say(t.payouts)}
          query={payouts}
          row_key={(payout) => payout.id}
          empty={<Empty title={say(t.no_payouts)} />}
          columns={[
            {
              name: say(t.requested),
              plain: (payout) => payout.requested_at,
              show: (payout) => <Time at={payout.requested_at} />,
            },
            {
              name: say(common.amount),
              right: true,
              plain: (payout) => nano_of(payout.amount_nano),
              show: (payout) => <Money nano={payout.amount_nano} />,
            },
            {
              name: say(t.address),
              plain: (payout) => payout.address,
              show: (payout) => <code className="break">{payout.address}</code>,
            },
            {
              name: say(common.state),
              plain: (payout) => payout.state,
              show: (payout) => (
                <>
                  <StateBadge state={payout.state} />
                  {payout.reason && <div className="muted tiny break">{payout.reason}</div>}
                </>
              ),
            },
            {
              name: say(t.settled),
              plain: (payout) => payout.settled_at,
              show: (payout) => <Time at={payout.settled_at} />,
            },
            {
              name: say(t.reference),
              wide_only: true,
              plain: (payout) => payout.reference ?? '',
              show: (payout) => <code className="break">{payout.reference}</code>,
            },
          ]}
        />
      </Card>
    </>
  );
}

function RequestPayout() {
  const say = useSay();
  const account = useQuery(own.account());
  const balance = useQuery(own.balance());
  const [source, set_source] = useState<'earned' | 'available'>('earned');
  const [typed, set_typed] = useState('');
  const send = useAct((nano: string) => act.request_payout(nano, source), ['/v1/payouts', '/v1/account']);
  const nano = parse_coins(typed);
  const most = nano_of(source === 'earned' ? balance.data?.earned_nano : balance.data?.available_nano);
  const address = account.data?.payout_address;
  return (
    <Dialog button={say(t.request_payout)} title={say(t.request_payout)} tone="primary">
      {(close) =>
        !address ? (
          <div className="notice warn">
            {say(t.payout_needs_address)}{' '}
            <Link to="profile" onClick={close} relative="path">
              {say(t.profile)}
            </Link>
          </div>
        ) : (
          <Form
            submit={() =>
              nano !== undefined &&
              send.mutate(nano.toString(), {
                onSuccess: () => {
                  set_typed('');
                  close();
                },
              })
            }
          >
            <p className="soft whole break">{say(t.payout_help, { address })}</p>
            <Choice
              label={say(t.source)}
              value={source}
              change={set_source}
              values={[
                ['earned', say(t.source_earned)],
                ['available', say(t.source_available)],
              ]}
            />
            <Field
              label={say(common.amount)}
              mode="decimal"
              value={typed}
              change={set_typed}
              required
              hint={<Money nano={most} />}
              fault={typed && nano === undefined ? say(t.not_an_amount) : undefined}
            />
            <Faults error={send.error} />
            <div className="row whole">
              <button className="button primary" type="submit" disabled={send.isPending || nano === undefined}>
                {say(t.request_payout)}
              </button>
              <button className="button" type="button" onClick={() => set_typed(plain_coins(most))}>
                {say(t.everything)}
              </button>
            </div>
          </Form>
        )
      }
    </Dialog>
  );
}
