import { expect, it } from 'vitest';
import type { Schemas } from '../api/client';
import { minute_of_week, obstacles } from './why';

const price = (prompt: string): Schemas['Price'] => ({
  prompt_nano_per_mtok: prompt,
  cached_nano_per_mtok: '0',
  completion_nano_per_mtok: '0',
  reasoning_nano_per_mtok: '0',
  request_nano: '0',
  gpu_second_nano: '0',
});
const now = new Date('2026-11-25T12:30:00Z'); // a Wednesday
const offer = {
  state: 'active',
  price: price('20'),
  slots: 4,
  slots_used: 0,
  windows: [],
} as unknown as Schemas['Offer'];
const node = {
  connected: true,
  draining: false,
  suspended: false,
  tier: 'tdx+gpu-cc',
  evidence_valid_until: '2026-11-26T00:00:00Z',
} as unknown as Schemas['Node'];
const level = (prompt: string, slots_free: number) => ({
  price: price(prompt),
  blended_nano: prompt,
  offers: 1,
  slots_free,
  offers_by_tier: {},
});
const book = {
  paused: false,
  offers: [level('10', 3), level('20', 4)],
  requests: [{ blended_max_nano: '15', requests: 2, slots: 2, quantity: {} }],
} as unknown as Schemas['Book'];
const codes = (facts: Partial<Parameters<typeof obstacles>[0]>) =>
  obstacles({ offer, node, book, now, ...facts }).map((one) => one.code);

it.each<[string, Partial<Parameters<typeof obstacles>[0]>, string[]]>([
  ['a dearer offer', {}, ['dearer', 'bids']],
  ['the cheapest offer', { book: { ...book, offers: [level('20', 4)], requests: [] } }, ['no_demand']],
  [
    'full cheaper offers are in nobody’s way',
    { book: { ...book, offers: [level('10', 0), level('20', 4)], requests: [] } },
    ['no_demand'],
  ],
  [
    'a simulated node',
    { node: { ...node, tier: 'simulated' }, book: { ...book, offers: [level('20', 4)], requests: [] } },
    ['no_demand', 'simulated'],
  ],
  ['an ended offer', { offer: { ...offer, state: 'cancelled' } }, ['ended']],
  [
    'a node away with lapsed evidence',
    { node: { ...node, connected: false, evidence_valid_until: '2026-11-25T12:30:00Z' } },
    ['away', 'evidence'],
  ],
  [
    'a paused offer on a draining node',
    { offer: { ...offer, state: 'paused' }, node: { ...node, draining: true } },
    ['paused', 'draining'],
  ],
  ['a full offer', { offer: { ...offer, slots_used: 4 } }, ['full']],
  ['a paused market', { book: { ...book, paused: true } }, ['market_paused']],
  [
    'outside of its window',
    { offer: { ...offer, windows: [{ from_minute: 0, to_minute: minute_of_week(now) }] } },
    ['schedule'],
  ],
  [
    'at its window’s first minute',
    { offer: { ...offer, windows: [{ from_minute: minute_of_week(now), to_minute: 10080 }] } },
    ['dearer', 'bids'],
  ],
])('%s', (_, facts, expected) => {
  expect(codes(facts)).toEqual(expected);
});

it('says how much cheaper', () => {
  expect(obstacles({ offer, node, book, now })[0]).toEqual({ code: 'dearer', slots: 3, best: 10n, own: 20n });
});

it('counts the week from Monday', () => {
  expect(minute_of_week(new Date('2026-11-23T00:00:00Z'))).toBe(0);
  expect(minute_of_week(new Date('2026-11-22T23:59:00Z'))).toBe(10079);
});
