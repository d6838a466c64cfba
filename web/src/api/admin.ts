// What an operator or auditor reads and does; every act is audited with its note.
import { parse_metrics } from '../format/metrics';
import { body, client, once, Refusal, type Schemas } from './client';

export type Overview = Schemas['Overview'];
export type Ledger = Schemas['Ledger'];
export type Settlement = Schemas['Settlement'];
export type OverseenPayout = Schemas['OverseenPayout'];
export type HeldDeposit = Schemas['HeldDeposit'];

const of = (id: string) => ({ path: { id }, header: once() });
const named = (name: string) => ({ path: { name }, header: once() });

export const admin = {
  overview: () => ({
    queryKey: ['/v1/admin/overview'],
    queryFn: () => body(client.GET('/v1/admin/overview')),
    refetchInterval: 10_000,
  }),
  settlement: () => ({
    queryKey: ['/v1/admin/settlement'],
    queryFn: () => body(client.GET('/v1/admin/settlement')),
    refetchInterval: 15_000,
  }),
  metrics: () => ({
    queryKey: ['/metrics'],
    queryFn: async () => {
      const { data, response } = await client.GET('/metrics', { parseAs: 'text' });
      if (!response.ok) throw new Refusal(response.status, {});
      return parse_metrics(String(data));
    },
    refetchInterval: 10_000,
  }),
  ledger: () => ({ queryKey: ['/v1/admin/ledger'], queryFn: () => body(client.GET('/v1/admin/ledger')) }),

  freeze: (id: string, note: string) =>
    body(client.POST('/v1/admin/accounts/{id}:freeze', { params: of(id), body: { note } })),
  unfreeze: (id: string, note: string) =>
    body(client.POST('/v1/admin/accounts/{id}:unfreeze', { params: of(id), body: { note } })),
  suspend: (id: string, note: string) =>
    body(client.POST('/v1/admin/nodes/{id}:suspend', { params: of(id), body: { note } })),
  restore: (id: string, note: string) =>
    body(client.POST('/v1/admin/nodes/{id}:restore', { params: of(id), body: { note } })),
  pause: (name: string, note: string) =>
    body(client.POST('/v1/admin/markets/{name}:pause', { params: named(name), body: { note } })),
  resume: (name: string, note: string) =>
    body(client.POST('/v1/admin/markets/{name}:resume', { params: named(name), body: { note } })),
  pause_payouts: (note: string) =>
    body(client.POST('/v1/admin/settlement:pause', { params: { header: once() }, body: { note } })),
  resume_payouts: (note: string) =>
    body(client.POST('/v1/admin/settlement:resume', { params: { header: once() }, body: { note } })),
  approve: (id: string, note: string) =>
    body(client.POST('/v1/admin/payouts/{id}:approve', { params: of(id), body: { note } })),
  reject: (id: string, reason: string) =>
    body(client.POST('/v1/admin/payouts/{id}:reject', { params: of(id), body: { reason } })),
  credit: (id: string, account: string, note: string) =>
    body(client.POST('/v1/admin/held-deposits/{id}:credit', { params: of(id), body: { account, note } })),
  set_fee: (basis_points: number, note: string) =>
    body(client.PUT('/v1/admin/fee', { body: { basis_points, note } })),
};
