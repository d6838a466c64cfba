// The comment of a transfer as wallets take it: a bag of one cell, in base64.

/** One cell holds 127 bytes, four of which say "text". */
export const comment_bytes_max = 123;

const castagnoli = 0x82f63b78;

function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? castagnoli : 0);
  }
  return ~crc >>> 0;
}

/** A longer comment than `comment_bytes_max` would need a chain of cells; our memos are far shorter. */
export function comment_payload(text: string): string {
  const said = new TextEncoder().encode(text);
  if (said.length > comment_bytes_max) throw new RangeError('the comment is too long for one cell');
  const bits = [0, 0, 0, 0, ...said];
  const cell = [0, 2 * bits.length, ...bits]; // no references; whole bytes
  // Magic; a checksum follows, sizes of one byte; cells, roots, absent cells, bytes of cells, which cell is the root.
  const bag = [0xb5, 0xee, 0x9c, 0x72, 0x41, 1, 1, 1, 0, cell.length, 0, ...cell];
  const sum = crc32c(Uint8Array.from(bag));
  return btoa(String.fromCharCode(...bag, sum & 255, (sum >>> 8) & 255, (sum >>> 16) & 255, sum >>> 24));
}
