// The small parts that every page is made of: cards, figures, money, times, badges, states, code to copy.
import type { UseQueryResult } from '@tanstack/react-query';
import { useEffect, useId, useState, type ReactNode } from 'react';
import { Refusal } from '../api/client';
import type { Price, Tier } from '../api/market';
import { useSay, useSettings } from '../app/settings';
import { coins, nano_of } from '../format/money';
import { local_time, relative_time, utc_time } from '../format/time';
import type { Message } from '../format/words';
import { t } from '../text/common';

export const coin_name = { current: 'TON' }; // set once from /version: the coin's name is the operator's choice

// ---- Numbers -----------------------------------------------------------------------------------------------------

/** An amount of coins; the exact nano amount on hover. */
export function Money({
  nano,
  digits = 9,
  unit = true,
  per,
}: {
  nano: string | bigint | null | undefined;
  digits?: number;
  unit?: boolean;
  per?: string;
}) {
  const { language } = useSettings();
  if (nano === null || nano === undefined) return <span className="muted">—</span>;
  const amount = typeof nano === 'bigint' ? nano : nano_of(nano);
  return (
    <span className="num" title={`${amount} nano${coin_name.current}`}>
      {coins(amount, language, digits)}
      {unit && (
        <span className="unit">
          {' '}
          {coin_name.current}
          {per ? ' ' + per : ''}
        </span>
      )}
    </span>
  );
}

export function Count({ value, unit }: { value: number | bigint | null | undefined; unit?: string }) {
  const { language } = useSettings();
  if (value === null || value === undefined) return <span className="muted">—</span>;
  return (
    <span className="num">
      {new Intl.NumberFormat(language).format(value)}
      {unit && <span className="unit"> {unit}</span>}
    </span>
  );
}

/** Large counts, shortened: 1.2M; the whole number on hover. */
export function Large({ value, unit }: { value: number; unit?: string }) {
  const { language } = useSettings();
  return (
    <span className="num" title={new Intl.NumberFormat(language).format(value)}>
      {new Intl.NumberFormat(language, { notation: 'compact', maximumFractionDigits: 2 }).format(value)}
      {unit && <span className="unit"> {unit}</span>}
    </span>
  );
}

/** Local time, UTC on hover; `ago` for how long ago instead. */
export function Time({ at, ago = false }: { at: string | null | undefined; ago?: boolean }) {
  const { language } = useSettings();
  const now = useNow(ago ? 5_000 : 0);
  if (!at) return <span className="muted">—</span>;
  return (
    <time
      dateTime={at}
      title={ago ? `${local_time(at, language)} · ${utc_time(at)}` : utc_time(at)}
      className="num"
    >
      {ago ? relative_time(at, now, language) : local_time(at, language)}
    </time>
  );
}

/** The clock, told again every `every_ms`; 0: never again. */
export function useNow(every_ms: number): number {
  const [now, set_now] = useState(() => Date.now());
  useEffect(() => {
    if (every_ms === 0) return;
    const timer = setInterval(() => set_now(Date.now()), every_ms);
    return () => clearInterval(timer);
  }, [every_ms]);
  return now;
}

/** A price vector in the words of its market: tokens in and out, or GPU-hours. */
export function PriceText({ price }: { price: Price | null | undefined }) {
  const say = useSay();
  if (!price) return <span className="muted">—</span>;
  const gpu = nano_of(price.gpu_second_nano);
  if (gpu > 0n) return <Money nano={gpu * 3600n} digits={4} per={say(t.per_gpu_hour)} />;
  return (
    <span className="num">
      <Money nano={price.prompt_nano_per_mtok} digits={4} unit={false} />
      <span className="unit"> → </span>
      <Money nano={price.completion_nano_per_mtok} digits={4} unit={false} />
      <span className="unit">
        {' '}
        {coin_name.current} {say(t.per_mtok)}
      </span>
    </span>
  );
}

