// Signing in with an API key. The key is tried before it is kept.
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, Navigate, useLocation, useNavigate } from 'react-router-dom';
import { act } from '../api/desk';
import { desk_of, session, useSession } from '../app/session';
import { useSay } from '../app/settings';
import { t } from '../text/desk';
import { Faults, Field, Form } from '../ui/form';
import { Card, Title } from '../ui/parts';

/** Only paths of this site are gone back to: what stands in a link is a stranger's text. */
function safe_back(state: unknown): string | null {
  const back = (state as { back?: unknown } | null)?.back;
  return typeof back === 'string' && /^\/(developer|provider|admin)(\/|$)/.test(back) ? back : null;
}

export function SignIn() {
  const say = useSay();
  const go = useNavigate();
  const { state } = useLocation();
  const who = useSession();
  const [key, set_key] = useState('');
  const [fault, set_fault] = useState<string>();
  const enter = useMutation({
    mutationFn: async (secret: string) => ({ secret, account: await act.recognise(secret) }),
    onSuccess: ({ secret, account }) => {
      session.begin(secret, { id: account.id, kind: account.kind, name: account.name });
      const desk = desk_of[account.kind];
      const back = safe_back(state);
      void go(back?.startsWith(desk) ? back : desk, { replace: true });
    },
  });
  const submit = () => {
    const secret = key.trim();
    if (!/^ck_[A-Za-z0-9_-]{43}$/.test(secret)) return set_fault(say(t.wrong_key));
    set_fault(undefined);
    enter.mutate(secret);
  };
  if (who && !enter.isPending && !enter.isSuccess) return <Navigate to={desk_of[who.account.kind]} replace />;
  return (
    <div className="center-card stack">
      <Title text={say(t.sign_in)} help={say(t.sign_in_help)} />
      <Card>
        <Form submit={submit}>
          <Field
            label={say(t.key_field)}
            value={key}
            change={set_key}
            type="password"
            required
            whole
            fault={fault}
            placeholder="ck_…"
          />
          <Faults error={enter.error} />
          <div className="whole">
            <button className="button primary" type="submit" disabled={enter.isPending}>
              {say(t.sign_in)}
            </button>
          </div>
        </Form>
      </Card>
      <p className="row small">
        <span className="muted">{say(t.no_account)}</span>
        <Link to="/sign-up/developer">{say(t.as_developer)}</Link>
        <Link to="/sign-up/provider">{say(t.as_provider)}</Link>
      </p>
    </div>
  );
}
