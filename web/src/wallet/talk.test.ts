// Conversations with a wallet of the test's own, through the real library: a bridge that carries sealed messages between
// both, and a wallet that signs, refuses, is on the wrong network, is late, or says nothing.
import { readFileSync } from 'node:fs';
import { getPublicKey, sign, verify } from '@noble/ed25519';
import { sha256 } from '@noble/hashes/sha2';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { join, to_hex, utf8 } from '../verify/bytes';
import type { Schemas } from '../api/client';
import type { Payment, Talk, Turn } from './talk';
import { wallet_named } from './wallets';
import list from './wallets.json';

const origin = 'https://market.example';
const tonkeeper = wallet_named('tonkeeper')!;
const mainnet = -239;
const testnet = -3;

/** The chosen bridge, and ourselves: whom anybody is asked. */
const allowed = /^https:\/\/(bridge\.tonapi\.io\/bridge\/(events|message)\?|market\.example\/.*wallets\.json)/;

interface Heard {
  method: string;
  params: string[];
  id: string;
}

/** An EventSource of the test's bridge. */
class Source {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSED = 2;
  static readonly open = new Map<string, Source>();
  readyState = Source.CONNECTING;
  onopen?: () => void;
  onerror?: (reason: unknown) => void;
  onmessage?: (event: { data: string; lastEventId: string }) => void;
  constructor(readonly url: string) {
    asked.push(url);
    queueMicrotask(() => {
      this.readyState = Source.OPEN;
      Source.open.set(new URL(url).searchParams.get('client_id')!, this);
      this.onopen?.();
    });
  }
  close() {
    this.readyState = Source.CLOSED;
  }
}

const asked: string[] = [];
let on_post: (url: URL, body: string) => void;
vi.stubGlobal('EventSource', Source);
vi.stubGlobal('location', { origin });
vi.stubGlobal('fetch', async (url: URL | string, init?: { body: string }) => {
  const whole = new URL(url, origin);
  asked.push(whole.href);
  if (whole.origin === origin) return Response.json(list);
  if (init) on_post(whole, init.body);
  return new Response('{}');
});
// The library looks for an EventSource when it is loaded.
const { SessionCrypto } = await import('@tonconnect/sdk');
const { answer_ms, pay, prove, WalletFault } = await import('./talk');

const from_hex = (text: string) => Uint8Array.from(text.match(/../g)!, (two) => parseInt(two, 16));
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');

/** Signs as TON Connect's `ton_proof` says. */
function proof_message(id: string, domain: string, timestamp: number, payload: string): Uint8Array {
  const numbers = Buffer.alloc(16);
  numbers.writeInt32BE(0, 0);
  numbers.writeUInt32LE(utf8(domain).length, 4);
  numbers.writeBigUInt64LE(BigInt(timestamp), 8);
  const inner = join(
    utf8('ton-proof-item-v2/'),
    numbers.subarray(0, 4),
    from_hex(id),
    numbers.subarray(4, 8),
    utf8(domain),
    numbers.subarray(8),
    utf8(payload),
  );
  return sha256(join(Uint8Array.of(0xff, 0xff), utf8('ton-connect'), sha256(inner)));
}

class Wallet {
  readonly crypto = new SessionCrypto();
  readonly secret = sha256(utf8('a wallet of the test'));
  readonly id = to_hex(sha256(utf8('its account')));
  readonly heard: Heard[] = [];
  request?: { manifestUrl: string; items: { name: string; payload?: string }[] };
  private app = '';
  constructor(
    readonly network = mainnet,
    /** What it answers to a payment; nothing: it says nothing. */
    readonly on_payment?: () => object,
  ) {
    on_post = (url, body) => {
      if (url.searchParams.get('to') !== this.crypto.sessionId) return;
      const sealed = Uint8Array.from(Buffer.from(body, 'base64'));
      const call = JSON.parse(this.crypto.decrypt(sealed, from_hex(url.searchParams.get('client_id')!))) as Heard;
      this.heard.push(call);
      const answer = call.method === 'sendTransaction' && this.on_payment?.();
      if (answer) setTimeout(() => this.say({ id: call.id, ...answer }), 3_000); // as a person does
    };
  }
  scan(link: string) {
    const said = new URL(link).searchParams;
    this.app = said.get('id')!;
    this.request = JSON.parse(said.get('r')!) as Wallet['request'];
  }
  say(message: object) {
    const data = JSON.stringify({
      from: this.crypto.sessionId,
      message: base64(this.crypto.encrypt(JSON.stringify(message), from_hex(this.app))),
    });
    Source.open.get(this.app)!.onmessage!({ data, lastEventId: '1' });
  }
  /** Its owner agrees; `proof: false`: the wallet is too old to prove anything. */
  agree({ proof = true } = {}) {
    const timestamp = Math.floor(Date.now() / 1000);
    const domain = new URL(this.request!.manifestUrl).host;
    const payload = this.request!.items.find((item) => item.name === 'ton_proof')?.payload;
    const signature = (text: string) => base64(sign(proof_message(this.id, domain, timestamp, text), this.secret));
    this.say({
      event: 'connect',
      id: 1,
      payload: {
        device: {
          platform: 'iphone',
          appName: 'tonkeeper',
          appVersion: '1',
          maxProtocolVersion: 2,
          features: ['SendTransaction', { name: 'SendTransaction', maxMessages: 4 }],
        },
        items: [
          {
            name: 'ton_addr',
            address: `0:${this.id}`,
            network: String(this.network),
            publicKey: to_hex(getPublicKey(this.secret)),
            walletStateInit: 'te6cckEBAQEAAgAAAEysuc0=',
          },
          ...(payload === undefined
            ? []
            : [
                proof
                  ? {
                      name: 'ton_proof',
                      proof: {
                        timestamp,
                        domain: { lengthBytes: domain.length, value: domain },
                        payload,
                        signature: signature(payload),
                      },
                    }
                  : { name: 'ton_proof', error: { code: 400, message: 'not supported' } },
              ]),
        ],
      },
    });
  }
  refuse() {
    this.say({ event: 'connect_error', id: 1, payload: { code: 300, message: 'User declined the connection' } });
  }
}

