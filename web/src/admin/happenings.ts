// One line of time out of many lists. Pure functions.
import type { HeldDeposit, Settlement } from '../api/admin';
import type { Denial, Measurement } from '../api/register';
import type { Schemas } from '../api/client';

export type Kind = 'act' | 'build' | 'denial' | 'deposit' | 'chain';

export interface Happening {
  key: string;
  at: string; // RFC 3339, UTC
  kind: Kind;
  /** In the API's own words. */
  what: string;
  on: string;
  who?: string;
  note?: string;
}

interface Lists {
  audit: Schemas['AuditEntry'][];
  builds: Measurement[];
  denials: Denial[];
  held: HeldDeposit[];
  settlement?: Settlement;
  amount: (nano: string) => string;
}

export function merged({ audit, builds, denials, held, settlement, amount }: Lists): Happening[] {
  const acts = audit.map((one): Happening => {
    const change = one.before || one.after ? `${one.before || '—'} → ${one.after || '—'}` : '';
    return {
      key: `act ${one.sequence} ${one.action} ${one.target}`,
      at: one.at,
      kind: 'act',
      what: one.action,
      on: one.target,
      who: one.actor ?? undefined,
      note: [change, one.note].filter(Boolean).join(' · '),
    };
  });
  const submitted = builds.map(
    (one): Happening => ({
      key: `submitted ${one.id}`,
      at: one.submitted_at,
      kind: 'build',
      what: 'measurement.submitted',
      on: `${one.name} ${one.version} (${one.id})`,
    }),
  );
  const decided = builds.flatMap((one): Happening[] =>
    one.decided_at
      ? [{ key: `decided ${one.id}`, at: one.decided_at, kind: 'build', what: one.state, on: `${one.name} ${one.version} (${one.id})`, who: one.decided_by ?? undefined, note: one.reason ?? undefined }]
      : [],
  );
  const denied = denials.map(
    (one): Happening => ({ key: one.id, at: one.at, kind: 'denial', what: 'denied', on: one.identity, note: one.reason }),
  );
  const deposits = held.map(
    (one): Happening => ({
      key: one.id,
      at: one.at,
      kind: 'deposit',
      what: one.reason,
      on: amount(one.amount_nano),
      note: one.memo,
    }),
  );
  const reconciled = settlement?.reconciliation;
  const chain: Happening[] = reconciled
    ? [
        {
          key: 'reconciled',
          at: reconciled.at,
          kind: 'chain',
          what: 'reconciled',
          on: amount(reconciled.wallet_nano),
          note: reconciled.difference_nano === '0' ? undefined : amount(reconciled.difference_nano),
        },
      ]
    : [];
  return [...acts, ...submitted, ...decided, ...denied, ...deposits, ...chain].sort(
    (a, b) => Date.parse(b.at) - Date.parse(a.at) || a.key.localeCompare(b.key),
  );
}
