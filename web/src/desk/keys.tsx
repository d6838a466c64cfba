// API keys: scopes, caps, rotation. A secret is shown once, where it was made.
import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Button } from 'react-aria-components';
import type { Schemas } from '../api/client';
import { act } from '../api/desk';
import { paged } from '../api/paged';
import { useSession } from '../app/session';
import { useSay } from '../app/settings';
import { parse_coins, plain_coins, nano_of } from '../format/money';
import { t as common } from '../text/common';
import { t } from '../text/desk';
import { Checks, Confirm, Dialog, Faults, Field, Form, useAct } from '../ui/form';
import { Badge, Card, Code, Empty, Money, Time, Title } from '../ui/parts';
import { PagedTable } from '../ui/table';

type Key = Schemas['Key'];
type Scope = Schemas['Scope'];

function state_of(key: Key): 'live' | 'revoked' | 'expired' {
  if (key.revoked) return 'revoked';
  return key.expires_at && Date.parse(key.expires_at) <= Date.now() ? 'expired' : 'live';
}

export function KeysPage() {
  const say = useSay();
  const keys = useInfiniteQuery(paged('/v1/keys'));
  return (
    <>
      <Title text={say(t.keys)}>
        <NewKey />
      </Title>
      <Card title={say(t.keys)} bare>
        <PagedTable<Key>
          name={say(t.keys)}
          query={keys}
          row_key={(key) => key.id}
          empty={<Empty title={say(t.no_keys)} />}
          columns={[
            {
              name: say(t.key_name),
              plain: (key) => `${key.name} ${key.shown}`,
              show: (key) => (
                <>
                  <strong>{key.name}</strong>
                  <br />
                  <code className="muted">{key.shown}…</code>
                </>
              ),
            },
            {
              name: say(t.scopes),
              plain: (key) => (key.scopes ?? []).join(' '),
              show: (key) => (
                <span className="row">
                  {(key.scopes ?? []).map((scope) => (
                    <Badge key={scope}>{scope}</Badge>
                  ))}
                </span>
              ),
            },
            {
              name: say(t.spent),
              right: true,
              plain: (key) => nano_of(key.spent_total_nano),
              show: (key) => (
                <>
                  <Money nano={key.spent_day_nano} digits={4} unit={false} /> /{' '}
                  <Money nano={key.spent_total_nano} digits={4} />
                </>
              ),
            },
            {
              name: say(t.caps),
              right: true,
              plain: (key) => key.cap_day_nano && nano_of(key.cap_day_nano),
              show: (key) => (
                <>
                  <Money nano={key.cap_day_nano} digits={4} unit={false} /> /{' '}
                  <Money nano={key.cap_total_nano} digits={4} unit={false} />
                </>
              ),
            },
            {
              name: say(t.expires),
              plain: (key) => key.expires_at,
              show: (key) => (key.expires_at ? <Time at={key.expires_at} ago /> : say(common.never)),
              wide_only: true,
            },
            {
              name: say(common.state),
              plain: state_of,
              show: (key) => (
                <Badge tone={state_of(key) === 'live' ? 'good' : 'bad'}>{say(t[state_of(key)])}</Badge>
              ),
            },
            { name: '', plain: () => '', show: (one) => (state_of(one) === 'live' ? <KeyActs one={one} /> : null) },
          ]}
        />
      </Card>
    </>
  );
}

function KeyActs({ one }: { one: Key }) {
  const say = useSay();
  const revoke = useAct(() => act.revoke_key(one.id), ['/v1/keys']);
  return (
    <span className="row">
      <Rotate one={one} />
      <Caps one={one} />
      <Confirm
        button={say(t.revoke)}
        title={`${say(t.revoke)}: ${one.name}`}
        text={say(t.revoke_help, { name: one.name })}
        act={() => revoke.mutateAsync(undefined)}
      />
    </span>
  );
}

/** A typed cap: undefined for none, or why not. */
function cap_of(typed: string): { nano?: string; wrong?: true } {
  if (typed.trim() === '') return {};
  const nano = parse_coins(typed);
  return nano === undefined ? { wrong: true } : { nano: nano.toString() };
}

