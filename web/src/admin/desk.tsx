// The operator's desk, on what the admin API has today.
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, Route, Routes } from 'react-router-dom';
import { admin } from '../api/admin';
import type { Schemas } from '../api/client';
import { read, type Market, type Node } from '../api/market';
import { paged } from '../api/paged';
import { NotFound } from '../app/not_found';
import { useSession } from '../app/session';
import { useSay } from '../app/settings';
import { DeskFrame } from '../desk/frame';
import { nano_of } from '../format/money';
import type { Message } from '../format/words';
import { short_name } from '../public/names';
import { t as common } from '../text/common';
import { t } from '../text/admin';
import { Dialog, Faults, Field, Form, useAct } from '../ui/form';
import { Badge, Card, Count, Figure, Figures, Loaded, Money, TierBadge, Time, Title } from '../ui/parts';
import { Narrowed, PagedTable, Table } from '../ui/table';

export function AdminDesk() {
  return (
    <DeskFrame
      kinds={['admin', 'auditor']}
      links={[
        ['/admin', t.overview],
        ['/admin/markets', t.markets],
        ['/admin/nodes', t.nodes],
        ['/admin/accounts', t.accounts],
        ['/admin/applications', t.applications],
        ['/admin/ledger', t.ledger],
        ['/admin/fee', t.fees],
        ['/admin/audit', t.audit],
      ]}
    >
      <Routes>
        <Route index element={<Overview />} />
        <Route path="markets" element={<Markets />} />
        <Route path="nodes" element={<Nodes />} />
        <Route path="accounts" element={<Accounts />} />
        <Route path="applications" element={<Applications />} />
        <Route path="ledger" element={<Ledger />} />
        <Route path="fee" element={<Fee />} />
        <Route path="audit" element={<Audit />} />
        <Route path="*" element={<NotFound />} />
      </Routes>
    </DeskFrame>
  );
}

/** An act with a note; auditors look and do not act. */
function Noted({
  button,
  title,
  help,
  act,
  touches,
  tone = 'small',
}: {
  button: Message;
  title: string;
  help: Message;
  act: (note: string) => Promise<unknown>;
  touches: string[];
  tone?: string;
}) {
  const say = useSay();
  const [note, set_note] = useState('');
  const run = useAct(act, [...touches, '/v1/admin']);
  if (useSession()?.account.kind !== 'admin') return null;
  return (
    <Dialog button={say(button)} title={`${say(button)}: ${title}`} tone={tone}>
      {(close) => (
        <Form
          submit={() =>
            run.mutate(note, {
              onSuccess: () => {
                set_note('');
                close();
              },
            })
          }
        >
          <p className="soft whole">{say(help)}</p>
          <Field label={say(t.note)} value={note} change={set_note} required whole />
          <Faults error={run.error} />
          <div className="whole">
            <button className="button primary" type="submit" disabled={run.isPending}>
              {say(button)}
            </button>
          </div>
        </Form>
      )}
    </Dialog>
  );
}

function Overview() {
  const say = useSay();
  const overview = useQuery(admin.overview());
  return (
    <>
      <Title text={say(t.overview)} />
      <Loaded query={overview}>
        {(now) => (
          <Figures>
            <Figure name={say(t.developers)} note={`${now.accounts_frozen ?? 0} ${say(t.frozen)}`}>
              <Count value={now.developers} />
            </Figure>
            <Figure name={say(t.providers)}>
              <Count value={now.providers} />
            </Figure>
            <Figure
              name={say(t.nodes_connected)}
              note={say(t.attested, { count: now.nodes_attested ?? 0, suspended: now.nodes_suspended ?? 0 })}
            >
              <Count value={now.nodes_connected} /> <span className="unit">/ {now.nodes}</span>
            </Figure>
            <Figure name={say(t.slots_used)}>
              <Count value={now.slots_used} /> <span className="unit">/ {now.slots}</span>
            </Figure>
            <Figure name={say(t.resting)}>
              <Count value={now.requests_resting} />
            </Figure>
            <Figure name={say(t.jobs_open)}>
              <Count value={now.jobs_open} />
            </Figure>
            <Figure name={say(t.payouts_open)}>
              <Count value={now.payouts_open} />
            </Figure>
            <Figure name={say(t.sequence)}>
              <span className="num">{now.sequence}</span>
            </Figure>
          </Figures>
        )}
      </Loaded>
      <LedgerCard />
    </>
  );
}

