import { expect, it } from 'vitest';
import { parse_metrics } from '../format/metrics';
import { alarms, type Seen } from './alarms';

const calm = (change: Partial<Seen['settlement']> = {}): Seen => ({
  overview: { developers: 1, providers: 1, nodes: 2, markets: 1, fee_basis_points: 100, sequence: '9' },
  ledger: { items: [], total_nano: '0', as_of: '9' },
  settlement: {
    reconciliation: {
      at: '2026-11-23T00:00:00Z',
      wallet_nano: '3',
      owed_nano: '2',
      held_nano: '0',
      operator_nano: '1',
      fees_nano: '0',
      moving_nano: '0',
      cover_nano: '1',
      difference_nano: '0',
    },
    batches: [],
    payouts_paused: false,
    holds: 0,
    as_of: '9',
    ...change,
  },
  metrics: parse_metrics('cocoon_books_balanced 1\ncocoon_lane_in_doubt_total 0\ncocoon_projector_lag_seconds 0.2'),
  builds_pending: 0,
});
const named = (seen: Seen) => alarms(seen).map(({ name, tone }) => `${name} ${tone}`);

it('is silent while all is well, and while nothing was read', () => {
  expect(alarms(calm())).toEqual([]);
  expect(alarms({})).toEqual([]);
});

const chain = calm().settlement!.reconciliation!;
it.each<[string, Seen]>([
  ['books_unbalanced bad', { ...calm(), ledger: { items: [], total_nano: '-1', as_of: '9' } }],
  ['books_failed bad', { ...calm(), metrics: parse_metrics('cocoon_books_balanced 0') }],
  ['chain_differs bad', calm({ reconciliation: { ...chain, difference_nano: '1' } })],
  ['wallet_owes_more bad', calm({ reconciliation: { ...chain, cover_nano: '-1' } })],
  ['payouts_paused warn', calm({ payouts_paused: true })],
  ['deposits_on_hold warn', calm({ holds: 3 })],
  ['payouts_waiting warn', { ...calm(), payouts_waiting: 1 }],
  ['commits_in_doubt warn', { ...calm(), metrics: parse_metrics('cocoon_lane_in_doubt_total 2') }],
  ['projector_behind warn', { ...calm(), metrics: parse_metrics('cocoon_projector_lag_seconds 6') }],
  ['builds_waiting plain', { ...calm(), builds_pending: 2 }],
  ['nodes_suspended plain', { ...calm(), overview: { ...calm().overview!, nodes_suspended: 1 } }],
])('raises %s', (name, seen) => {
  expect(named(seen)).toEqual([name]);
});

it('says the worst first', () => {
  const seen = { ...calm({ holds: 1 }), builds_pending: 1, metrics: parse_metrics('cocoon_lane_not_stored_total 1') };
  expect(named(seen)).toEqual(['commits_lost bad', 'deposits_on_hold warn', 'builds_waiting plain']);
});
