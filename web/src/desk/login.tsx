// What the account signs in with: its name and password, and the code that is shown once for the authenticator app.
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Refusal, type Schemas } from '../api/client';
import { act, own } from '../api/desk';
import { session } from '../app/session';
import { useSay } from '../app/settings';
import { t } from '../text/desk';
import { Checks, Dialog, Faults, Field, Form } from '../ui/form';
import { Card, Code, Loaded } from '../ui/parts';
import { Qr } from '../ui/qr';

export function LoginCard() {
  const say = useSay();
  const login = useQuery(own.login());
  return (
    <Card title={say(t.login)}>
      <div className="stack">
        <p className="soft">{say(t.login_help)}</p>
        <Loaded query={login}>
          {(found) => (
            <div className="row">
              {found.name && <span>{say(found.code ? t.login_now_code : t.login_now, { name: found.name })}</span>}
              <Dialog button={say(t.set_login)} title={say(t.set_login)}>
                {() => <SetLogin name={found.name ?? ''} />}
              </Dialog>
            </div>
          )}
        </Loaded>
      </div>
    </Card>
  );
}

function SetLogin({ name: known }: { name: string }) {
  const say = useSay();
  const [name, set_name] = useState(known);
  const [password, set_password] = useState('');
  const [key, set_key] = useState('');
  const [with_code, set_with_code] = useState<'code'[]>(['code']);
  const set = useMutation({
    mutationFn: () => act.set_login({ name: name.trim(), password, code: with_code.length > 0 }, key.trim()),
  });
  if (set.data) return <Made made={set.data} />;
  const fault = (path: string) => (set.error instanceof Refusal ? set.error.of_field(path) : undefined);
  return (
    <Form submit={() => set.mutate()}>
      <Field
        label={say(t.login_name)}
        hint={say(t.login_name_hint)}
        value={name}
        change={set_name}
        complete="username"
        required
        whole
        fault={fault('/name')}
      />
      <Field
        label={say(t.new_password)}
        hint={say(t.new_password_hint)}
        value={password}
        change={set_password}
        type="password"
        complete="new-password"
        required
        whole
        fault={fault('/password')}
      />
      <Checks
        label={say(t.code_field)}
        values={[['code', say(t.with_code)]]}
        chosen={with_code}
        change={set_with_code}
      />
      <Field label={say(t.management_key)} value={key} change={set_key} type="password" required whole />
      <Faults error={set.error} shown={['/name', '/password']} />
      <div className="whole">
        <button className="button primary" type="submit" disabled={set.isPending}>
          {say(t.set_login)}
        </button>
      </div>
    </Form>
  );
}

function Made({ made }: { made: Schemas['LoginMade'] }) {
  const say = useSay();
  return (
    <div className="stack">
      {made.code_url && made.code_secret && (
        <>
          <p>{say(t.code_once)}</p>
          <Qr text={made.code_url} label={say(t.code_once)} />
          <p className="small muted">{say(t.code_secret)}</p>
          <Code text={made.code_secret} label={say(t.code_secret)} />
        </>
      )}
      <p>{say(t.login_set)}</p>
      <button type="button" className="button primary" onClick={() => session.end()}>
        {say(t.sign_in)}
      </button>
    </div>
  );
}
