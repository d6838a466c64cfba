// A day's closes as a line of 88 × 24, drawn as SVG: a table may hold dozens.
import { useQuery } from '@tanstack/react-query';
import { read } from '../api/market';
import { drawn_coins } from '../format/money';

export function Spark({ market, label }: { market: string; label: string }) {
  const { data } = useQuery({ ...read.candles(market, '1h', 24), refetchInterval: 120_000, staleTime: 60_000 });
  const closes = data?.items.map((candle) => drawn_coins(candle.close_nano)) ?? [];
  if (closes.length < 2) return <span className="muted">—</span>;
  const low = Math.min(...closes);
  const span = Math.max(...closes) - low || 1;
  const path = closes
    .map(
      (close, index) =>
        `${index === 0 ? 'M' : 'L'}${(index / (closes.length - 1)) * 88} ${22 - ((close - low) / span) * 20}`,
    )
    .join('');
  return (
    <svg className="spark" viewBox="0 0 88 24" role="img" aria-label={label} preserveAspectRatio="none">
      <path d={path} />
    </svg>
  );
}
