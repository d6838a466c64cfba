// The two sign-up forms, and the two keys that are shown once.
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { useNavigate, useParams } from 'react-router-dom';
import { once, Refusal, type Schemas } from '../api/client';
import { act } from '../api/desk';
import { NotFound } from '../app/not_found';
import { desk_of, type Kind } from '../app/session';
import { useSay } from '../app/settings';
import type { Message } from '../format/words';
import { t } from '../text/desk';
import { Choice, Faults, Field, Form } from '../ui/form';
import { Card, Code, Title } from '../ui/parts';

type Typed = Record<string, string>;
interface Question {
  name: string;
  label: Message;
  hint?: Message;
  number?: true;
  optional?: true;
}

const common: Question[] = [{ name: 'contact', label: t.contact, hint: t.contact_hint, optional: true }];
const questions: Record<'developer' | 'provider', Question[]> = {
  developer: [
    { name: 'models', label: t.models, hint: t.models_hint },
    { name: 'daily_requests', label: t.daily_requests, number: true },
    { name: 'input_tokens_average', label: t.input_tokens, number: true },
    { name: 'output_tokens_average', label: t.output_tokens, number: true },
    ...common,
  ],
  provider: [
    { name: 'gpu_model', label: t.gpu_model },
    { name: 'gpu_count', label: t.gpu_count, number: true },
    { name: 'vram_gib', label: t.vram, number: true },
    { name: 'ram_gib', label: t.ram, number: true },
    { name: 'disk_gib', label: t.disk, number: true },
    { name: 'bandwidth_mbps', label: t.bandwidth, number: true },
    { name: 'region', label: t.region },
    { name: 'hours_available', label: t.hours, number: true },
    ...common,
  ],
};
const first: Record<'developer' | 'provider', Typed> = {
  developer: {
    models: '',
    daily_requests: '1000',
    input_tokens_average: '900',
    output_tokens_average: '300',
    contact: '',
  },
  provider: {
    gpu_model: 'H100',
    gpu_count: '1',
    vram_gib: '80',
    ram_gib: '256',
    disk_gib: '2000',
    bandwidth_mbps: '1000',
    region: 'eu-west',
    hours_available: '24',
    contact: '',
    cpu_tee: 'tdx',
    payout_address: '',
  },
};

function form_of(kind: 'developer' | 'provider', name: string, typed: Typed): Schemas['AccountCreate'] {
  const profile: Record<string, unknown> = {};
  for (const question of questions[kind]) {
    const value = (typed[question.name] ?? '').trim();
    if (question.optional && value === '') continue;
    profile[question.name] = question.number
      ? Number(value)
      : question.name === 'models'
        ? value
            .split(',')
            .map((part) => part.trim())
            .filter(Boolean)
        : value;
  }
  if (kind === 'provider') profile.cpu_tee = typed.cpu_tee;
  const form: Schemas['AccountCreate'] = {
    kind,
    name: name.trim(),
    profile: profile as Schemas['DeveloperProfile'],
  };
  if (typed.payout_address?.trim()) form.payout_address = typed.payout_address.trim();
  return form;
}

export function SignUp() {
  const kind = useParams().kind;
  return kind === 'developer' || kind === 'provider' ? <SignUpForm key={kind} kind={kind} /> : <NotFound />;
}

function SignUpForm({ kind }: { kind: 'developer' | 'provider' }) {
  const say = useSay();
  const [name, set_name] = useState('');
  const [typed, set_typed] = useState<Typed>(first[kind]);
  // One name for this form however often it is sent: a lost answer makes no second account.
  const [call] = useState(once);
  const send = useMutation({ mutationFn: () => act.sign_up(form_of(kind, name, typed), call) });
  if (send.data) return <Keys created={send.data} />;
  const fault = (path: string) => (send.error instanceof Refusal ? send.error.of_field(path) : undefined);
  const shown = ['/name', '/payout_address', ...questions[kind].map((question) => `/profile/${question.name}`)];
  const change = (field: string) => (value: string) => set_typed((known) => ({ ...known, [field]: value }));
  return (
    <div className="center-card stack">
      <Title text={say(kind === 'developer' ? t.as_developer : t.as_provider)} help={say(t.sign_up_help)} />
      <Card>
        <Form submit={() => send.mutate()}>
          <Field label={say(t.your_name)} value={name} change={set_name} required whole fault={fault('/name')} />
          {questions[kind].map((question) => (
            <Field
              key={question.name}
              label={say(question.label)}
              hint={question.hint && say(question.hint)}
              value={typed[question.name] ?? ''}
              change={change(question.name)}
              required={!question.optional}
              type={question.number ? 'number' : 'text'}
              min={question.number && 0}
              fault={fault(`/profile/${question.name}`)}
              whole={question.name === 'models' || question.name === 'contact'}
            />
          ))}
          {kind === 'provider' && (
            <>
              <Choice
                label={say(t.cpu_tee)}
                value={typed.cpu_tee ?? 'none'}
                change={change('cpu_tee')}
                values={[
                  ['tdx', 'Intel TDX'],
                  ['sev-snp', 'AMD SEV-SNP'],
                  ['none', '—'],
                ]}
              />
              <Field
                label={say(t.payout_address)}
                hint={say(t.payout_address_hint)}
                value={typed.payout_address ?? ''}
                change={change('payout_address')}

                fault={fault('/payout_address')}
              />
            </>
          )}
          <Faults error={send.error} shown={shown} />
          <div className="whole">
            <button className="button primary" type="submit" disabled={send.isPending}>
              {say(t.create_account)}
            </button>
          </div>
        </Form>
      </Card>
    </div>
  );
}

function Keys({ created }: { created: Schemas['AccountCreated'] }) {
  const say = useSay();
  const go = useNavigate();
  const { account, management_key, work_key } = created;
  const enter = useMutation({
    mutationFn: () => act.sign_in({}, management_key.secret ?? ''),
    onSuccess: () => go(desk_of[account.kind as Kind]),
  });
  return (
    <div className="center-card stack">
      <Title text={say(t.keys_once)} help={say(t.keys_once_help)} />
      <Card>
        <div className="stack">
          <div className="stack tight">
            <h3>{say(t.management_key)}</h3>
            <Code text={management_key.secret ?? ''} label={say(t.management_key)} />
          </div>
          <div className="stack tight">
            <h3>{say(t.work_key)}</h3>
            <Code text={work_key.secret ?? ''} label={say(t.work_key)} />
          </div>
          <Faults error={enter.error} />
          <button
            type="button"
            className="button primary"
            disabled={enter.isPending}
            onClick={() => (management_key.secret ? enter.mutate() : void go('/sign-in'))}
          >
            {say(t.saved_them)}
          </button>
        </div>
      </Card>
    </div>
  );
}
