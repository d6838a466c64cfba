import { describe, expect, it } from 'vitest';
import { coins, nano_of, parse_coins, plain_coins } from './money';

describe('money', () => {
  it.each([
    [0n, 9, 'en', '0'],
    [1n, 9, 'en', '0.000000001'],
    [1_500_000_000n, 9, 'en', '1.5'],
    [1_234_567_890_123_456_789n, 9, 'en', '1,234,567,890.123456789'],
    [1_234_567_000_000_000n, 2, 'en', '1,234,567'],
    [1_999_999_999n, 2, 'en', '1.99'],
    [20_000_000n, 4, 'en', '0.02'],
    [1_234n, 4, 'en', '0.0000012'],
    [-2_500_000_000n, 9, 'en', '−2.5'],
    [1_500_000_000n, 9, 'ru', '1,5'],
    [9_223_372_036_854_775_807n, 9, 'en', '9,223,372,036.854775807'],
  ])('%s nano with %s digits in %s is %s', (nano, digits, language, text) => {
    expect(coins(nano, language, digits)).toBe(text);
  });

  it.each([
    ['1', 1_000_000_000n],
    ['1.5', 1_500_000_000n],
    ['0,000000001', 1n],
    [' 12.25 ', 12_250_000_000n],
    ['1.0000000001', undefined],
    ['-1', undefined],
    ['1e3', undefined],
    ['', undefined],
    ['12345678901', undefined],
  ])('typed %s is %s', (typed, nano) => {
    expect(parse_coins(typed)).toBe(nano);
  });

  it('is typed back as it was shown', () => {
    for (const nano of [0n, 1n, 1_500_000_000n, 123_456_789_012n])
      expect(parse_coins(plain_coins(nano))).toBe(nano);
  });

  it('takes nothing but whole numbers from the wire', () => {
    expect(['12', '-3', '1.5', '', 'x', null, undefined].map((text) => nano_of(text))).toEqual([
      12n,
      -3n,
      0n,
      0n,
      0n,
      0n,
      0n,
    ]);
  });
});
