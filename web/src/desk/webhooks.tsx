// Webhooks, and the same events as they happen in this tab.
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Schemas } from '../api/client';
import { act, own } from '../api/desk';
import { useSay } from '../app/settings';
import { t as common } from '../text/common';
import { t } from '../text/desk';
import { Checks, Confirm, Dialog, Faults, Field, Form, useAct } from '../ui/form';
import { Badge, Card, Code, Empty, Loaded, Time, Title } from '../ui/parts';
import { Table } from '../ui/table';
import { useActivity, type Heard } from './frame';

type Webhook = Schemas['Webhook'];
type EventName = Schemas['EventName'];

/** What an account can hear of, the most wanted first. */
const event_names: EventName[] = [
  'job.reserved',
  'job.started',
  'job.captured',
  'job.ended',
  'receipt.stored',
  'request.placed',
  'request.rested',
  'request.ended',
  'offer.placed',
  'offer.amended',
  'offer.ended',
  'node.attested',
  'node.presence',
  'node.drained',
  'node.suspended',
  'deposit.credited',
  'payout.requested',
  'payout.advanced',
  'key.created',
  'key.amended',
];

export function WebhooksPage() {
  const say = useSay();
  const hooks = useQuery(own.webhooks());
  return (
    <>
      <Title text={say(t.webhooks)} help={say(t.webhooks_help)}>
        <NewWebhook />
      </Title>
      <Card title={say(t.webhooks)} bare>
        <Loaded query={hooks}>
          {(list) => (
            <Table<Webhook>
              name={say(t.webhooks)}
              rows={list.items}
              row_key={(hook) => hook.id}
              empty={<Empty title={say(t.no_webhooks)} />}
              columns={[
                {
                  name: say(t.url),
                  plain: (hook) => hook.url,
                  show: (hook) => <span className="break">{hook.url}</span>,
                },
                {
                  name: say(t.events),
                  plain: (hook) => hook.events.join(' '),
                  show: (hook) =>
                    hook.events.length === 0 ? (
                      say(common.all)
                    ) : (
                      <span className="row">
                        {hook.events.map((event) => (
                          <Badge key={event}>{event}</Badge>
                        ))}
                      </span>
                    ),
                },
                {
                  name: say(common.state),
                  plain: (hook) => String(hook.disabled),
                  show: (hook) => (
                    <Badge tone={hook.disabled ? 'bad' : 'good'}>
                      {say(hook.disabled ? t.disabled : t.enabled)}
                    </Badge>
                  ),
                },
                { name: '', plain: () => '', show: (hook) => <HookActs hook={hook} /> },
              ]}
            />
          )}
        </Loaded>
      </Card>
    </>
  );
}

function HookActs({ hook }: { hook: Webhook }) {
  const say = useSay();
  const remove = useAct(() => act.remove_webhook(hook.id), ['/v1/webhooks']);
  const again = useAct(() => act.redeliver(hook.id), []);
  return (
    <span className="row">
      <button
        type="button"
        className="button small"
        disabled={again.isPending}
        onClick={() => again.mutate(undefined)}
      >
        {say(t.redeliver)}
      </button>
      <span className="tiny muted" aria-live="polite">
        {again.data && say(t.redelivered, { count: again.data.deliveries })}
      </span>
      <Confirm
        button={say(t.remove)}
        title={say(t.remove)}
        text={say(t.remove_help, { url: hook.url })}
        act={() => remove.mutateAsync(undefined)}
      />
    </span>
  );
}

function NewWebhook() {
  const say = useSay();
  const [url, set_url] = useState('');
  const [events, set_events] = useState<EventName[]>([]);
  const create = useAct(act.create_webhook, ['/v1/webhooks']);
  return (
    <Dialog button={say(t.new_webhook)} title={say(t.new_webhook)} tone="primary">
      {(close) =>
        create.data ? (
          <>
            <p className="soft">{say(t.secret_once)}</p>
            <Code text={create.data.secret ?? ''} label={say(t.new_webhook)} />
            <button
              type="button"
              className="button primary"
              onClick={() => {
                create.reset();
                set_url('');
                close();
              }}
            >
              {say(t.saved_them)}
            </button>
          </>
        ) : (
          <Form submit={() => create.mutate({ url, events })}>
            <Field
              label={say(t.url)}
              type="url"
              value={url}
              change={set_url}
              required
              whole
              placeholder="https://"
            />
            <Checks<EventName>
              label={`${say(t.events)} · ${say(t.events_hint)}`}
              values={event_names.map((name) => [name, name] as const)}
              chosen={events}
              change={set_events}
            />
            <Faults error={create.error} />
            <div className="whole">
              <button className="button primary" type="submit" disabled={create.isPending}>
                {say(t.new_webhook)}
              </button>
            </div>
          </Form>
        )
      }
    </Dialog>
  );
}

export function ActivityPage() {
  const say = useSay();
  const heard = useActivity();
  return (
    <>
      <Title text={say(t.activity)} help={say(t.activity_help)} />
      <Card title={say(t.activity)} bare>
        <Table<Heard>
          name={say(t.activity)}
          rows={heard}
          dense
          row_key={(event) => String(event.key)}
          empty={<Empty title={say(t.no_activity)} />}
          columns={[
            { name: say(common.time), plain: (event) => event.at, show: (event) => <Time at={event.at} /> },
            {
              name: say(t.event),
              plain: (event) => event.name,
              show: (event) => (
                <Badge tone={event.name.includes('suspended') || event.name.includes('expir') ? 'bad' : 'plain'}>
                  {event.name}
                </Badge>
              ),
            },
            {
              name: say(t.details),
              plain: (event) => event.data,
              show: (event) => <code className="break">{event.data.slice(0, 200)}</code>,
            },
          ]}
        />
      </Card>
    </>
  );
}
