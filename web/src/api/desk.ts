// What a signed-in account reads and does. Reads are queries; each act is one function. Acts that the session's key may
// not do (capacity, work) go through a key of this tab, made when first needed and ended with the session.
import { session } from '../app/session';
import { body, client, once, tagged, type Schemas } from './client';

const acting_hours = 12;

const authorized = (secret: string) => ({ headers: { Authorization: `Bearer ${secret}` } });

/** The headers of an act that needs `offer` or `work`. */
async function acting(): Promise<{ headers: { Authorization: string } }> {
  const known = session.acting();
  if (known) return authorized(known.secret);
  const kind = session.current()?.account.kind;
  const expires_at = new Date(Date.now() + acting_hours * 3_600_000).toISOString();
  const key = await body(
    client.POST('/v1/keys', {
      params: { header: once() },
      body: { name: 'web desk', scopes: ['read', kind === 'provider' ? 'offer' : 'work'], expires_at },
    }),
  );
  session.act_with({ id: key.id, secret: key.secret ?? '', expires_at });
  return authorized(key.secret ?? '');
}

const of = (id: string) => ({ path: { id } });

export const own = {
  account: () => ({ queryKey: ['/v1/account'], queryFn: () => body(client.GET('/v1/account')) }),
  balance: () => ({
    queryKey: ['/v1/account/balance'],
    queryFn: () => body(client.GET('/v1/account/balance')),
    refetchInterval: 30_000,
  }),
  deposit: () => ({
    queryKey: ['/v1/account/deposit'],
    queryFn: () => body(client.GET('/v1/account/deposit')),
    staleTime: Infinity,
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
  /** Who holds this key; a Refusal when nobody does. */
  recognise: (secret: string) => body(client.GET('/v1/account', authorized(secret))),
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

  cancel_request: async (id: string) =>
    body(client.DELETE('/v1/requests/{id}', { params: of(id), ...(await acting()) })),
  cancel_job: async (id: string) => body(client.DELETE('/v1/jobs/{id}', { params: of(id), ...(await acting()) })),

  enrolment: (lifetime_seconds: number) =>
    body(client.POST('/v1/nodes/enrolments', { params: { header: once() }, body: { lifetime_seconds } })),
  drain: async (id: string) =>
    body(client.POST('/v1/nodes/{id}:drain', { params: { ...of(id), header: once() }, ...(await acting()) })),
  resume: async (id: string) =>
    body(client.POST('/v1/nodes/{id}:resume', { params: { ...of(id), header: once() }, ...(await acting()) })),

  place_offer: async (form: Schemas['OfferCreate']) =>
    body(client.POST('/v1/offers', { params: { header: once() }, body: form, ...(await acting()) })),
  amend_offer: async (id: string, etag: string, change: Schemas['OfferAmend']) =>
    body(
      client.PATCH('/v1/offers/{id}', {
        params: { ...of(id), header: { 'If-Match': etag } },
        body: change,
        ...(await acting()),
      }),
    ),
  cancel_offer: async (id: string, etag: string) =>
    body(
      client.DELETE('/v1/offers/{id}', {
        params: { ...of(id), header: { 'If-Match': etag } },
        ...(await acting()),
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

  /** Ends the tab's own key, then the session. */
  sign_out: async () => {
    const known = session.acting();
    if (known) await act.revoke_key(known.id).catch(() => undefined); // it ends by itself in hours
    session.end();
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
