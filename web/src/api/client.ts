// The only door to the API: typed by openapi.yaml (schema.d.ts is generated), the session's cookie added by the browser,
// refusals as values of one class. Knows no page.
import createClient, { type Middleware } from 'openapi-fetch';
import { session } from '../app/session';
import type { components, paths } from './schema';

export type Schemas = components['schemas'];
export type Problem = Schemas['Problem'];

/** An answer that is not the wished one: the server's problem document, or `status` 0 when nothing was heard. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly problem: Partial<Problem>,
  ) {
    super(problem.detail ?? problem.title ?? problem.code ?? 'unreachable');
    this.name = 'Refusal';
  }
  get code(): string {
    return this.problem.code ?? (this.status === 0 ? 'unreachable' : 'unknown');
  }
  /** The message for one field of a form, by its JSON pointer. */
  of_field(path: string): string | undefined {
    return this.problem.errors?.find((fault) => fault.path === path)?.message;
  }
}

const credentials: Middleware = {
  onRequest({ request }) {
    // The mark of our own pages, without which the server believes no cookie.
    request.headers.set('X-Session', '1');
    return request;
  },
  onResponse({ request, response }) {
    // A call that brought its own key says nothing about the session.
    if (response.status === 401 && !request.headers.has('Authorization')) session.end();
  },
  onError() {
    throw new Refusal(0, {});
  },
};

export const client = createClient<paths>({ baseUrl: window.location.origin });
client.use(credentials);

interface Outcome<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

/** The body of a good answer; a Refusal is thrown for any other. */
export async function body<Data>(call: Promise<Outcome<Data>>): Promise<Data> {
  const { data, error, response } = await call;
  if (response.ok) return data as Data;
  throw new Refusal(
    response.status,
    typeof error === 'object' && error !== null ? (error as Partial<Problem>) : {},
  );
}

/** The same with the answer's ETag, for what will be changed. */
export async function tagged<Data>(call: Promise<Outcome<Data>>): Promise<Data & { etag: string }> {
  const outcome = await call;
  return { ...(await body(Promise.resolve(outcome))), etag: outcome.response.headers.get('ETag') ?? '*' };
}

/** A fresh name for a call that must not happen twice. */
export function once(): { 'Idempotency-Key': string } {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return { 'Idempotency-Key': Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('') };
}
