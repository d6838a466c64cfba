// Time series and depth on uPlot (canvas: 10,000 points cost nothing). Loaded only by pages that draw. Numbers are
// floating point here and nowhere else: they only say where a line goes.
import { useEffect, useMemo, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useSettings } from '../app/settings';
import { local_time } from '../format/time';

const height_px = 240;
/** One candle alone is still drawn as a moment of an hour, not of a year. */
const shortest_span_s = 1_800;

export interface Palette {
  supply: string;
  demand: string;
  supply_soft: string;
  demand_soft: string;
  faint: string;
  line: string;
}

function palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string) => style.getPropertyValue(name).trim();
  return {
    supply: color('--supply'),
    demand: color('--demand'),
    supply_soft: color('--supply-soft'),
    demand_soft: color('--demand-soft'),
    faint: color('--faint'),
    line: color('--line'),
  };
}

type Draw = (colors: Palette, language: string) => Omit<uPlot.Options, 'width' | 'height'>;

export interface ChartProps {
  /** What is drawn, in words. */
  label: string;
  /** What each column is called, the first one too. */
  names: string[];
}

/** A chart that follows its box, the light and the language. */
function Chart({ data, draw, label, names }: ChartProps & { data: uPlot.AlignedData; draw: Draw }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const newest = useRef(data);
  newest.current = data;
  const names_now = useRef(names);
  names_now.current = names;
  const { dark, language } = useSettings();

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const drawn = draw(palette(), language);
    drawn.series = drawn.series.map((one, index) => ({ ...one, label: names_now.current[index] }));
    const options = {
      ...drawn,
      width: Math.max(element.clientWidth, 200),
      height: height_px,
    };
    const made = new uPlot(options, newest.current, element);
    plot.current = made;
    const observer = new ResizeObserver(() =>
      made.setSize({ width: Math.max(element.clientWidth, 200), height: height_px }),
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [draw, dark, language]);

  useEffect(() => plot.current?.setData(data), [data]);
  return <div ref={box} className="chart" role="img" aria-label={label} />;
}

const font = '600 11px "Manrope Variable", system-ui, sans-serif';
const axis = (colors: Palette): uPlot.Axis => ({
  stroke: colors.faint,
  font,
  grid: { stroke: colors.line, width: 1 },
  ticks: { show: false },
});

function short_number(language: string): (self: uPlot, splits: number[]) => string[] {
  const format = new Intl.NumberFormat(language, { notation: 'compact', maximumSignificantDigits: 4 });
  return (_, splits) => splits.map((value) => format.format(value));
}

const day_s = 86_400;

/** Moments along the axis in the language's own way: the day once at its beginning, hours otherwise. */
function moments(language: string): (self: uPlot, splits: number[], axis: number, space: number, step: number) => string[] {
  const day = new Intl.DateTimeFormat(language, { day: 'numeric', month: 'short' });
  const hour = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit' });
  return (_, splits, __, ___, step) => {
    let last = '';
    return splits.map((split) => {
      const date = new Date(split * 1000);
      const today = day.format(date);
      if (step >= day_s) return today;
      const begins = today !== last;
      last = today;
      return begins ? `${hour.format(date)}\n${today}` : hour.format(date);
    });
  };
}

const draw_prices: Draw = (colors, language) => ({
  legend: { show: true, live: true },
  cursor: { y: false, points: { size: 6 } },
  scales: {
    x: { range: (_, low, high) => [Math.min(low, high - shortest_span_s), high + shortest_span_s / 30] },
    price: {
      range: (_, low, high) =>
        low === high ? [low * 0.9, high * 1.1 || 1] : [low - (high - low) * 0.35, high + (high - low) * 0.08],
    },
    volume: { range: (_, __, high) => [0, (high || 1) * 4] },
  },
  axes: [
    { ...axis(colors), values: moments(language), space: 80 },
    { ...axis(colors), scale: 'price', size: 64, values: short_number(language) },
  ],
  bands: [{ series: [2, 3], fill: colors.supply_soft }],
  series: [
    { value: (_, seconds) => (seconds === null ? '–' : local_time(new Date(seconds * 1000).toISOString(), language, false)) },
    {
      scale: 'volume',
      stroke: colors.line,
      fill: colors.line,
      paths: uPlot.paths.bars!({ size: [0.7, 24] }),
      points: { show: false },
    },
    { scale: 'price', stroke: colors.supply_soft, width: 1, points: { show: false } },
    { scale: 'price', stroke: colors.supply_soft, width: 1, points: { show: false } },
    { scale: 'price', stroke: colors.supply, width: 2, points: { size: 5, fill: colors.supply } },
  ],
});

/** Columns: seconds since 1970, volume, high, low, close (coins). */
export function PriceChart({
  data,
  ...rest
}: ChartProps & { data: [number[], number[], number[], number[], number[]] }) {
  return <Chart data={data} draw={draw_prices} {...rest} />;
}

const draw_depth: Draw = (colors, language) => ({
  legend: { show: true, live: true },
  cursor: { y: false },
  scales: { x: { time: false }, y: { range: (_, __, high) => [0, (high || 1) * 1.12] } },
  axes: [
    { ...axis(colors), values: short_number(language) },
    { ...axis(colors), size: 52, values: short_number(language) },
  ],
  series: [
    {},
    {
      stroke: colors.supply,
      fill: colors.supply_soft,
      width: 2,
      paths: uPlot.paths.stepped!({ align: 1 }),
      points: { show: false },
      spanGaps: true,
    },
    {
      stroke: colors.demand,
      fill: colors.demand_soft,
      width: 2,
      paths: uPlot.paths.stepped!({ align: -1 }),
      points: { show: false },
      spanGaps: true,
    },
  ],
});

export interface DepthPoint {
  price: number;
  slots: number;
}

/** `asks` cheapest first, `bids` dearest first; slots at each price alone. */
export function DepthChart({ asks, bids, ...rest }: ChartProps & { asks: DepthPoint[]; bids: DepthPoint[] }) {
  const data = useMemo(() => depth_columns(asks, bids), [asks, bids]);
  return <Chart data={data} draw={draw_depth} {...rest} />;
}

/** What could be filled up to each price (asks), or at each price or better (bids). The asks reach a little beyond their
    last price, so that a single level can be seen. */
export function depth_columns(
  asks: DepthPoint[],
  bids: DepthPoint[],
): [number[], (number | null)[], (number | null)[]] {
  const summed = (points: DepthPoint[]) => {
    let sum = 0;
    return new Map(points.map((point) => [point.price, (sum += point.slots)]));
  };
  const supply = summed(asks);
  const demand = summed(bids);
  const first_ask = asks[0];
  const first_bid = bids[0];
  if (first_ask) supply.set(first_ask.price * 0.97, 0);
  if (first_bid) demand.set(first_bid.price * 1.03, 0);
  const last_ask = asks.at(-1);
  const last_bid = bids.at(-1);
  if (last_ask) supply.set(last_ask.price * 1.15, supply.get(last_ask.price)!);
  if (last_bid) demand.set(last_bid.price * 0.85, demand.get(last_bid.price)!);
  const prices = [...new Set([...supply.keys(), ...demand.keys()])].sort((a, b) => a - b);
  return [
    prices,
    prices.map((price) => supply.get(price) ?? null),
    prices.map((price) => demand.get(price) ?? null),
  ];
}
