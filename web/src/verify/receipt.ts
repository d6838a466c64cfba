// A receipt as its node signed it (aci/1 with our `market.job` event): read, and checked against the keyset that its
// signature names, the market's key, and what else is known of the job. The same rules as sealing/receipt.cpp. Pure
// functions: nothing here asks the market for anything.
import { digest_text, from_hex, join, signed, utf8 } from './bytes';
import { found, not_checked, type Finding } from './finding';
import { canonical, is_object, text_at, type Json, type JsonObject } from './json';

const cosignature_label = 'cocoon-market/receipt-cosignature/v1';
const events_max = 64;
const million = 1_000_000n;
const int64_max = 2n ** 63n - 1n;

/** The six quantities: their price in a receipt, their count, and whether the price is for a million of them. */
const quantities = [
  ['prompt_nano_per_mtok', 'prompt_tokens', true],
  ['cached_nano_per_mtok', 'cached_tokens', true],
  ['completion_nano_per_mtok', 'completion_tokens', true],
  ['reasoning_nano_per_mtok', 'reasoning_tokens', true],
  ['request_nano', 'requests', false],
  ['gpu_second_nano', 'gpu_seconds', false],
] as const;

const event_names = [
  ...['type', 'version', 'job', 'request', 'node', 'market', 'build', 'cost_nano', 'status', 'session_counter'],
  ...['sealed_request_sha256', 'sealed_response_sha256'],
  ...quantities.flatMap(([price, count]) => [`price_${price}`, `usage_${count}`]),
];
const session_names = ['cumulative_cost_nano', ...quantities.map(([, count]) => `cumulative_${count}`)];

/** A whole number as receipts write it; nothing if it is anything else. */
export function whole(text: string | undefined): bigint | undefined {
  if (text === undefined || !/^(0|[1-9]\d{0,18})$/.test(text)) return undefined;
  const number = BigInt(text);
  return number <= int64_max ? number : undefined;
}

export interface Receipt {
  document: JsonObject;
  event: JsonObject; // market.job
  received?: string; // "sha256:<hex>" of ACI's own events
  returned?: string;
}

/** The receipt in a document that is one of ours, or what is wrong with it. */
export function read_receipt(document: Json | undefined): Receipt | string {
  if (!is_object(document) || text_at(document, 'api_version') !== 'aci/1') return 'api_version is not aci/1';
  const log = document.event_log;
  if (!Array.isArray(log) || log.length > events_max) return 'event_log is not a list of at most 64 events';
  if (text_at(log[0], 'type') !== 'request.received') return 'the first event is not request.received';
  const of_type = (type: string) => log.filter((event) => text_at(event, 'type') === type);
  const [jobs, received, returned] = ['market.job', 'request.received', 'response.returned'].map(of_type);
  const event = jobs![0];
  if (jobs!.length !== 1 || !is_object(event)) return 'there is not exactly one market.job event';
  if (received!.length > 1 || returned!.length > 1) return 'an ACI event occurs twice';
  const wrong = wrong_member(event);
  if (wrong) return `market.job: ${wrong} is missing, not acceptable or does not belong there`;
  return {
    document,
    event,
    received: text_at(received![0], 'body_hash'),
    returned: text_at(returned![0], 'body_hash'),
  };
}

function wrong_member(event: JsonObject): string | undefined {
  if (text_at(event, 'version') !== '1') return 'version';
  const counter = text_at(event, 'session_counter');
  if (counter === undefined || !/^(0|[1-9]\d{0,19})$/.test(counter)) return 'session_counter';
  const wanted = new Set(counter === '0' ? event_names : [...event_names, ...session_names]);
  const foreign = Object.keys(event).find((name) => !wanted.has(name));
  if (foreign !== undefined) return foreign;
  for (const name of wanted) {
    const text = text_at(event, name);
    if (text === undefined) return name;
    const counted = name.endsWith('_nano') || /^(price|usage|cumulative)_/.test(name);
    if (counted && whole(text) === undefined) return name;
    if (name.endsWith('_sha256') && !from_hex(text, 32)) return name;
  }
  return ['completed', 'partial', 'failed'].includes(text_at(event, 'status')!) ? undefined : 'status';
}

/** What usage costs at these prices: one rounding, up, at the end. */
export function cost_of(event: JsonObject): bigint {
  const each = (name: string) => whole(text_at(event, name)) ?? 0n;
  const scaled = quantities.reduce(
    (sum, [price, count, per_million]) =>
      sum + each(`usage_${count}`) * each(`price_${price}`) * (per_million ? 1n : million),
    0n,
  );
  return (scaled + million - 1n) / million;
}

// ---- Keyset --------------------------------------------------------------------------------------------------------

export interface Keyset {
  digest: string; // "sha256:<hex>" of the canonical document
  not_after?: number; // seconds since 1970
  receipt_keys: { key_id: string; public_key: Uint8Array }[];
}

