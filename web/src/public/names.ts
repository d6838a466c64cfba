// Market names as people read them: "inference:Qwen/Qwen3-8B" is the model "Qwen/Qwen3-8B". Pure functions.

export function short_name(market: string): string {
  return market.replace(/^(inference|compute):/, '');
}

export function market_link(market: string): string {
  return '/markets/' + encodeURIComponent(market);
}