function challenge(life_ms = 300_000): Schemas['WalletChallenge'] {
  return {
    payload: 'Zm9yIG9uY2UgYW5kIGZvciBtaW51dGVz',
    domain: 'market.example',
    network: mainnet,
    expires_at: new Date(Date.now() + life_ms).toISOString(),
  };
}

/** A visitor, who does `act` when the wallet is to be opened. */
function visitor(act: (link: string) => void | Promise<void>, on_agree?: () => void) {
  const cancel = new AbortController();
  const turns: Turn['at'][] = [];
  const talk: Talk = {
    wallet: tonkeeper,
    here: false,
    signal: cancel.signal,
    tell: (turn) => {
      turns.push(turn.at);
      if (turn.at === 'agree') on_agree?.();
      // The bridge is reached a moment after the code is shown, as a person is slower than both.
      if (turn.at === 'open') setTimeout(() => void act(turn.link!), 1_000);
    },
  };
  return { talk, turns, cancel };
}

/** Runs it to its end, however long that takes on the clock. */
async function outcome<Value>(run: Promise<Value>): Promise<Value | InstanceType<typeof WalletFault>> {
  const caught = run.catch((error: unknown) => {
    if (error instanceof WalletFault) return error;
    throw error;
  });
  let settled = false;
  void caught.finally(() => (settled = true));
  for (let second = 0; second < 1_000 && !settled; second++) await vi.advanceTimersByTimeAsync(1_000);
  expect(settled).toBe(true);
  return caught;
}
const kind_of = (found: unknown) => (found instanceof WalletFault ? found.kind : 'no fault');

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 10, 23) });
  asked.length = 0;
  Source.open.clear();
});
afterEach(() => void vi.useRealTimers());

it('the test’s wallet signs what wallets sign', () => {
  const vectors = new URL('../../../tests/settlement/vectors/ton_proof.json', import.meta.url);
  const { proof } = JSON.parse(readFileSync(vectors, 'utf8')).cases[0];
  const message = proof_message(proof.address.slice(2), proof.domain.value, proof.timestamp, proof.payload);
  expect(verify(Buffer.from(proof.signature, 'base64'), message, from_hex(proof.public_key))).toBe(true);
});

it('a wallet proves itself: what we send is what it signed', async () => {
  const wallet = new Wallet();
  const given = challenge();
  const { talk, turns } = visitor((link) => {
    wallet.scan(link);
    wallet.agree();
  });
  const proof = (await outcome(prove(talk, given))) as Schemas['WalletProof'];
  expect(turns).toEqual(['open']);
  expect(wallet.request!.manifestUrl).toBe(`${origin}/tonconnect-manifest.json`);
  expect(wallet.request!.items).toEqual([
    { name: 'ton_addr', network: '-239' },
    { name: 'ton_proof', payload: given.payload },
  ]);
  expect(proof).toMatchObject({
    address: `0:${wallet.id}`,
    network: mainnet,
    state_init: 'te6cckEBAQEAAgAAAEysuc0=',
    domain: 'market.example',
    domain_bytes: 14,
    payload: given.payload,
  });
  const message = proof_message(proof.address.slice(2), proof.domain, proof.timestamp, proof.payload);
  expect(verify(Buffer.from(proof.signature, 'base64'), message, from_hex(proof.public_key))).toBe(true);
  // Nobody but the chosen bridge and ourselves was asked, and the wallet was told goodbye.
  expect(asked.length).toBeGreaterThan(1);
  for (const url of asked) expect(url).toMatch(allowed);
  expect(wallet.heard.map((call) => call.method)).toEqual(['disconnect']);
});

