// One conversation with one wallet, by TON Connect: a proof that it is its owner's, or a payment. It begins when the
// visitor has chosen the wallet, and nothing of it outlives it: its keys are in memory, and the wallet is told goodbye.
// Knows neither the pages nor our API.
import {
  TonConnect,
  UserRejectsError,
  WalletMissingRequiredFeaturesError,
  WalletNotInjectedError,
  WalletNotSupportFeatureError,
  WalletWrongNetworkError,
  type IStorage,
  type Wallet as Connected,
} from '@tonconnect/sdk';
import type { Schemas } from '../api/client';
import { comment_payload } from './comment';
import type { Wallet } from './wallets';
import list_url from './wallets.json?url';

/** Wallets refuse what is signed later than about this after it was asked. */
export const answer_ms = 300_000;
/** A browser's clock may be wrong: this long is always waited for a proof; the server says whether it came in time. */
export const patience_min_ms = 60_000;
const goodbye_ms = 1_500;

export type FaultKind = 'cancelled' | 'refused' | 'wrong_network' | 'expired' | 'unanswered' | 'unsupported' | 'failed';

/** Why a conversation ended without what was asked for. `message` is for whoever looks for the cause. */
export class WalletFault extends Error {
  constructor(
    readonly kind: FaultKind,
    message: string = kind,
  ) {
    super(message);
    this.name = 'WalletFault';
  }
}

/** What the visitor has to do: open the wallet by `link` (null: its extension has asked already), then agree. */
export type Turn = { at: 'open'; link: string | null } | { at: 'agree' };

export interface Talk {
  wallet: Wallet;
  /** By the extension in this browser, not by the bridge. */
  here: boolean;
  tell: (turn: Turn) => void;
  signal: AbortSignal;
}

export interface Payment {
  /** User-friendly, as the deposit instructions give it. */
  address: string;
  amount_nano: string;
  comment: string;
}

/** The wallet's proof over the challenge, as our API takes it. A WalletFault where there is none. */
export async function prove(talk: Talk, challenge: Schemas['WalletChallenge']): Promise<Schemas['WalletProof']> {
  const left_ms = Date.parse(challenge.expires_at) - Date.now();
  return on_line(challenge.network, async (line) => {
    const wait_ms = Math.max(left_ms, patience_min_ms);
    return proof_of(await connected(line, talk, wait_ms, challenge.payload));
  });
}

/** Ends when the wallet has signed and sent it; only the chain knows whether it arrives. A WalletFault otherwise:
 *  `unanswered` may have been paid all the same. */
export async function pay(talk: Talk, network: number, payment: Payment): Promise<void> {
  await on_line(network, async (line) => {
    await connected(line, talk, answer_ms);
    talk.tell({ at: 'agree' });
    const sent = line.sdk.sendTransaction(
      {
        validUntil: Math.floor((Date.now() + answer_ms) / 1000),
        network: String(network),
        messages: [
          { address: payment.address, amount: payment.amount_nano, payload: comment_payload(payment.comment) },
        ],
      },
      { signal: line.ending.signal },
    );
    await in_time(sent, talk.signal, answer_ms, 'unanswered');
  });
}

// ---- The line ----------------------------------------------------------------------------------------------------

interface Line {
  sdk: TonConnect;
  ending: AbortController;
  /** The wallet agreed, but is not one that we can take. */
  wrong: boolean;
}

function kept_in_memory(): IStorage {
  const kept = new Map<string, string>();
  return {
    getItem: async (name) => kept.get(name) ?? null,
    setItem: async (name, value) => void kept.set(name, value),
    removeItem: async (name) => void kept.delete(name),
  };
}

