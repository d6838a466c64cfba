// What the account says of itself, and where its coins go.
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Refusal, type Schemas } from '../api/client';
import { act, own } from '../api/desk';
import { session } from '../app/session';
import { useSay } from '../app/settings';
import { t as common } from '../text/common';
import { t } from '../text/desk';
import { Faults, Field, Form, useAct } from '../ui/form';
import { Card, Facts, Loaded, Time, Title } from '../ui/parts';
import { LoginCard } from './login';
import { WalletCard } from './wallet';

export function ProfilePage() {
  const say = useSay();
  const account = useQuery(own.account());
  return (
    <>
      <Title text={say(t.profile)} />
      <Loaded query={account}>{(found) => <Profile key={found.id} account={found} />}</Loaded>
    </>
  );
}

function Profile({ account }: { account: Schemas['Account'] }) {
  const say = useSay();
  const [name, set_name] = useState(account.name);
  const [address, set_address] = useState(account.payout_address ?? '');
  const save = useAct(act.amend_account, ['/v1/account']);
  const fault = (path: string) => (save.error instanceof Refusal ? save.error.of_field(path) : undefined);
  const submit = () => {
    const change: Schemas['AccountAmend'] = {};
    if (name.trim() !== account.name) change.name = name.trim();
    if (address.trim() && address.trim() !== account.payout_address) change.payout_address = address.trim();
    if (Object.keys(change).length > 0) save.mutate(change, { onSuccess: () => session.rename(name.trim()) });
  };
  return (
    <>
      <Card title={say(t.account)}>
        <Form submit={submit}>
          <Field label={say(t.your_name)} value={name} change={set_name} required fault={fault('/name')} whole />
          <Field
            label={say(t.payout_address)}
            value={address}
            change={set_address}
            fault={fault('/payout_address')}
            whole
          />
          <Faults error={save.error} shown={['/name', '/payout_address']} />
          <div className="row whole">
            <button className="button primary" type="submit" disabled={save.isPending}>
              {say(common.save)}
            </button>
            <span className="small muted" aria-live="polite">
              {save.isSuccess && say(t.changed)}
            </span>
          </div>
        </Form>
      </Card>
      <LoginCard />
      <WalletCard />
      <Card title={say(t.details)}>
        <Facts
          rows={[
            [say(t.account), <code key="id">{account.id}</code>],
            [say(t.opened), <Time key="at" at={account.opened_at} />],
            ...Object.entries((account.profile ?? {}) as Record<string, unknown>).map(
              ([field, value]): [string, string] => [field, String(value)],
            ),
          ]}
        />
      </Card>
    </>
  );
}