export function read_keyset(document: Json): Keyset {
  const entries = is_object(document) ? document.receipt_signing_keys : undefined;
  const not_after = is_object(document) ? document.not_after : undefined;
  const receipt_keys = (Array.isArray(entries) ? entries : []).flatMap((entry) => {
    const public_key = from_hex(text_at(entry, 'public_key'), 32);
    const key_id = text_at(entry, 'key_id');
    return text_at(entry, 'algo') === 'ed25519' && key_id && public_key ? [{ key_id, public_key }] : [];
  });
  return {
    digest: digest_text(utf8(canonical(document))),
    not_after: typeof not_after === 'number' ? not_after : undefined,
    receipt_keys,
  };
}

// ---- Checks --------------------------------------------------------------------------------------------------------

/** That this keyset is the one the receipt names, and signed it while it was in force. */
export function check_keyset({ document }: Receipt, keyset: Keyset | 'unreadable' | undefined): Finding[] {
  if (keyset === undefined || keyset === 'unreadable')
    return [
      keyset ? found('keyset', false) : not_checked('keyset'),
      not_checked('node_signature'),
      not_checked('keyset_in_force'),
    ];
  const names = text_at(document, 'workload_keyset_digest');
  const key_id = text_at(document, 'key_id');
  const key = keyset.receipt_keys.find((one) => one.key_id === key_id);
  const { signature: _, ...unsigned } = document;
  const message = utf8(canonical(unsigned));
  const served_at = document.served_at;
  return [
    found('keyset', names === keyset.digest, keyset.digest),
    found('node_signature', signed(message, from_hex(text_at(document, 'signature'), 64), key?.public_key), key_id),
    keyset.not_after === undefined || typeof served_at !== 'number'
      ? found('keyset_in_force', false)
      : found('keyset_in_force', served_at < keyset.not_after, new Date(served_at * 1000).toISOString()),
  ];
}

/** The market's signature around the receipt, by the key that the reader trusts. */
export function check_cosignature(
  { document }: Receipt,
  cosignature: Json | undefined,
  market_key: string | undefined,
): Finding {
  if (cosignature === undefined || market_key === undefined) return not_checked('market_cosignature');
  if (text_at(cosignature, 'public_key') !== market_key)
    return found('market_cosignature', false, text_at(cosignature, 'public_key'));
  const message = join(utf8(cosignature_label), new Uint8Array(1), utf8(canonical(document)));
  const signature = from_hex(text_at(cosignature, 'signature'), 64);
  return found('market_cosignature', signed(message, signature, from_hex(market_key, 32)), market_key);
}

export function check_cost({ event }: Receipt): Finding {
  const cost = cost_of(event);
  return found('cost', cost === whole(text_at(event, 'cost_nano')), `${cost}`);
}

/** The chain from ACI's events to the job's: both name the same sealed octets. */
export function check_chain({ event, received, returned }: Receipt): Finding {
  const same =
    received === `sha256:${text_at(event, 'sealed_request_sha256')}` &&
    returned === `sha256:${text_at(event, 'sealed_response_sha256')}`;
  return found('hash_chain', same);
}

/** What is known of the job from elsewhere: the client's own notes, or the market's record. */
export interface Known {
  job?: string;
  node?: string;
  price?: Json;
  usage?: Json;
  captured_nano?: string;
  sealed_request_sha256?: string; // "sha256:<hex>"
  sealed_response_sha256?: string;
}

/** The record names job and node; of a single exchange also what was captured. A session's is the sum of many. */
export function check_record({ event }: Receipt, known: Known): Finding {
  if (known.job === undefined) return not_checked('job_record');
  const single = text_at(event, 'session_counter') === '0';
  const same =
    known.job === text_at(event, 'job') &&
    known.node === text_at(event, 'node') &&
    (!single || known.captured_nano === text_at(event, 'cost_nano'));
  return found('job_record', same, known.job);
}

export function check_price({ event }: Receipt, known: Known): Finding {
  const price = known.price;
  if (!is_object(price)) return not_checked('agreed_price');
  return found(
    'agreed_price',
    quantities.every(([name]) => (text_at(price, name) ?? '0') === text_at(event, `price_${name}`)),
  );
}

/** Tokens as the client's engine answer counted them; GPU time is the node's word alone. */
export function check_usage({ event }: Receipt, known: Known): Finding {
  const usage = known.usage;
  if (!is_object(usage)) return not_checked('reported_usage');
  const tokens = quantities.filter(([, , per_million]) => per_million);
  return found(
    'reported_usage',
    tokens.every(([, count]) => String(usage[count] ?? 0) === text_at(event, `usage_${count}`)),
  );
}

export function check_sealed({ received, returned }: Receipt, known: Known): Finding[] {
  const one = (check: 'sealed_request' | 'sealed_response', ours: string | undefined, theirs: string | undefined) =>
    ours === undefined ? not_checked(check) : found(check, ours === theirs, ours);
  return [
    one('sealed_request', known.sealed_request_sha256, received),
    one('sealed_response', known.sealed_response_sha256, returned),
  ];
}