async function on_line<Outcome>(network: number, run: (line: Line) => Promise<Outcome>): Promise<Outcome> {
  const sdk = new TonConnect({
    manifestUrl: `${globalThis.location.origin}/tonconnect-manifest.json`,
    storage: kept_in_memory(),
    walletsListSource: list_url, // looked into after each connection; theirs is another site's
    // Nobody is told of our visitors: no statistics, and no events for other scripts to hear.
    analytics: { mode: 'off' },
    eventDispatcher: { dispatchEvent: async () => undefined, addEventListener: async () => () => undefined },
  });
  sdk.setConnectionNetwork(String(network));
  const line = { sdk, ending: new AbortController(), wrong: false };
  try {
    return await run(line);
  } catch (error) {
    throw fault_of(error);
  } finally {
    await hang_up(line);
  }
}

/** Or the wallet would keep us in its list of connected sites. */
async function hang_up({ sdk, ending, wrong }: Line): Promise<void> {
  const pause = () => new Promise((end) => setTimeout(end, goodbye_ms));
  if (sdk.connected) await Promise.race([sdk.disconnect().catch(() => undefined), pause()]);
  // The library says goodbye itself to a wallet that it does not accept, and stumbles when it is cut off.
  if (wrong) await pause();
  ending.abort();
}

async function connected(line: Line, talk: Talk, wait_ms: number, payload?: string): Promise<Connected> {
  if (talk.signal.aborted) throw new WalletFault('cancelled');
  const answer = new Promise<Connected>((resolve, reject) => {
    line.sdk.onStatusChange((wallet) => wallet && resolve(wallet), (error) => {
      line.wrong = !(error instanceof UserRejectsError);
      reject(error);
    });
  });
  const more = { signal: line.ending.signal, ...(payload === undefined ? {} : { request: { tonProof: payload } }) };
  const { wallet, here } = talk;
  if (here && wallet.extension) {
    line.sdk.connect({ jsBridgeKey: wallet.extension }, more);
    talk.tell({ at: 'open', link: null });
  } else {
    const link = line.sdk.connect({ universalLink: wallet.link, bridgeUrl: wallet.bridge }, more);
    talk.tell({ at: 'open', link });
  }
  return in_time(answer, talk.signal, wait_ms, 'expired');
}

/** The answer, unless the visitor or the time ends the waiting. */
async function in_time<Answer>(
  answer: Promise<Answer>,
  signal: AbortSignal,
  wait_ms: number,
  late: FaultKind,
): Promise<Answer> {
  let stop = (_: FaultKind) => {};
  const ended = new Promise<never>((_, reject) => (stop = (kind) => reject(new WalletFault(kind))));
  // What the wallet may do all the same is not cancelled.
  const cancel = () => stop(late === 'unanswered' ? late : 'cancelled');
  const timer = setTimeout(() => stop(late), wait_ms);
  signal.addEventListener('abort', cancel);
  if (signal.aborted) cancel();
  try {
    return await Promise.race([answer, ended]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', cancel);
  }
}

// ---- What the wallet said ----------------------------------------------------------------------------------------

function proof_of({ account, connectItems }: Connected): Schemas['WalletProof'] {
  const item = connectItems?.tonProof;
  if (!item || !('proof' in item)) throw new WalletFault('unsupported', item?.error.message ?? 'no proof');
  if (!account.publicKey) throw new WalletFault('unsupported', 'no public key');
  const { timestamp, domain, payload, signature } = item.proof;
  return {
    address: account.address,
    network: Number(account.chain),
    public_key: account.publicKey,
    state_init: account.walletStateInit,
    timestamp,
    domain: domain.value,
    domain_bytes: domain.lengthBytes,
    payload,
    signature,
  };
}

function fault_of(error: unknown): WalletFault {
  if (error instanceof WalletFault) return error;
  const text = error instanceof Error ? error.message : String(error);
  if (error instanceof UserRejectsError) return new WalletFault('refused', text);
  if (error instanceof WalletWrongNetworkError) return new WalletFault('wrong_network', text);
  const unsupported = [WalletNotSupportFeatureError, WalletMissingRequiredFeaturesError, WalletNotInjectedError];
  return new WalletFault(unsupported.some((kind) => error instanceof kind) ? 'unsupported' : 'failed', text);
}