// ---- Badges ------------------------------------------------------------------------------------------------------

export type Tone = 'good' | 'warn' | 'bad' | 'accent' | 'plain' | 'hatched';

export function Badge({ tone = 'plain', title, children }: { tone?: Tone; title?: string; children: ReactNode }) {
  return (
    <span className={`badge ${tone}`} title={title}>
      {children}
    </span>
  );
}

export const tier_names: Record<Tier, string> = {
  simulated: '',
  snp: 'SEV-SNP',
  tdx: 'TDX',
  'snp+gpu-cc': 'SEV-SNP + GPU',
  'tdx+gpu-cc': 'TDX + GPU',
};

export function TierBadge({ tier }: { tier: Tier | null | undefined }) {
  const say = useSay();
  if (!tier) return <Badge>{say(t.tier_none)}</Badge>;
  if (tier === 'simulated')
    return (
      <Badge tone="hatched" title={say(t.tier_simulated_help)}>
        {say(t.tier_simulated)}
      </Badge>
    );
  const gpu = tier.endsWith('gpu-cc');
  return (
    <Badge tone={gpu ? 'accent' : 'good'} title={say(gpu ? t.tier_gpu_help : t.tier_cpu_help)}>
      {tier_names[tier]}
    </Badge>
  );
}

const state_tones: Record<string, Tone> = {
  active: 'good',
  completed: 'good',
  paid: 'good',
  approved: 'good',
  matched: 'accent',
  running: 'accent',
  reserved: 'accent',
  sent: 'accent',
  resting: 'warn',
  paused: 'warn',
  queued: 'warn',
  awaiting_approval: 'warn',
  pending: 'warn',
  unmatched: 'bad',
  failed: 'bad',
  revoked: 'bad',
  returned: 'bad',
  rejected: 'bad',
};

/** A state in the API's own word: what a person reads here they find in the API, in logs and with support. */
export function StateBadge({ state }: { state: string }) {
  return <Badge tone={state_tones[state] ?? 'plain'}>{state}</Badge>;
}

// ---- Cards -------------------------------------------------------------------------------------------------------

/** Every figure can be checked: a link to the JSON it was drawn from. */
export function JsonLink({ path, name }: { path: string; name: string }) {
  const say = useSay();
  return (
    <a
      className="json"
      href={path}
      target="_blank"
      rel="noreferrer"
      aria-label={say(t.json_of, { name })}
      title={path}
    >
      {'{ }'}
    </a>
  );
}

export function Card({
  title,
  json,
  tools,
  children,
  bare = false,
}: {
  title?: string;
  json?: string;
  tools?: ReactNode;
  children: ReactNode;
  bare?: boolean;
}) {
  const id = useId();
  return (
    <section className="card" aria-labelledby={title ? id : undefined}>
      {title && (
        <header>
          <h2 id={id}>{title}</h2>
          {tools}
          {json && <JsonLink path={json} name={title} />}
        </header>
      )}
      {bare ? children : <div className="inside">{children}</div>}
    </section>
  );
}

export function Figures({ children }: { children: ReactNode }) {
  return <dl className="figures">{children}</dl>;
}

export function Figure({
  name,
  json,
  note,
  children,
}: {
  name: string;
  json?: string;
  note?: ReactNode;
  children: ReactNode;
}) {
  return (
    <div className="figure">
      <dt>
        {name}
        {json && <JsonLink path={json} name={name} />}
      </dt>
      <dd>
        {children}
        {note !== undefined && <small>{note}</small>}
      </dd>
    </div>
  );
}

// ---- States of what is read --------------------------------------------------------------------------------------

export function Empty({ title, children }: { title?: string; children?: ReactNode }) {
  const say = useSay();
  return (
    <div className="state">
      <svg
        width="40"
        height="40"
        viewBox="0 0 32 32"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.6"
        aria-hidden="true"
      >
        <ellipse cx="16" cy="16" rx="7" ry="12" transform="rotate(38 16 16)" strokeDasharray="3 3" />
      </svg>
      <h3>{title ?? say(t.nothing)}</h3>
      {children}
    </div>
  );
}

