// Who is on the market: accounts with their balances, and the forms they signed up with.
import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { admin } from '../api/admin';
import type { Schemas } from '../api/client';
import { paged } from '../api/paged';
import { useSay } from '../app/settings';
import { nano_of } from '../format/money';
import { t } from '../text/admin';
import { t as common } from '../text/common';
import { Card, Money, Time, Title } from '../ui/parts';
import { Narrowed, PagedTable } from '../ui/table';
import { Noted } from './noted';

type Kind = Schemas['AccountKind'];

export function Accounts() {
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

export function Applications() {
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
