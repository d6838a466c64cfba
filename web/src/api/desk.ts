// What a signed-in account reads and does. Reads are queries; each act is one function. A key that is typed in travels in
// that one call and is kept nowhere.
import { session, type Account } from '../app/session';
import { body, client, once, tagged, type Schemas } from './client';

const authorized = (secret: string) => ({ headers: { Authorization: `Bearer ${secret}` } });

const of = (id: string) => ({ path: { id } });

export const own = {
  account: () => ({ queryKey: ['/v1/account'], queryFn: () => body(client.GET('/v1/account')) }),
  balance: () => ({
    queryKey: ['/v1/account/balance'],
    queryFn: () => body(client.GET('/v1/account/balance')),
    refetchInterval: 30_000,
  }),
  login: () => ({ queryKey: ['/v1/account/login'], queryFn: () => body(client.GET('/v1/account/login')) }),
  wallet: () => ({ queryKey: ['/v1/account/wallet'], queryFn: () => body(client.GET('/v1/account/wallet')) }),
  deposit: () => ({
    queryKey: ['/v1/account/deposit'],
    queryFn: () => body(client.GET('/v1/account/deposit')),
    staleTime: Infinity,
  }),
  proof: () => ({
    queryKey: ['/v1/account/proof'],
    queryFn: () => body(client.GET('/v1/account/proof')),
    retry: false,
    refetchInterval: 15_000,
  }),
  usage: (side: 'bought' | 'sold', group: 'day' | 'market' | 'node' | 'key') => ({
    queryKey: ['/v1/account/usage', side, group],
    queryFn: () => body(client.GET('/v1/account/usage', { params: { query: { side, group } } })),
  }),
  request: (id: string) => ({
    queryKey: [`/v1/requests/${id}`],
    queryFn: () => tagged(client.GET('/v1/requests/{id}', { params: of(id) })),
  }),
  explain: (id: string) => ({
    queryKey: [`/v1/requests/${id}/explain`],
    queryFn: () => body(client.GET('/v1/requests/{id}/explain', { params: of(id) })),
  }),
  job: (id: string) => ({
    queryKey: [`/v1/jobs/${id}`],
    queryFn: () => body(client.GET('/v1/jobs/{id}', { params: of(id) })),
  }),
  receipt: (id: string) => ({
    queryKey: [`/v1/jobs/${id}/receipt`],
    queryFn: () => body(client.GET('/v1/jobs/{id}/receipt', { params: of(id) })),
    retry: false,
  }),
  offer: (id: string) => ({
    queryKey: [`/v1/offers/${id}`],
    queryFn: () => tagged(client.GET('/v1/offers/{id}', { params: of(id) })),
  }),
  webhooks: () => ({ queryKey: ['/v1/webhooks'], queryFn: () => body(client.GET('/v1/webhooks')) }),
};

export const act = {
  sign_up: (form: Schemas['AccountCreate'], name: { 'Idempotency-Key': string }) =>
    body(client.POST('/v1/accounts', { params: { header: name }, body: form })),
  amend_account: (change: Schemas['AccountAmend']) => body(client.PATCH('/v1/account', { body: change })),

  create_key: (form: Schemas['KeyCreate']) =>
    body(client.POST('/v1/keys', { params: { header: once() }, body: form })),
  amend_key: (id: string, change: Schemas['KeyAmend']) =>
    body(client.PATCH('/v1/keys/{id}', { params: of(id), body: change })),
  rotate_key: (id: string, overlap_seconds: number) =>
    body(client.POST('/v1/keys/{id}:rotate', { params: { ...of(id), header: once() }, body: { overlap_seconds } })),
  revoke_key: (id: string) => body(client.DELETE('/v1/keys/{id}', { params: of(id) })),

  cancel_request: (id: string) => body(client.DELETE('/v1/requests/{id}', { params: of(id) })),
  cancel_job: (id: string) => body(client.DELETE('/v1/jobs/{id}', { params: of(id) })),

  enrolment: (lifetime_seconds: number) =>
    body(client.POST('/v1/nodes/enrolments', { params: { header: once() }, body: { lifetime_seconds } })),
  drain: (id: string) => body(client.POST('/v1/nodes/{id}:drain', { params: { ...of(id), header: once() } })),
  resume: (id: string) => body(client.POST('/v1/nodes/{id}:resume', { params: { ...of(id), header: once() } })),

  place_offer: (form: Schemas['OfferCreate']) =>
    body(client.POST('/v1/offers', { params: { header: once() }, body: form })),
  amend_offer: (id: string, etag: string, change: Schemas['OfferAmend']) =>
    body(
      client.PATCH('/v1/offers/{id}', {
        params: { ...of(id), header: { 'If-Match': etag } },
        body: change,
      }),
    ),
  cancel_offer: (id: string, etag: string) =>
    body(
      client.DELETE('/v1/offers/{id}', {
        params: { ...of(id), header: { 'If-Match': etag } },
      }),
    ),

  request_payout: (amount_nano: string, source: 'earned' | 'available') =>
    body(client.POST('/v1/payouts', { params: { header: once() }, body: { amount_nano, source } })),
  create_webhook: (form: Schemas['WebhookCreate']) =>
    body(client.POST('/v1/webhooks', { params: { header: once() }, body: form })),
  remove_webhook: (id: string) => body(client.DELETE('/v1/webhooks/{id}', { params: of(id) })),
  redeliver: (id: string) =>
    body(client.POST('/v1/webhooks/{id}:redeliver', { params: of(id), body: { since: '0' } })),
  faucet: (memo: string, amount_nano: string) =>
    body(client.POST('/v1/dev/faucet', { body: { memo, amount_nano } })),

  sign_in: async (form: Schemas['SessionCreate'], key?: string): Promise<Account> => {
    const opened = await body(client.POST('/v1/session', { body: form, ...(key ? authorized(key) : {}) }));
    session.begin(opened.account);
    return opened.account;
  },
  set_login: (form: Schemas['LoginSet'], key: string) =>
    body(client.PUT('/v1/account/login', { body: form, ...authorized(key) })),
  challenge_wallet: () => body(client.POST('/v1/session/wallet-challenges')),
  set_wallet: (form: Schemas['WalletSet'], key: string) =>
    body(client.PUT('/v1/account/wallet', { body: form, ...authorized(key) })),
  /** The pages forget at once; a session that cannot be ended now ends by itself. */
  sign_out: async () => {
    const ending = body(client.DELETE('/v1/session')).catch(() => undefined);
    session.end();
    await ending;
  },
};

/** The statement as the server writes it, every entry. */
export async function statement_csv(): Promise<string> {
  const { data, response } = await client.GET('/v1/account/statement', {
    params: { query: { format: 'csv' } },
    parseAs: 'text',
  });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return data as unknown as string;
}
