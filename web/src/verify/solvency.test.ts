// Trees made here by pairing leaves level by level, a second implementation; statements signed with a key of the test.
import { getPublicKey, sign } from '@noble/ed25519';
import { expect, it } from 'vitest';
import { join, sha256, to_hex, utf8 } from './bytes';
import type { Outcome } from './finding';
import { canonical, type Json, type JsonObject } from './json';
import { above, leaf_of, root_of, verify_solvency } from './solvency';

const secret = sha256(utf8('solvency test'));
const market_key = to_hex(getPublicKey(secret));

type Node = ReturnType<typeof leaf_of>;
const leaves_of = (count: number): Node[] =>
  Array.from({ length: count }, (_, at) => leaf_of(BigInt(at + 1), sha256(utf8(`salt ${at}`)), BigInt(at) * 10n));

function levels_of(leaves: Node[]): Node[][] {
  if (leaves.length <= 1) return [leaves];
  const pairs = Array.from({ length: Math.ceil(leaves.length / 2) }, (_, at) => leaves.slice(2 * at, 2 * at + 2));
  return [leaves, ...levels_of(pairs.map(([left, right]) => (right ? above(left!, right)! : left!)))];
}

const path_of = (levels: Node[][], index: number): Node[] =>
  levels.flatMap((level, height) => {
    const neighbour = level[(index >> height) ^ 1];
    return neighbour ? [neighbour] : [];
  });

function document(count = 5, index = 2, change: JsonObject = {}): JsonObject {
  const levels = levels_of(leaves_of(count));
  const root = levels.at(-1)![0]!;
  const statement: JsonObject = {
    type: 'cocoon-market/solvency/v1',
    sequence: '90',
    at: '2026-11-23T02:00:00.000000Z',
    accounts: String(count),
    root: `sha256:${to_hex(root.hash)}`,
    liabilities_nano: String(root.sum),
    wallet: { address: 'EQ', balance_nano: '150', moving_nano: '10', on_hold_nano: '60', at: '2026-11-23T02:00:00Z' },
    ...change,
  };
  const message = join(utf8('cocoon-market/statement/v1'), new Uint8Array(1), utf8(canonical(statement)));
  return {
    solvency: {
      signature: { key_id: 'market-1', public_key: market_key, signature: to_hex(sign(message, secret)) },
      statement,
    },
    leaf: { account: `acc_${index + 1}`, salt: to_hex(sha256(utf8(`salt ${index}`))), amount_nano: String(index * 10) },
    index: String(index),
    path: path_of(levels, index).map((node) => ({ hash: to_hex(node.hash), sum_nano: String(node.sum) })),
  };
}

const outcomes = (paper: Json, key: string | undefined = market_key): Record<string, Outcome> =>
  Object.fromEntries(verify_solvency(paper, key).map(({ check, outcome }) => [check, outcome]));

it.each([1, 2, 3, 4, 5, 7, 8, 13])('finds every leaf of a tree of %d', (count) => {
  for (let index = 0; index < count; index++)
    expect(outcomes(document(count, index))).toMatchObject({ market_statement: 'passed', own_leaf: 'passed' });
});

it('says what it cannot know', () => {
  expect(outcomes(document())).toEqual({
    statement_form: 'passed',
    market_statement: 'passed',
    own_leaf: 'passed',
    wallet_covers: 'passed',
    wallet_on_chain: 'not_checked',
  });
  expect(outcomes(document().solvency!).own_leaf).toBe('not_checked');
  expect(outcomes(document(5, 2, { wallet: null })).wallet_covers).toBe('not_checked');
  expect(verify_solvency(document(), undefined)[1]!.outcome).toBe('not_checked');
});

it('does not call a wallet enough that is one nano short', () => {
  const wallet = { address: 'EQ', balance_nano: '149', moving_nano: '10', on_hold_nano: '60', at: '' };
  expect(outcomes(document(5, 2, { wallet })).wallet_covers).toBe('failed');
});

it.each<[string, (paper: any) => void]>([
  ['own_leaf', (paper) => (paper.leaf.amount_nano = '21')],
  ['own_leaf', (paper) => (paper.leaf.account = 'acc_4')],
  ['own_leaf', (paper) => (paper.leaf.salt = '0'.repeat(64))],
  ['own_leaf', (paper) => (paper.index = '3')],
  ['own_leaf', (paper) => (paper.index = '5')],
  ['own_leaf', (paper) => paper.path.pop()],
  ['own_leaf', (paper) => paper.path.push(paper.path[0])],
  ['own_leaf', (paper) => (paper.path[0].sum_nano = '-30')],
  ['own_leaf', (paper) => (paper.path[0].sum_nano = '9223372036854775807')],
  ['own_leaf', (paper) => (paper.path = null)],
  ['market_statement', (paper) => (paper.solvency.statement.liabilities_nano = '99')],
  ['market_statement', (paper) => (paper.solvency.statement.at = '')],
  ['market_statement', (paper) => (paper.solvency.signature.public_key = '0'.repeat(64))],
  ['statement_form', (paper) => (paper.solvency.statement.more = '1')],
  ['statement_form', (paper) => delete paper.solvency.statement.wallet],
  ['statement_form', (paper) => (paper.solvency.statement.wallet.balance_nano = '1e3')],
])('finds out %s: %#', (check, spoil) => {
  const paper = document();
  spoil(paper);
  expect(outcomes(paper)[check]).toBe('failed');
});

it('refuses sums beyond int64', () => {
  const large = leaf_of(1n, new Uint8Array(32), 2n ** 63n - 1n);
  expect(root_of(large, 0n, 2n, [leaf_of(2n, new Uint8Array(32), 1n)])).toBeUndefined();
});
