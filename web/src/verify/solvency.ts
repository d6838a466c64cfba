// What the market says it owes to all, checked: its signature, one's own leaf up to the signed root and sum, and whether
// the wallet it names would cover the sum. The same rules as settlement/merkle_sum.cpp and sealing/market_statement.cpp.
// What the wallet really holds only the chain can say. Pure functions.
import { from_hex, join, sha256, signed, to_hex, utf8 } from './bytes';
import { found, not_checked, type Finding } from './finding';
import { canonical, is_object, text_at, type Json, type JsonObject } from './json';
import { whole } from './receipt';

const signed_label = 'cocoon-market/statement/v1';
const leaf_label = 'cocoon-market/liability/v1';
const node_label = 'cocoon-market/liability-sum/v1';
const statement_type = 'cocoon-market/solvency/v1';
const path_max = 64;
const int64_max = 2n ** 63n - 1n;

const statement_names = ['type', 'sequence', 'at', 'accounts', 'root', 'liabilities_nano', 'wallet'];
const wallet_names = ['address', 'balance_nano', 'moving_nano', 'on_hold_nano', 'at'];

interface SumNode {
  hash: Uint8Array;
  sum: bigint;
}

const label = (text: string): Uint8Array => join(utf8(text), new Uint8Array(1));

function eight(number: bigint): Uint8Array {
  const octets = new Uint8Array(8);
  new DataView(octets.buffer).setBigUint64(0, number);
  return octets;
}

export function leaf_of(account: bigint, salt: Uint8Array, amount: bigint): SumNode {
  return { hash: sha256(join(label(leaf_label), eight(account), salt, eight(amount))), sum: amount };
}

/** Nothing: the sum is beyond int64. */
export function above(left: SumNode, right: SumNode): SumNode | undefined {
  const sum = left.sum + right.sum;
  if (sum > int64_max) return undefined;
  const hash = sha256(join(label(node_label), left.hash, eight(left.sum), right.hash, eight(right.sum)));
  return { hash, sum };
}

/** The root that a leaf and its neighbours, from the bottom up, lead to; nothing if that is no path. */
export function root_of(leaf: SumNode, index: bigint, leaves: bigint, path: SumNode[]): SumNode | undefined {
  if (index >= leaves) return undefined;
  let node: SumNode | undefined = leaf;
  let used = 0;
  for (let width = leaves; width > 1n; width = width / 2n + (width % 2n)) {
    const alone = index % 2n === 0n && index + 1n === width;
    if (!alone) {
      const neighbour: SumNode | undefined = path[used++];
      if (!neighbour) return undefined;
      node = index % 2n === 0n ? above(node, neighbour) : above(neighbour, node);
      if (!node) return undefined;
    }
    index /= 2n;
  }
  return used === path.length ? node : undefined;
}

const only = (object: JsonObject, names: string[]): boolean =>
  Object.keys(object).length === names.length && names.every((name) => Object.hasOwn(object, name));

/** The statement if it has the members of one, no more and no fewer, and its figures are figures. */
function read_statement(envelope: Json): JsonObject | undefined {
  const statement = is_object(envelope) ? envelope.statement : undefined;
  if (!is_object(statement) || !only(statement, statement_names)) return undefined;
  const wallet = statement.wallet!;
  const wallet_fits =
    wallet === null ||
    (is_object(wallet) &&
      only(wallet, wallet_names) &&
      ['balance_nano', 'moving_nano', 'on_hold_nano'].every((name) => whole(text_at(wallet, name)) !== undefined));
  const fits =
    text_at(statement, 'type') === statement_type &&
    ['sequence', 'accounts', 'liabilities_nano'].every((name) => whole(text_at(statement, name)) !== undefined) &&
    /^sha256:[0-9a-f]{64}$/.test(text_at(statement, 'root') ?? '');
  return fits && wallet_fits ? statement : undefined;
}

/** An answer of /v1/proof/solvency, or of /v1/account/proof, which has it inside. */
export function verify_solvency(document: Json, market_key: string | undefined): Finding[] {
  const inside = is_object(document) && is_object(document.solvency);
  const envelope = inside ? document.solvency! : document;
  const statement = read_statement(envelope);
  if (!statement) return [found('statement_form', false)];
  return [
    found('statement_form', true, text_at(statement, 'sequence')),
    check_signature(envelope, statement, market_key),
    inside ? check_leaf(document, statement) : not_checked('own_leaf'),
    ...check_wallet(statement),
  ];
}

function check_signature(envelope: Json, statement: JsonObject, market_key: string | undefined): Finding {
  if (market_key === undefined) return not_checked('market_statement');
  const signature = is_object(envelope) ? envelope.signature : undefined;
  const message = join(label(signed_label), utf8(canonical(statement)));
  const by_market = text_at(signature, 'public_key') === market_key;
  const right = signed(message, from_hex(text_at(signature, 'signature'), 64), from_hex(market_key, 32));
  return found('market_statement', by_market && right, market_key);
}

function read_node(value: Json): SumNode | undefined {
  const hash = from_hex(text_at(value, 'hash'), 32);
  const sum = whole(text_at(value, 'sum_nano'));
  return hash && sum !== undefined ? { hash, sum } : undefined;
}

function check_leaf(document: JsonObject, statement: JsonObject): Finding {
  const leaf = document.leaf;
  const account = /^acc_([1-9]\d{0,18})$/.exec(text_at(leaf, 'account') ?? '')?.[1];
  const salt = from_hex(text_at(leaf, 'salt'), 32);
  const amount = whole(text_at(leaf, 'amount_nano'));
  const index = whole(text_at(document, 'index'));
  const path = Array.isArray(document.path) ? document.path.map(read_node) : [undefined];
  if (!account || !salt || amount === undefined || index === undefined || path.length > path_max)
    return found('own_leaf', false);
  if (!path.every((node) => node !== undefined)) return found('own_leaf', false);
  const leaves = whole(text_at(statement, 'accounts'))!;
  const root = root_of(leaf_of(BigInt(account), salt, amount), index, leaves, path);
  const leads =
    root !== undefined &&
    `sha256:${to_hex(root.hash)}` === text_at(statement, 'root') &&
    root.sum === whole(text_at(statement, 'liabilities_nano'));
  return found('own_leaf', leads, `acc_${account}: ${amount}`);
}

/** Owed, less what is on its way back, is no more than the balance less what belongs to nobody yet. */
function check_wallet(statement: JsonObject): Finding[] {
  const wallet = statement.wallet!;
  if (!is_object(wallet)) return [not_checked('wallet_covers'), not_checked('wallet_on_chain')];
  const amount = (name: string) => whole(text_at(wallet, name))!;
  const owed = whole(text_at(statement, 'liabilities_nano'))!;
  const covered = owed - amount('moving_nano') <= amount('balance_nano') - amount('on_hold_nano');
  return [found('wallet_covers', covered), not_checked('wallet_on_chain', text_at(wallet, 'address'))];
}