function LedgerCard() {
  const say = useSay();
  const ledger = useQuery(admin.ledger());
  return (
    <Loaded query={ledger}>
      {(found) => (
        <Card
          title={say(t.ledger)}
          bare
          tools={
            <Badge tone={found.total_nano === '0' ? 'good' : 'bad'}>
              {say(found.total_nano === '0' ? t.balanced : t.unbalanced)}
            </Badge>
          }
        >
          <Table
            name={say(t.ledger)}
            rows={found.items}
            row_key={(row) => row.bucket}
            columns={[
              { name: say(t.bucket), plain: (row) => row.bucket },
              { name: say(t.holders), right: true, plain: (row) => row.accounts },
              {
                name: say(common.amount),
                right: true,
                plain: (row) => nano_of(row.amount_nano),
                show: (row) => <Money nano={row.amount_nano} />,
              },
            ]}
          />
        </Card>
      )}
    </Loaded>
  );
}

function Ledger() {
  const say = useSay();
  return (
    <>
      <Title text={say(t.ledger)} />
      <LedgerCard />
    </>
  );
}

function Markets() {
  const say = useSay();
  const markets = useQuery(read.markets());
  return (
    <>
      <Title text={say(t.markets)} />
      <Card title={say(t.markets)} bare>
        <Loaded query={markets}>
          {(list) => (
            <Table<Market>
              name={say(t.markets)}
              rows={list.items}
              row_key={(market) => market.name}
              columns={[
                {
                  name: say(common.market),
                  plain: (market) => market.name,
                  show: (market) => (
                    <Link to={`/markets/${encodeURIComponent(market.name)}`}>{short_name(market.name)}</Link>
                  ),
                },
                {
                  name: say(common.state),
                  plain: (market) => String(market.paused),
                  show: (market) => (
                    <Badge tone={market.paused ? 'warn' : 'good'}>{market.paused ? 'paused' : 'open'}</Badge>
                  ),
                },
                {
                  name: say(t.slots_used),
                  right: true,
                  plain: (market) => market.slots_used,
                  show: (market) => `${market.slots_used} / ${market.slots}`,
                },
                { name: say(t.resting), right: true, plain: (market) => market.resting_requests },
                {
                  name: '',
                  plain: () => '',
                  show: (market) => (
                    <Noted
                      button={market.paused ? t.resume : t.pause}
                      title={market.name}
                      help={t.pause_help}
                      touches={['/v1/markets']}
                      act={(note) => (market.paused ? admin.resume : admin.pause)(market.name, note)}
                    />
                  ),
                },
              ]}
            />
          )}
        </Loaded>
      </Card>
    </>
  );
}

function Nodes() {
  const say = useSay();
  const nodes = useInfiniteQuery(paged('/v1/nodes'));
  return (
    <>
      <Title text={say(t.nodes)} />
      <Card title={say(t.nodes)} bare>
        <PagedTable<Node>
          name={say(t.nodes)}
          query={nodes}
          row_key={(node) => node.id}
          columns={[
            {
              name: say(common.node),
              plain: (node) => `${node.name ?? ''} ${node.id} ${node.provider ?? ''}`,
              show: (node) => (
                <>
                  <Link to={`/nodes/${node.id}`}>{node.name ?? node.id}</Link>
                  <br />
                  <span className="muted tiny">
                    {node.id} · {node.provider}
                  </span>
                </>
              ),
            },
            { name: say(common.tier), plain: (node) => node.tier, show: (node) => <TierBadge tier={node.tier} /> },
            {
              name: say(common.state),
              plain: (node) => String(node.suspended),
              show: (node) => (
                <Badge tone={node.suspended ? 'bad' : node.connected ? 'good' : 'plain'}>
                  {node.suspended ? 'suspended' : node.connected ? 'connected' : 'away'}
                </Badge>
              ),
            },
            { name: say(common.region), wide_only: true, plain: (node) => node.region },
            {
              name: '',
              plain: () => '',
              show: (node) => (
                <Noted
                  button={node.suspended ? t.restore : t.suspend}
                  title={node.id}
                  help={t.suspend_help}
                  touches={['/v1/nodes']}
                  act={(note) => (node.suspended ? admin.restore : admin.suspend)(node.id, note)}
                />
              ),
            },
          ]}
        />
      </Card>
    </>
  );
}

type Kind = Schemas['AccountKind'];

