// What evidence says of itself, as far as a page can tell: the digest it is filed under, and the report data that binds
// it to a keyset and a challenge. The layouts are those of attestation/. Whether a vendor signed it is not judged here:
// that needs the vendors' chains and lists, which cocoon-client has. Pure functions.
import { equal, from_base64, from_hex, join, sha256, to_hex, utf8 } from './bytes';
import { found, not_checked, type Finding } from './finding';
import { canonical, is_object, read_json, text_at, type Json } from './json';

export interface Evidence {
  tier: string;
  nonce?: string; // hex
  octets: Uint8Array;
  /** The hash it is filed under, where that is known: in the job, or in the market's answer. */
  named_hash?: string;
}

const report_data_octets = 64;
const purpose = 'aci.report_data.v1';
const gpu_label = 'cocoon-market/gpu-nonce/v1';

/** What the evidence has to commit to: SHA-256 of the statement over keyset and challenge, then zeros. */
export function report_data_for(keyset_digest: string, nonce: string | undefined): Uint8Array {
  const statement = canonical({ keyset_digest, nonce: nonce ?? null, purpose });
  return join(sha256(utf8(statement)), new Uint8Array(32));
}

export const gpu_nonce = (report_data: Uint8Array): Uint8Array =>
  sha256(join(utf8(gpu_label), new Uint8Array(1), report_data));

export interface Bound {
  report_data: Uint8Array;
  gpu_nonces: Uint8Array[];
}

/** What the evidence commits to; nothing if its layout is not known. */
export function bound_by({ tier, octets }: Evidence): Bound | undefined {
  if (tier === 'simulated') return simulated(octets);
  const bundle = read_bundle(octets);
  const cpu = is_object(bundle) ? bundle.cpu : undefined;
  const kind = text_at(cpu, 'kind');
  const at = kind === 'tdx' ? quoted(from_base64(text_at(cpu, 'quote'))) : undefined;
  const report_data = kind === 'snp' ? cut(from_base64(text_at(cpu, 'report')), 80) : at;
  if (!report_data || !is_object(bundle)) return undefined;
  const gpus = Array.isArray(bundle.gpus) ? bundle.gpus : [];
  // SPDM 1.1 GET_MEASUREMENTS: version, code and two parameters, then the asker's nonce.
  const gpu_nonces = gpus.map((gpu) => from_base64(text_at(gpu, 'report'))?.slice(4, 36) ?? new Uint8Array());
  return { report_data, gpu_nonces };
}

function read_bundle(octets: Uint8Array): Json | undefined {
  try {
    return read_json(new TextDecoder('utf-8', { fatal: true }).decode(octets));
  } catch {
    return undefined;
  }
}

function cut(octets: Uint8Array | undefined, from: number): Uint8Array | undefined {
  const cut_out = octets?.slice(from, from + report_data_octets);
  return cut_out?.length === report_data_octets ? cut_out : undefined;
}

/** A TDX quote: 48 octets of header, in version 5 six more before the body, and 520 of the body before the report data. */
function quoted(quote: Uint8Array | undefined): Uint8Array | undefined {
  const version = quote && quote[0]! | (quote[1]! << 8);
  if (version === 4) return cut(quote, 48 + 520);
  return version === 5 ? cut(quote, 48 + 6 + 520) : undefined;
}

/** attestation/simulated.cpp: a magic, then two texts with their lengths before the report data. */
function simulated(octets: Uint8Array): Bound | undefined {
  if (!equal(octets.slice(0, 8), utf8('CCNSIMv1'))) return undefined;
  let at = 8;
  for (let text = 0; text < 2; text++) at += 2 + ((octets[at] ?? 0) << 8) + (octets[at + 1] ?? 0);
  const report_data = cut(octets, at);
  return report_data && { report_data, gpu_nonces: [] };
}

export function check_evidence(evidence: Evidence | undefined, keyset_digest: string | undefined): Finding[] {
  if (!evidence)
    return [not_checked('evidence_hash'), not_checked('binding'), not_checked('gpu_binding'), not_checked('hardware')];
  const hash = to_hex(sha256(evidence.octets));
  const bound = bound_by(evidence);
  return [
    evidence.named_hash === undefined
      ? not_checked('evidence_hash', hash)
      : found('evidence_hash', hash === evidence.named_hash, hash),
    check_binding(evidence, keyset_digest, bound),
    check_gpus(evidence, bound),
    not_checked('hardware', evidence.tier),
  ];
}

function check_binding(evidence: Evidence, keyset_digest: string | undefined, bound: Bound | undefined): Finding {
  if (keyset_digest === undefined) return not_checked('binding');
  if (!bound || (evidence.nonce !== undefined && !from_hex(evidence.nonce, 32))) return found('binding', false);
  const expected = report_data_for(keyset_digest, evidence.nonce);
  return found('binding', equal(bound.report_data, expected), to_hex(bound.report_data.slice(0, 32)));
}

/** Every GPU must have answered the nonce that is made of the processor's report data. */
function check_gpus({ tier }: Evidence, bound: Bound | undefined): Finding {
  if (!tier.endsWith('+gpu-cc') || bound?.gpu_nonces.length === 0) return not_checked('gpu_binding');
  if (!bound) return found('gpu_binding', false);
  const expected = gpu_nonce(bound.report_data);
  return found('gpu_binding', bound.gpu_nonces.every((nonce) => equal(nonce, expected)), `${bound.gpu_nonces.length}`);
}
