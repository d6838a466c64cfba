// The public market feed, opened once for the whole application: writes what it hears into the queries' cache and says
// how fresh that is. Figures that the feed does not carry (day's volume, percentiles) are asked for again by time.
import { useQueryClient, type QueryClient } from '@tanstack/react-query';
import { createContext, useContext, useEffect, useState, type ReactNode } from 'react';
import { read, type Book, type Market } from './market';
import { open_stream, type StreamEvent, type StreamState } from './stream';
import type { Schemas } from './client';

export interface Freshness {
  state: StreamState;
  heard_at: number; // ms since 1970, of the last event or state
}

const Context = createContext<Freshness>({ state: 'connecting', heard_at: Date.now() });
export const useFreshness = (): Freshness => useContext(Context);

function take_book(cache: QueryClient, book: Book): void {
  cache.setQueryData<Book>(read.book(book.market).queryKey, (known) =>
    known && BigInt(known.as_of) > BigInt(book.as_of) ? known : book,
  );
  // The row of the markets' list: the best price is that of the cheapest level, by its own dimensions.
  cache.setQueryData<Schemas['MarketList']>(
    read.markets().queryKey,
    (list) =>
      list && { ...list, items: list.items.map((row) => (row.name === book.market ? row_after(row, book) : row)) },
  );
}

function row_after(row: Market, book: Book): Market {
  const totals = book.totals;
  return {
    ...row,
    paused: book.paused ?? row.paused,
    best_price: book.offers[0]?.price ?? row.best_price,
    slots: totals?.slots_total ?? row.slots,
    slots_used: totals ? totals.slots_total - totals.slots_free : row.slots_used,
    resting_requests: totals?.requests ?? row.resting_requests,
    last_trade_at: book.last_trade_at ?? row.last_trade_at,
  };
}

/** By market, the newest trade that its list should show. */
const wanted = new Map<string, bigint>();
const attempts_max = 6;
const pause_ms = 250;

/** The event has no unit price and no tier, so the list is read again. The tables may be a moment behind the feed: the
    answer says which sequence it includes, and is asked for again until that is the event's. */
async function take_trade(cache: QueryClient, market: string, sequence: bigint): Promise<void> {
  const known = wanted.get(market);
  wanted.set(market, sequence);
  const query = read.trades(market);
  if (known !== undefined || cache.getQueryData(query.queryKey) === undefined) {
    if (known === undefined) wanted.delete(market); // nobody looks at it
    return;
  }
  for (let attempt = 1; attempt <= attempts_max; attempt++) {
    await new Promise((done) => setTimeout(done, pause_ms * attempt));
    const list = await cache.fetchQuery({ ...query, staleTime: 0 }).catch(() => undefined);
    if (list?.as_of && BigInt(list.as_of) >= (wanted.get(market) ?? 0n)) break;
  }
  wanted.delete(market);
}

function take(cache: QueryClient, event: StreamEvent): void {
  if (event.name === 'gap') {
    void cache.invalidateQueries({ predicate: (query) => String(query.queryKey[0]).startsWith('/v1/markets') });
    return;
  }
  const data = JSON.parse(event.data) as Book & { market: string };
  if (event.name === 'book') take_book(cache, data);
  if (event.name === 'trade') void take_trade(cache, data.market, BigInt(event.id || 0));
}

export function LiveMarket({ children }: { children: ReactNode }) {
  const cache = useQueryClient();
  const [freshness, set_freshness] = useState<Freshness>({ state: 'connecting', heard_at: Date.now() });
  useEffect(() => {
    // A burst of trades is one redraw: what was heard is noted at most twice a second.
    let noted = 0;
    return open_stream({
      url: '/v1/market-events',
      on_event: (event) => {
        take(cache, event);
        const now = Date.now();
        if (now - noted < 500) return;
        noted = now;
        set_freshness({ state: 'live', heard_at: now });
      },
      on_state: (state) => set_freshness({ state, heard_at: Date.now() }),
    });
  }, [cache]);
  return <Context value={freshness}>{children}</Context>;
}