it.each([
  ['refused', mainnet, (wallet: Wallet) => wallet.refuse()],
  ['wrong_network', testnet, (wallet: Wallet) => wallet.agree()],
  ['unsupported', mainnet, (wallet: Wallet) => wallet.agree({ proof: false })],
  ['expired', mainnet, () => undefined],
] as const)('no proof: %s', async (kind, network, act) => {
  const wallet = new Wallet(network);
  const { talk } = visitor((link) => {
    wallet.scan(link);
    act(wallet);
  });
  expect(kind_of(await outcome(prove(talk, challenge())))).toBe(kind);
});

it('an expired challenge is waited for no longer than it lives, a wrong clock aside', async () => {
  for (const [life_ms, waited_ms] of [
    [120_000, 120_000],
    [-3_600_000, 60_000],
  ] as const) {
    new Wallet();
    const { talk } = visitor(() => undefined);
    const begin = Date.now();
    expect(kind_of(await outcome(prove(talk, challenge(life_ms))))).toBe('expired');
    expect(Math.abs(Date.now() - begin - waited_ms)).toBeLessThanOrEqual(1_000);
  }
});

it('a wallet that agrees after the end is not heard', async () => {
  const wallet = new Wallet();
  const { talk } = visitor((link) => wallet.scan(link));
  expect(kind_of(await outcome(prove(talk, challenge())))).toBe('expired');
  for (const source of Source.open.values()) expect(source.readyState).toBe(Source.CLOSED);
});

it('a visitor who cancels is left alone: the bridge is closed at once', async () => {
  const wallet = new Wallet();
  const { talk, cancel } = visitor((link) => {
    wallet.scan(link);
    cancel.abort();
  });
  expect(kind_of(await outcome(prove(talk, challenge())))).toBe('cancelled');
  const begun = asked.length;
  for (const source of Source.open.values()) expect(source.readyState).toBe(Source.CLOSED);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked.length).toBe(begun);
  const gone = { ...talk, signal: AbortSignal.abort() };
  expect(kind_of(await outcome(prove(gone, challenge())))).toBe('cancelled');
  expect(asked.length).toBe(begun);
});

const payment: Payment = {
  address: 'EQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAM9c',
  amount_nano: '1500000000',
  comment: 'a',
};

it('a deposit is asked for with address, amount and memo, in this market’s network', async () => {
  const wallet = new Wallet(mainnet, () => ({ result: 'te6cckEBAQEAAgAAAEysuc0=' }));
  const { talk, turns } = visitor((link) => {
    wallet.scan(link);
    wallet.agree();
  });
  expect(await outcome(pay(talk, mainnet, payment))).toBeUndefined();
  expect(turns).toEqual(['open', 'agree']);
  expect(wallet.request!.items).toEqual([{ name: 'ton_addr', network: '-239' }]);
  const [call] = wallet.heard;
  expect(wallet.heard.map((one) => one.method)).toEqual(['sendTransaction', 'disconnect']);
  const sent = JSON.parse(call!.params[0]!) as { valid_until: number };
  expect(sent).toMatchObject({
    network: '-239',
    from: `0:${wallet.id}`,
    messages: [{ address: payment.address, amount: '1500000000', payload: 'te6cckEBAQEABwAACgAAAABhVcENHg==' }],
  });
  for (const url of asked) expect(url).toMatch(allowed);
  const life_s = sent.valid_until - Date.now() / 1000;
  expect(life_s).toBeGreaterThan(answer_ms / 1000 - 20);
  expect(life_s).toBeLessThanOrEqual(answer_ms / 1000);
});

it.each([
  ['refused', mainnet, () => ({ error: { code: 300, message: 'User declined the transaction' } })],
  ['failed', mainnet, () => ({ error: { code: 1, message: 'bad request' } })],
  ['wrong_network', testnet, () => ({ result: 'te6cckEBAQEAAgAAAEysuc0=' })],
  ['unanswered', mainnet, undefined],
] as const)('no payment: %s', async (kind, network, on_payment) => {
  const wallet = new Wallet(network, on_payment);
  const { talk } = visitor((link) => {
    wallet.scan(link);
    wallet.agree();
  });
  expect(kind_of(await outcome(pay(talk, mainnet, payment)))).toBe(kind);
  const payments = wallet.heard.filter((call) => call.method === 'sendTransaction');
  expect(payments.length).toBe(kind === 'wrong_network' ? 0 : 1);
});

it('a payment that is cancelled while the wallet asks is not called undone', async () => {
  const wallet = new Wallet();
  const { talk, cancel } = visitor(
    (link) => {
      wallet.scan(link);
      wallet.agree();
    },
    () => setTimeout(() => cancel.abort(), 5_000),
  );
  expect(kind_of(await outcome(pay(talk, mainnet, payment)))).toBe('unanswered');
});
