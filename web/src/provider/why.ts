// Why an offer gets no work, from what its owner and the public book know: each obstacle with what would remove it, the
// hardest first. Pure; the market's own rule is the same list of conditions, and its prices come from its own book.
import type { Schemas } from '../api/client';
import { nano_of } from '../format/money';

export type Obstacle =
  | {
      code:
        | 'ended'
        | 'paused'
        | 'away'
        | 'draining'
        | 'evidence'
        | 'schedule'
        | 'market_paused'
        | 'no_demand'
        | 'simulated';
    }
  | { code: 'suspended'; why: string }
  | { code: 'full'; slots: number }
  | { code: 'dearer'; slots: number; best: bigint; own: bigint }
  | { code: 'bids'; count: number; most: bigint };

interface Facts {
  offer: Schemas['Offer'];
  node: Schemas['Node'];
  book: Schemas['Book'];
  now: Date;
}

/** Minutes since Monday 00:00 UTC. */
export function minute_of_week(now: Date): number {
  return ((now.getUTCDay() + 6) % 7) * 1440 + now.getUTCHours() * 60 + now.getUTCMinutes();
}

function same_price(a: Schemas['Price'], b: Schemas['Price']): boolean {
  return (Object.keys(a) as (keyof Schemas['Price'])[]).every((dimension) => a[dimension] === b[dimension]);
}

export function obstacles({ offer, node, book, now }: Facts): Obstacle[] {
  const found: Obstacle[] = [];
  if (offer.state === 'cancelled' || offer.state === 'expired') return [{ code: 'ended' }];
  if (offer.state === 'paused') found.push({ code: 'paused' });
  if (node.suspended) found.push({ code: 'suspended', why: node.suspended_reason ?? '' });
  if (!node.connected) found.push({ code: 'away' });
  if (!node.evidence_valid_until || Date.parse(node.evidence_valid_until) <= now.getTime())
    found.push({ code: 'evidence' });
  if (node.draining) found.push({ code: 'draining' });
  const windows = offer.windows ?? [];
  const minute = minute_of_week(now);
  if (windows.length > 0 && !windows.some((window) => window.from_minute <= minute && minute < window.to_minute))
    found.push({ code: 'schedule' });
  if (book.paused) found.push({ code: 'market_paused' });
  if (offer.slots_used >= offer.slots) found.push({ code: 'full', slots: offer.slots });
  if (found.length > 0) return found;

  const own_level = book.offers.find((level) => same_price(level.price, offer.price));
  if (own_level) {
    const own = nano_of(own_level.blended_nano);
    const cheaper = book.offers.filter((level) => nano_of(level.blended_nano) < own && level.slots_free > 0);
    const best = cheaper[0];
    if (best)
      found.push({
        code: 'dearer',
        slots: cheaper.reduce((sum, level) => sum + level.slots_free, 0),
        best: nano_of(best.blended_nano),
        own,
      });
  }
  const dearest = book.requests[0];
  if (!dearest) found.push({ code: 'no_demand' });
  else if (dearest.blended_max_nano)
    found.push({
      code: 'bids',
      count: book.requests.reduce((sum, level) => sum + level.requests, 0),
      most: nano_of(dearest.blended_max_nano),
    });
  if (node.tier === 'simulated') found.push({ code: 'simulated' });
  return found;
}
