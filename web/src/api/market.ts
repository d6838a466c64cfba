// Everything the public pages read, one function a call; each query's key is the path it reads, which is also the link
// to its JSON that every figure shows.
import { keepPreviousData } from '@tanstack/react-query';
import { body, client, type Schemas } from './client';

export type Market = Schemas['Market'];
export type Book = Schemas['Book'];
export type Trade = Schemas['Trade'];
export type Candle = Schemas['Candle'];
export type Node = Schemas['Node'];
export type Price = Schemas['Price'];
export type Tier = Schemas['Tier'];
export type Interval = '1m' | '1h' | '1d';

const named = (name: string) => ({ params: { path: { name } } });
export const market_path = (name: string) => `/v1/markets/${encodeURIComponent(name)}`;

export const read = {
  markets: () => ({
    queryKey: ['/v1/markets'],
    queryFn: () => body(client.GET('/v1/markets')),
    staleTime: 10_000,
    refetchInterval: 30_000,
  }),
  market: (name: string) => ({
    queryKey: [market_path(name)],
    queryFn: () => body(client.GET('/v1/markets/{name}', named(name))),
  }),
  book: (name: string) => ({
    queryKey: [market_path(name) + '/book'],
    queryFn: () =>
      body(client.GET('/v1/markets/{name}/book', { params: { path: { name }, query: { depth: 100 } } })),
    staleTime: 5_000,
  }),
  ticker: (name: string) => ({
    queryKey: [market_path(name) + '/ticker'],
    queryFn: () => body(client.GET('/v1/markets/{name}/ticker', named(name))),
    refetchInterval: 15_000,
  }),
  trades: (name: string) => ({
    queryKey: [market_path(name) + '/trades'],
    queryFn: () =>
      body(client.GET('/v1/markets/{name}/trades', { params: { path: { name }, query: { limit: 50 } } })),
    refetchInterval: 30_000,
  }),
  candles: (name: string, interval: Interval, limit = 100) => ({
    queryKey: [`${market_path(name)}/candles?interval=${interval}&limit=${limit}`],
    queryFn: () =>
      body(client.GET('/v1/markets/{name}/candles', { params: { path: { name }, query: { interval, limit } } })),
    refetchInterval: 30_000,
    placeholderData: keepPreviousData,
  }),
  prices: (name: string) => ({
    queryKey: [market_path(name) + '/prices'],
    queryFn: () => body(client.GET('/v1/markets/{name}/prices', named(name))),
    refetchInterval: 30_000,
  }),
  demand: (name: string) => ({
    queryKey: [market_path(name) + '/demand'],
    queryFn: () => body(client.GET('/v1/markets/{name}/demand', named(name))),
    refetchInterval: 60_000,
  }),
  network: () => ({
    queryKey: ['/v1/network'],
    queryFn: () => body(client.GET('/v1/network')),
    refetchInterval: 30_000,
  }),
  node: (id: string) => ({
    queryKey: [`/v1/nodes/${id}`],
    queryFn: () => body(client.GET('/v1/nodes/{id}', { params: { path: { id } } })),
    refetchInterval: 30_000,
  }),
  evidence: (id: string) => ({
    queryKey: [`/v1/nodes/${id}/evidence`],
    queryFn: () => body(client.GET('/v1/nodes/{id}/evidence', { params: { path: { id } } })),
    retry: false,
  }),
  version: () => ({
    queryKey: ['/version'],
    queryFn: () => body(client.GET('/version')),
    staleTime: Infinity,
  }),
  ready: () => ({
    queryKey: ['/readyz'],
    queryFn: async () => {
      const { response } = await client.GET('/readyz');
      return { ready: response.ok };
    },
    refetchInterval: 15_000,
  }),
  solvency: () => ({
    queryKey: ['/v1/proof/solvency'],
    queryFn: () => body(client.GET('/v1/proof/solvency')),
    refetchInterval: 60_000,
    retry: false,
  }),
  market_key: () => ({
    queryKey: ['/v1/market-key'],
    queryFn: () => body(client.GET('/v1/market-key')),
    staleTime: Infinity,
  }),
};