function Accounts() {
  const say = useSay();
  const [kind, set_kind] = useState<Kind | ''>('');
  const accounts = useInfiniteQuery(paged('/v1/admin/accounts', { kind: kind || undefined }));
  const money = (account: Schemas['AdminAccount'], bucket: string) =>
    account.balance[bucket] ?? account.balance[bucket + '_nano'];
  return (
    <>
      <Title text={say(t.accounts)} />
      <Card title={say(t.accounts)} bare>
        <PagedTable<Schemas['AdminAccount']>
          name={say(t.accounts)}
          query={accounts}
          row_key={(account) => account.id}
          tools={
            <Narrowed name={say(t.kind)} choices={['developer', 'provider', 'admin', 'auditor']} value={kind} change={set_kind} />
          }
          columns={[
            {
              name: say(common.name),
              plain: (account) => `${account.name} ${account.id}`,
              show: (account) => (
                <>
                  <strong className="break">{account.name}</strong>
                  <br />
                  <span className="muted tiny">{account.id}</span>
                </>
              ),
            },
            { name: say(t.kind), plain: (account) => account.kind },
            {
              name: say(t.balance),
              right: true,
              plain: (account) => nano_of(money(account, 'available')),
              show: (account) => (
                <>
                  <Money nano={money(account, 'available')} digits={4} unit={false} /> /{' '}
                  <Money nano={money(account, 'held')} digits={4} unit={false} /> /{' '}
                  <Money nano={money(account, 'earned')} digits={4} />
                </>
              ),
            },
            {
              name: say(t.opened),
              wide_only: true,
              plain: (account) => account.opened_at,
              show: (account) => <Time at={account.opened_at} />,
            },
            {
              name: '',
              plain: (account) => String(account.frozen),
              show: (account) => (
                <Noted
                  button={account.frozen ? t.unfreeze : t.freeze}
                  title={account.name}
                  help={t.freeze_help}
                  touches={[]}
                  act={(note) => (account.frozen ? admin.unfreeze : admin.freeze)(account.id, note)}
                />
              ),
            },
          ]}
        />
      </Card>
    </>
  );
}

function Applications() {
  const say = useSay();
  const list = useInfiniteQuery(paged('/v1/admin/applications'));
  return (
    <>
      <Title text={say(t.applications)} />
      <Card title={say(t.applications)} bare>
        <PagedTable<Schemas['Application']>
          name={say(t.applications)}
          query={list}
          row_key={(one) => one.account}
          columns={[
            {
              name: say(common.name),
              plain: (one) => `${one.name} ${one.account}`,
              show: (one) => (
                <>
                  <strong className="break">{one.name}</strong>
                  <br />
                  <span className="muted tiny">{one.account}</span>
                </>
              ),
            },
            { name: say(t.kind), plain: (one) => one.kind },
            {
              name: say(t.form),
              plain: (one) => JSON.stringify(one.profile),
              show: (one) => <code className="break">{JSON.stringify(one.profile)}</code>,
            },
            { name: say(t.opened), plain: (one) => one.opened_at, show: (one) => <Time at={one.opened_at} ago /> },
          ]}
        />
      </Card>
    </>
  );
}

function Audit() {
  const say = useSay();
  const list = useInfiniteQuery(paged('/v1/admin/audit'));
  return (
    <>
      <Title text={say(t.audit)} />
      <Card title={say(t.audit)} bare>
        <PagedTable<Schemas['AuditEntry']>
          name={say(t.audit)}
          query={list}
          dense
          row_key={(entry) => `${entry.sequence} ${entry.action} ${entry.target}`}
          columns={[
            { name: say(common.time), plain: (entry) => entry.at, show: (entry) => <Time at={entry.at} /> },
            { name: say(t.actor), plain: (entry) => entry.actor },
            { name: say(t.action), plain: (entry) => entry.action, show: (entry) => <Badge>{entry.action}</Badge> },
            { name: say(t.target), plain: (entry) => entry.target },
            {
              name: say(t.before),
              plain: (entry) => entry.before,
              show: (entry) => <code className="break">{entry.before}</code>,
            },
            {
              name: say(t.after),
              plain: (entry) => entry.after,
              show: (entry) => <code className="break">{entry.after}</code>,
            },
            {
              name: say(t.note),
              plain: (entry) => entry.note,
              show: (entry) => <span className="break">{entry.note}</span>,
            },
          ]}
        />
      </Card>
    </>
  );
}

function Fee() {
  const say = useSay();
  const overview = useQuery(admin.overview());
  const [points, set_points] = useState('');
  const [note, set_note] = useState('');
  const set = useAct(() => admin.set_fee(Number(points), note), ['/v1/admin', '/version']);
  return (
    <>
      <Title text={say(t.fees)} />
      <Loaded query={overview}>
        {(now) => (
          <Card title={say(t.fees)}>
            <Form submit={() => set.mutate(undefined, { onSuccess: () => set_note('') })}>
              <p className="soft whole">{say(t.fee_now, { fee: now.fee_basis_points / 100 })}</p>
              <Field
                label={say(t.basis_points)}
                type="number"
                min={0}
                max={10_000}
                value={points}
                change={set_points}
                required
                hint={points && say(t.fee_preview, { part: Number(points) / 100 })}
              />
              <Field label={say(t.note)} value={note} change={set_note} required />
              <Faults error={set.error} />
              <div className="whole">
                <button className="button primary" type="submit" disabled={set.isPending}>
                  {say(t.set_fee)}
                </button>
              </div>
            </Form>
          </Card>
        )}
      </Loaded>
    </>
  );
}
