// Money as it travels (a decimal string of nanoTON) and as people read it. Whole numbers all the way: a price never
// passes through floating point. Pure functions.

export const nano_per_coin = 1_000_000_000n;
export const tokens_per_price = 1_000_000n;

/** "1500000000" → 1500000000n. Anything that is not a whole number is 0: the contract allows nothing else. */
export function nano_of(text: string | null | undefined): bigint {
  return text && /^-?\d+$/.test(text) ? BigInt(text) : 0n;
}

/** Digits grouped in the language's own way, the fraction without trailing zeros: 1234.5 → "1,234.5". */
function grouped(whole: bigint, fraction: string, language: string): string {
  const parts = new Intl.NumberFormat(language, { minimumFractionDigits: fraction ? 1 : 0 }).formatToParts(
    fraction ? 0.1 : 0,
  );
  const point = parts.find((part) => part.type === 'decimal')?.value ?? '.';
  const text = new Intl.NumberFormat(language, { maximumFractionDigits: 0 }).format(whole);
  return fraction ? text + point + fraction : text;
}

/** nanoTON as coins with up to `digits` decimals, cut (never rounded up): what is shown is never more than what is there.
    An amount that would vanish keeps its first two significant digits. */
export function coins(nano: bigint, language: string, digits = 9): string {
  const negative = nano < 0n;
  const amount = negative ? -nano : nano;
  const whole = amount / nano_per_coin;
  const all = (amount % nano_per_coin).toString().padStart(9, '0');
  let kept = all.slice(0, digits);
  if (amount > 0n && whole === 0n && /^0*$/.test(kept)) kept = all.slice(0, Math.min(9, all.search(/[1-9]/) + 2));
  return (negative ? '−' : '') + grouped(whole, kept.replace(/0+$/, ''), language);
}

/** What a person types ("1.5", "1,5") as nanoTON; nothing if it is no amount with at most nine decimals. */
export function parse_coins(typed: string): bigint | undefined {
  const found = /^\s*(\d{1,10})(?:[.,](\d{1,9}))?\s*$/.exec(typed);
  if (!found) return undefined;
  return BigInt(found[1]!) * nano_per_coin + BigInt((found[2] ?? '').padEnd(9, '0'));
}

/** The other way, for form fields: 1500000000n → "1.5". */
export function plain_coins(nano: bigint): string {
  const fraction = (nano % nano_per_coin).toString().padStart(9, '0').replace(/0+$/, '');
  return (nano / nano_per_coin).toString() + (fraction ? '.' + fraction : '');
}

/** For the eye only: where a chart draws this amount. */
export function drawn_coins(nano: string | bigint): number {
  return Number(typeof nano === 'bigint' ? nano : nano_of(nano)) / 1e9;
}
