// The papers of one job, from whatever a person has at hand: the market's cosigned receipt, a bare receipt, the file that
// cocoon-client keeps, the market's answer about a node's evidence. Put together and verified. Pure functions.
import { from_base64 } from './bytes';
import { check_evidence, type Evidence } from './evidence';
import { found, type Finding } from './finding';
import { is_object, read_json, text_at, Unreadable, type Json } from './json';
import {
  check_chain,
  check_cosignature,
  check_cost,
  check_keyset,
  check_price,
  check_record,
  check_sealed,
  check_usage,
  read_keyset,
  read_receipt,
  type Keyset,
  type Known,
} from './receipt';

export interface Papers {
  receipt?: Json;
  cosignature?: Json;
  keyset_document?: string;
  evidence?: Evidence;
  market_key?: string; // hex; whose it is decides who pasted or fetched it
  known: Known;
}

/** Adds what a document holds; Unreadable if it is none of those that are known here. */
export function add_paper(papers: Papers, text: string): Papers {
  const document = read_json(text);
  if (!is_object(document)) throw new Unreadable('not an object');
  if (is_object(document.envelope)) return add_bundle(papers, document, document.envelope);
  if (is_object(document.receipt))
    return { ...papers, receipt: document.receipt, cosignature: document.cosignature };
  if (Array.isArray(document.event_log)) return { ...papers, receipt: document };
  const evidence = read_evidence(document);
  if (!evidence) throw new Unreadable('neither a receipt nor evidence');
  return { ...papers, keyset_document: text_at(document, 'keyset_document') ?? papers.keyset_document, evidence };
}

/** What cocoon-client keeps of an exchange beside its receipt. */
function add_bundle(papers: Papers, bundle: { [name: string]: Json }, envelope: { [name: string]: Json }): Papers {
  const whole = is_object(envelope.receipt);
  return {
    receipt: whole ? envelope.receipt : envelope,
    cosignature: whole ? envelope.cosignature : undefined,
    keyset_document: text_at(bundle, 'keyset_document') ?? papers.keyset_document,
    evidence: read_evidence(bundle.evidence) ?? papers.evidence,
    market_key: papers.market_key ?? text_at(bundle, 'market_key'),
    known: {
      ...papers.known,
      price: bundle.price,
      usage: bundle.usage,
      sealed_request_sha256: text_at(bundle, 'sealed_request_sha256'),
      sealed_response_sha256: text_at(bundle, 'sealed_response_sha256'),
    },
  };
}

function read_evidence(document: Json | undefined): Evidence | undefined {
  const octets = from_base64(text_at(document, 'evidence'));
  const tier = text_at(document, 'tier');
  if (!octets || tier === undefined) return undefined;
  return { tier, nonce: text_at(document, 'nonce'), octets, named_hash: text_at(document, 'evidence_hash') };
}

/** The node whose evidence belongs to the receipt, to ask for it. */
export function node_of(papers: Papers): string | undefined {
  const receipt = read_receipt(papers.receipt);
  return typeof receipt === 'string' ? undefined : text_at(receipt.event, 'node');
}

function keyset_of(document: string | undefined): Keyset | 'unreadable' | undefined {
  if (document === undefined) return undefined;
  try {
    return read_keyset(read_json(document));
  } catch {
    return 'unreadable';
  }
}

/** Every check, in the order in which each rests on those before it. */
export function verify(papers: Papers): Finding[] {
  const keyset = keyset_of(papers.keyset_document);
  const evidence = check_evidence(papers.evidence, typeof keyset === 'object' ? keyset.digest : undefined);
  if (papers.receipt === undefined) return evidence;
  const receipt = read_receipt(papers.receipt);
  if (typeof receipt === 'string') return [found('receipt_form', false, receipt), ...evidence];
  return [
    found('receipt_form', true, text_at(receipt.document, 'receipt_id')),
    ...check_keyset(receipt, keyset),
    check_cosignature(receipt, papers.cosignature, papers.market_key),
    check_cost(receipt),
    check_chain(receipt),
    check_record(receipt, papers.known),
    check_price(receipt, papers.known),
    check_usage(receipt, papers.known),
    ...check_sealed(receipt, papers.known),
    ...evidence,
  ];
}