function NewKey() {
  const say = useSay();
  const provider = useSession()?.account.kind === 'provider';
  const scopes: [Scope, string][] = [
    ['read', say(t.scope_read)],
    provider ? ['offer', say(t.scope_offer)] : ['work', say(t.scope_work)],
  ];
  const [name, set_name] = useState('');
  const [chosen, set_chosen] = useState<Scope[]>(['read']);
  const [total, set_total] = useState('');
  const [day, set_day] = useState('');
  const [expires, set_expires] = useState('');
  const create = useAct(act.create_key, ['/v1/keys']);
  const wrong = cap_of(total).wrong || cap_of(day).wrong || chosen.length === 0;
  const submit = () => {
    if (wrong) return;
    create.mutate({
      name,
      scopes: chosen,
      cap_total_nano: cap_of(total).nano,
      cap_day_nano: cap_of(day).nano,
      expires_at: expires ? new Date(expires).toISOString() : undefined,
    });
  };
  const fault = (typed: string) => (cap_of(typed).wrong ? say(t.not_an_amount) : undefined);
  return (
    <Dialog button={say(t.new_key)} title={say(t.new_key)} tone="primary">
      {(close) =>
        create.data ? (
          <Secret
            label={name}
            secret={create.data.secret}
            close={() => {
              create.reset();
              set_name('');
              close();
            }}
          />
        ) : (
          <Form submit={submit}>
            <Field label={say(t.key_name)} value={name} change={set_name} required whole />
            <Checks<Scope> label={say(t.scopes)} values={scopes} chosen={chosen} change={set_chosen} />
            <Field
              label={say(t.cap_day)}
              hint={say(t.cap_hint)}
              mode="decimal"
              value={day}
              change={set_day}
              fault={fault(day)}
            />
            <Field
              label={say(t.cap_total)}
              hint={say(t.cap_hint)}
              mode="decimal"
              value={total}
              change={set_total}
              fault={fault(total)}
            />
            <Field label={say(t.expires)} type="datetime-local" value={expires} change={set_expires} whole />
            <Faults error={create.error} />
            <div className="row whole">
              <button className="button primary" type="submit" disabled={create.isPending || wrong}>
                {say(t.new_key)}
              </button>
              <Button className="button" onPress={close}>
                {say(common.cancel)}
              </Button>
            </div>
          </Form>
        )
      }
    </Dialog>
  );
}

function Secret({ label, secret, close }: { label: string; secret: string | null; close: () => void }) {
  const say = useSay();
  return (
    <>
      <p className="soft">{say(t.secret_once)}</p>
      <Code text={secret ?? ''} label={label} />
      <Button className="button primary" onPress={close}>
        {say(t.saved_them)}
      </Button>
    </>
  );
}

function Rotate({ one }: { one: Key }) {
  const say = useSay();
  const [hours, set_hours] = useState('24');
  const rotate = useAct((seconds: number) => act.rotate_key(one.id, seconds), ['/v1/keys']);
  return (
    <Dialog button={say(t.rotate)} title={`${say(t.rotate)}: ${one.name}`} tone="small">
      {(close) =>
        rotate.data ? (
          <Secret
            label={one.name}
            secret={rotate.data.secret}
            close={() => {
              rotate.reset();
              close();
            }}
          />
        ) : (
          <Form submit={() => rotate.mutate(Math.round(Number(hours) * 3600))}>
            <p className="soft whole">{say(t.rotate_help)}</p>
            <Field
              label={say(t.overlap_hours)}
              type="number"
              min={0}
              max={168}
              value={hours}
              change={set_hours}
              required
            />
            <Faults error={rotate.error} />
            <div className="whole">
              <button className="button primary" type="submit" disabled={rotate.isPending}>
                {say(t.rotate)}
              </button>
            </div>
          </Form>
        )
      }
    </Dialog>
  );
}

function Caps({ one }: { one: Key }) {
  const say = useSay();
  const text = (nano: string | null | undefined) => (nano ? plain_coins(nano_of(nano)) : '');
  const [day, set_day] = useState(text(one.cap_day_nano));
  const [total, set_total] = useState(text(one.cap_total_nano));
  const amend = useAct((change: Schemas['KeyAmend']) => act.amend_key(one.id, change), ['/v1/keys']);
  const fault = (typed: string) => (cap_of(typed).wrong ? say(t.not_an_amount) : undefined);
  return (
    <Dialog button={say(t.amend_caps)} title={`${say(t.amend_caps)}: ${one.name}`} tone="small">
      {(close) => (
        <Form
          submit={() =>
            !fault(day) &&
            !fault(total) &&
            amend.mutate(
              { cap_day_nano: cap_of(day).nano, cap_total_nano: cap_of(total).nano },
              { onSuccess: close },
            )
          }
        >
          <Field label={say(t.cap_day)} mode="decimal" value={day} change={set_day} fault={fault(day)} />
          <Field label={say(t.cap_total)} mode="decimal" value={total} change={set_total} fault={fault(total)} />
          <Faults error={amend.error} />
          <div className="whole">
            <button className="button primary" type="submit" disabled={amend.isPending}>
              {say(common.save)}
            </button>
          </div>
        </Form>
      )}
    </Dialog>
  );
}
