// What an operator on call should look at now, from what the market says of itself. Pure functions.
import type { Ledger, Overview, Settlement } from '../api/admin';
import { total, type Sample } from '../format/metrics';
import { nano_of } from '../format/money';

export const alarm_names = [
  'books_unbalanced',
  'books_failed',
  'chain_differs',
  'wallet_owes_more',
  'wallet_short',
  'unknown_batches',
  'payouts_paused',
  'deposits_on_hold',
  'payouts_waiting',
  'commits_in_doubt',
  'commits_lost',
  'lane_overloaded',
  'projector_behind',
  'receipts_refused',
  'collateral_ending',
  'evidence_doubted',
  'builds_waiting',
  'nodes_suspended',
  'accounts_frozen',
] as const;
export type AlarmName = (typeof alarm_names)[number];

export interface Alarm {
  name: AlarmName;
  tone: 'bad' | 'warn' | 'plain';
  count: number;
  /** The page of the desk where something can be done about it. */
  page: string;
}

export interface Seen {
  overview?: Overview;
  ledger?: Ledger;
  settlement?: Settlement;
  metrics?: Sample[];
  builds_pending?: number;
  payouts_waiting?: number;
}

const projector_lag_seconds_max = 5;

/** Worst first; nothing for what was not read. */
export function alarms({ overview, ledger, settlement, metrics = [], builds_pending, payouts_waiting }: Seen): Alarm[] {
  const found: Alarm[] = [];
  const raise = (name: AlarmName, tone: Alarm['tone'], count: number | undefined, page: string) => {
    if (count) found.push({ name, tone, count, page });
  };
  const metric = (name: string) => total(metrics, `cocoon_${name}`);
  const is = (condition: boolean | undefined) => (condition ? 1 : 0);
  const chain = settlement?.reconciliation;

  raise('books_unbalanced', 'bad', is(ledger && ledger.total_nano !== '0'), 'ledger');
  raise('books_failed', 'bad', is(metric('books_balanced') === 0), 'ledger');
  raise('chain_differs', 'bad', is(chain ? chain.difference_nano !== '0' : false), 'settlement');
  raise('wallet_owes_more', 'bad', is(chain ? nano_of(chain.cover_nano) < 0n : false), 'settlement');
  raise('unknown_batches', 'bad', metric('settlement_unknown_batches_total'), 'settlement');
  raise('commits_lost', 'bad', metric('lane_not_stored_total'), 'health');
  raise('receipts_refused', 'bad', metric('relay_receipts_refused_total'), 'nodes');
  raise('wallet_short', 'warn', metric('settlement_wallet_short'), 'settlement');
  raise('payouts_paused', 'warn', is(settlement?.payouts_paused), 'settlement');
  raise('deposits_on_hold', 'warn', settlement?.holds, 'deposits');
  raise('payouts_waiting', 'warn', payouts_waiting, 'payouts');
  raise('commits_in_doubt', 'warn', metric('lane_in_doubt_total'), 'health');
  raise('lane_overloaded', 'warn', metric('lane_overloaded_total'), 'health');
  raise('projector_behind', 'warn', is((metric('projector_lag_seconds') ?? 0) > projector_lag_seconds_max), 'health');
  raise('collateral_ending', 'warn', metric('collateral_ending_pieces'), 'nodes');
  raise('evidence_doubted', 'warn', metric('evidence_doubts_total'), 'nodes');
  raise('builds_waiting', 'plain', builds_pending, 'measurements');
  raise('nodes_suspended', 'plain', overview?.nodes_suspended, 'nodes');
  raise('accounts_frozen', 'plain', overview?.accounts_frozen, 'accounts');
  return found;
}
