// Signing in: account, password and code; a wallet; or a key, which is exchanged for a session and kept nowhere.
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, Navigate, useLocation, useNavigate } from 'react-router-dom';
import type { Schemas } from '../api/client';
import { act } from '../api/desk';
import { desk_of, useSession, type Account } from '../app/session';
import { useSay } from '../app/settings';
import { t } from '../text/desk';
import { t as wallet } from '../text/wallet';
import { Faults, Field, Form } from '../ui/form';
import { Card, Segments, Title } from '../ui/parts';
import { WalletChoice } from '../wallet/choice';

/** Only paths of this site are gone back to: what stands in a link is a stranger's text. */
function safe_back(state: unknown): string | null {
  const back = (state as { back?: unknown } | null)?.back;
  return typeof back === 'string' && /^\/(developer|provider|admin)(\/|$)/.test(back) ? back : null;
}

type Way = 'password' | 'wallet' | 'key';
type Enter = (form: Schemas['SessionCreate'], key?: string) => void;

export function SignIn() {
  const say = useSay();
  const go = useNavigate();
  const { state } = useLocation();
  const who = useSession();
  const [way, set_way] = useState<Way>('password');
  const enter = useMutation({
    mutationFn: ({ form, key }: { form: Schemas['SessionCreate']; key?: string }) => act.sign_in(form, key),
    onSuccess: (account: Account) => {
      const desk = desk_of[account.kind];
      const back = safe_back(state);
      void go(back?.startsWith(desk) ? back : desk, { replace: true });
    },
  });
  const send: Enter = (form, key) => enter.mutate({ form, key });
  if (who && !enter.isPending && !enter.isSuccess) return <Navigate to={desk_of[who.account.kind]} replace />;
  return (
    <div className="center-card stack">
      <Title text={say(t.sign_in)} help={say(t.sign_in_help)} />
      <Card>
        <div className="stack">
          <Segments
            name={say(t.sign_in_with)}
            values={[
              ['password', say(t.password)],
              ['wallet', say(wallet.wallet)],
              ['key', say(t.key_field)],
            ]}
            chosen={way}
            choose={(next: Way) => {
              enter.reset();
              set_way(next);
            }}
          />
          {way === 'password' && <ByPassword enter={send} busy={enter.isPending} error={enter.error} />}
          {way === 'wallet' && <WalletChoice purpose="sign-in" help={say(wallet.sign_in_help)} />}
          {way === 'key' && <ByKey enter={send} busy={enter.isPending} error={enter.error} />}
        </div>
      </Card>
      <p className="row small">
        <span className="muted">{say(t.no_account)}</span>
        <Link to="/sign-up/developer">{say(t.as_developer)}</Link>
        <Link to="/sign-up/provider">{say(t.as_provider)}</Link>
      </p>
    </div>
  );
}

interface WayProps {
  enter: Enter;
  busy: boolean;
  error: unknown;
}

function Submit({ busy, error }: Omit<WayProps, 'enter'>) {
  const say = useSay();
  return (
    <>
      <Faults error={error} />
      <div className="whole">
        <button className="button primary" type="submit" disabled={busy}>
          {say(t.sign_in)}
        </button>
      </div>
    </>
  );
}

function ByPassword({ enter, busy, error }: WayProps) {
  const say = useSay();
  const [account, set_account] = useState('');
  const [password, set_password] = useState('');
  const [code, set_code] = useState('');
  const submit = () =>
    enter({ account: account.trim(), password, ...(code.trim() ? { code: code.replace(/\s/g, '') } : {}) });
  return (
    <Form submit={submit}>
      <Field
        label={say(t.account_field)}
        hint={say(t.account_hint)}
        value={account}
        change={set_account}
        complete="username"
        required
        whole
      />
      <Field
        label={say(t.password)}
        value={password}
        change={set_password}
        type="password"
        complete="current-password"
        required
        whole
      />
      <Field
        label={say(t.code_field)}
        hint={say(t.code_hint)}
        value={code}
        change={set_code}
        mode="numeric"
        complete="one-time-code"
        whole
      />
      <Submit busy={busy} error={error} />
    </Form>
  );
}

function ByKey({ enter, busy, error }: WayProps) {
  const say = useSay();
  const [key, set_key] = useState('');
  const [fault, set_fault] = useState<string>();
  const submit = () => {
    const secret = key.trim();
    if (!/^ck_[A-Za-z0-9_-]{43}$/.test(secret)) return set_fault(say(t.wrong_key));
    set_fault(undefined);
    enter({}, secret);
  };
  return (
    <Form submit={submit}>
      <Field
        label={say(t.key_field)}
        hint={say(t.key_hint)}
        value={key}
        change={set_key}
        type="password"
        required
        whole
        fault={fault}
        placeholder="ck_…"
      />
      <Submit busy={busy} error={error} />
    </Form>
  );
}
