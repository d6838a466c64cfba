import { expect, it } from 'vitest';
import { estimate } from './estimate';

it.each([
  [
    { volume: 2_000_000, median_nano: 50_000_000n, tokens: true, fee_basis_points: 500 },
    1000,
    24,
    100_000_000n,
    95_000_000n,
  ],
  [
    { volume: 2_000_000, median_nano: 50_000_000n, tokens: true, fee_basis_points: 500 },
    100,
    12,
    5_000_000n,
    4_750_000n,
  ],
  [{ volume: 3600, median_nano: 10n, tokens: false, fee_basis_points: 0 }, 500, 24, 18_000n, 18_000n],
  [{ volume: 0, median_nano: 10n, tokens: true, fee_basis_points: 500 }, 1000, 24, 0n, 0n],
])('%o, %s ‰, %s h', (market, share, hours, gross_nano, net_nano) => {
  expect(estimate(market, share, hours)).toEqual({ gross_nano, net_nano });
});
