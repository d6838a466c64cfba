// The committed list is the one that it says it comes from, the policy's list follows it, and the manifest is one.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { comment_bytes_max, comment_payload } from './comment';
import list from './wallets.json';
import { is_here, wallet_named, wallet_path, wallets } from './wallets';

const text = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');
const sdk = dirname(createRequire(import.meta.url).resolve('@tonconnect/sdk')); // lib/cjs

it('each wallet stands, word for word, in the list of the library that it was taken from', () => {
  const library = JSON.parse(readFileSync(join(sdk, '../../package.json'), 'utf8')) as { version: string };
  expect(library.version).toBe('3.4.1');
  const source = readFileSync(join(sdk, 'index.cjs'), 'utf8');
  const from = source.indexOf('FALLBACK_WALLETS_LIST = [') + 'FALLBACK_WALLETS_LIST = '.length;
  const known = new Function(`return ${source.slice(from, source.indexOf('\n];', from) + 2)}`)() as typeof list;
  expect(list).toHaveLength(4);
  for (const entry of list) expect(known).toContainEqual(entry);
  for (const wallet of wallets) expect(wallet.bridge).toMatch(/^https:\/\//);
});

it('bridges.txt lets each wallet’s pages reach its bridge, and nothing else', () => {
  const lines = wallets.map((wallet) => `/wallet/${wallet.name} ${wallet.bridge.replace(/\/$/, '')}/\n`);
  expect(text('../../public/bridges.txt')).toBe(lines.join(''));
  for (const wallet of wallets) expect(wallet_path(wallet, 'sign-in')).toBe(`/wallet/${wallet.name}/sign-in`);
});

it('the manifest is what wallets read, with the origin still to be said', () => {
  const manifest = JSON.parse(text('../../public/tonconnect-manifest.json').replaceAll('{origin}', 'https://m.example'));
  expect(manifest).toEqual({
    url: 'https://m.example',
    name: 'Cocoon Market',
    iconUrl: 'https://m.example/mark.png',
  });
  const icon = readFileSync(new URL('../../public/mark.png', import.meta.url));
  expect(icon.subarray(1, 4).toString()).toBe('PNG');
  expect([icon.readUInt32BE(16), icon.readUInt32BE(20)]).toEqual([180, 180]);
});

it('an unknown wallet is none, and an extension is one only if it speaks TON Connect', () => {
  expect(wallet_named('tonkeeper')?.title).toBe('Tonkeeper');
  for (const name of [undefined, '', 'constructor', 'Tonkeeper']) expect(wallet_named(name)).toBeUndefined();
  const tonkeeper = wallet_named('tonkeeper')!;
  expect(is_here(tonkeeper, { tonkeeper: { tonconnect: {} } })).toBe(true);
  for (const place of [{}, { tonkeeper: null }, { tonkeeper: {} }, { tonkeeper: 'tonconnect' }])
    expect(is_here(tonkeeper, place)).toBe(false);
  expect(is_here(wallet_named('telegram-wallet')!, { undefined: { tonconnect: {} } })).toBe(false);
});

// The bags were made by @ton/core 0.6x: beginCell().storeUint(0, 32).storeStringTail(text).endCell().toBoc().
it.each([
  ['a', 'te6cckEBAQEABwAACgAAAABhVcENHg=='],
  ['M7-Ab3dEfGhIjKlMnOpQrSt', 'te6cckEBAQEAHQAANgAAAABNNy1BYjNkRWZHaElqS2xNbk9wUXJTdPrGQgY='],
])('the comment %s is the cell that the reference library makes', (said, bag) => {
  expect(comment_payload(said)).toBe(bag);
});

it('a comment that needs a second cell is refused', () => {
  expect(() => comment_payload('x'.repeat(comment_bytes_max))).not.toThrow();
  expect(() => comment_payload('x'.repeat(comment_bytes_max + 1))).toThrow(RangeError);
});
