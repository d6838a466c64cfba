// Octets as text, and the two primitives that everything here rests on: SHA-256 and Ed25519 (RFC 8032). From @noble
// rather than WebCrypto, which a page over plain HTTP does not have. Pure functions.
import { etc, verify } from '@noble/ed25519';
import { sha256 as digest_of, sha512 } from '@noble/hashes/sha2';

etc.sha512Sync = (...parts) => sha512(etc.concatBytes(...parts));

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
export const join = (...parts: Uint8Array[]): Uint8Array => etc.concatBytes(...parts);

export function to_hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Lower-case hex of that many octets, or nothing. */
export function from_hex(text: string | undefined, octets: number): Uint8Array | undefined {
  if (text === undefined || text.length !== 2 * octets || !/^[0-9a-f]*$/.test(text)) return undefined;
  return Uint8Array.from({ length: octets }, (_, at) => parseInt(text.slice(2 * at, 2 * at + 2), 16));
}

/** RFC 4648, padded; nothing if it is anything else. */
export function from_base64(text: string | undefined): Uint8Array | undefined {
  if (text === undefined || text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}

export const sha256 = (bytes: Uint8Array): Uint8Array => digest_of(bytes);
/** "sha256:<hex>", as keysets and receipts name digests. */
export const digest_text = (bytes: Uint8Array): string => `sha256:${to_hex(sha256(bytes))}`;

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

/** Whether `signature` is that key's over `message`. */
export function signed(message: Uint8Array, signature: Uint8Array | undefined, key: Uint8Array | undefined): boolean {
  if (!signature || !key) return false;
  try {
    return verify(signature, message, key, { zip215: false });
  } catch {
    return false; // a key or a signature that is no point of the curve
  }
}
