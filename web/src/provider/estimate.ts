// What a share of a market's real volume would have earned, in whole nano. Pure.
export interface Market24 {
  volume: number; // tokens, GPU-seconds or requests matched in 24 hours
  median_nano: bigint; // for a million tokens, else for one unit
  tokens: boolean;
  fee_basis_points: number;
}

export interface Estimate {
  gross_nano: bigint; // a day
  net_nano: bigint;
}

/** `share_permille` of the volume during `hours` of the day. Rounded down: an estimate should not promise. */
export function estimate(market: Market24, share_permille: number, hours: number): Estimate {
  const volume = (BigInt(market.volume) * BigInt(share_permille) * BigInt(hours)) / 24_000n;
  const gross_nano = (volume * market.median_nano) / (market.tokens ? 1_000_000n : 1n);
  return { gross_nano, net_nano: (gross_nano * BigInt(10_000 - market.fee_basis_points)) / 10_000n };
}