export function Skeleton() {
  const say = useSay();
  return (
    <div className="skeleton" role="status" aria-label={say(t.loading)}>
      <i />
      <i />
      <i />
    </div>
  );
}

export function refusal_text(error: unknown, say: (message: Message) => string): string {
  if (!(error instanceof Refusal)) return String(error);
  return error.status === 0 ? say(t.unreachable) : error.message;
}

export function Failed({ error, again }: { error: unknown; again?: () => void }) {
  const say = useSay();
  const id = error instanceof Refusal ? error.problem.request_id : undefined;
  return (
    <div className="state" role="alert">
      <h3>{say(t.failed)}</h3>
      <p>{refusal_text(error, say)}</p>
      {id && <p className="tiny muted mono">{say(t.support_id, { id })}</p>}
      {again && (
        <button className="button" type="button" onClick={again}>
          {say(t.again)}
        </button>
      )}
    </div>
  );
}

/** What is read, or the state it is in. Data that was once there stays while it is asked for again. */
export function Loaded<Data>({
  query,
  children,
}: {
  query: UseQueryResult<Data>;
  children: (data: Data) => ReactNode;
}) {
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.isError) return <Failed error={query.error} again={() => void query.refetch()} />;
  return <Skeleton />;
}

// ---- Text to take away -------------------------------------------------------------------------------------------

export function CopyButton({ text, label }: { text: string; label?: string }) {
  const say = useSay();
  const [done, set_done] = useState<Message | null>(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      set_done(t.copied);
    } catch {
      set_done(t.copy_failed);
    }
    setTimeout(() => set_done(null), 1500);
  };
  return (
    <button
      type="button"
      className="button small"
      onClick={() => void copy()}
      aria-label={label ? `${say(t.copy)}: ${label}` : undefined}
    >
      <span aria-live="polite">{say(done ?? t.copy)}</span>
    </button>
  );
}

/** Saves a text as a file of the reader's. */
export function SaveButton({ name, text, label }: { name: string; text: string; label: string }) {
  const save = () => {
    const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
    const link = document.createElement('a');
    link.href = url;
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  };
  return (
    <button type="button" className="button small" onClick={save}>
      {label}
    </button>
  );
}

export function Code({ text, label }: { text: string; label: string }) {
  return (
    <div className="code">
      <pre tabIndex={0} aria-label={label}>
        <code>{text}</code>
      </pre>
      <CopyButton text={text} label={label} />
    </div>
  );
}

export function Facts({ rows }: { rows: [string, ReactNode][] }) {
  return (
    <dl className="facts">
      {rows.map(([name, value]) => (
        <FactRow key={name} name={name} value={value} />
      ))}
    </dl>
  );
}
function FactRow({ name, value }: { name: string; value: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{value ?? <span className="muted">—</span>}</dd>
    </>
  );
}

export function Segments<Value extends string>({
  name,
  values,
  chosen,
  choose,
}: {
  name: string;
  values: [Value, string][];
  chosen: Value;
  choose: (value: Value) => void;
}) {
  return (
    <div className="segments" role="group" aria-label={name}>
      {values.map(([value, label]) => (
        <button key={value} type="button" aria-pressed={value === chosen} onClick={() => choose(value)}>
          {label}
        </button>
      ))}
    </div>
  );
}

export function Title({ text, help, children }: { text: ReactNode; help?: ReactNode; children?: ReactNode }) {
  useEffect(() => {
    document.title = typeof text === 'string' ? `${text} · Cocoon Market` : 'Cocoon Market';
  }, [text]);
  return (
    <div className="title">
      <h1>{text}</h1>
      {children}
      {help && <p>{help}</p>}
    </div>
  );
}
