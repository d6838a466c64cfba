// One market: its prices over time, its book, its trades, and the demand that nobody meets.
import { usePrefetchQuery, useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { useParams } from 'react-router-dom';
import { market_path, read, type Book, type Candle, type Interval, type Trade } from '../api/market';
import { useSay, useSettings } from '../app/settings';
import { coins, drawn_coins, nano_of } from '../format/money';
import { t as common } from '../text/common';
import { t } from '../text/public';
import { DepthChart, load_charts, PriceChart } from '../ui/lazy_chart';
import {
  Badge,
  Card,
  Code,
  Count,
  Empty,
  Figure,
  Figures,
  Large,
  Loaded,
  Money,
  PriceText,
  Segments,
  TierBadge,
  Time,
  Title,
} from '../ui/parts';
import { Table } from '../ui/table';
import { AskPrice } from './ask_price';
import { short_name } from './names';

void load_charts();

/** What the parts of the page will ask for, asked at once rather than when each of them is drawn. */
function useAhead(name: string): void {
  usePrefetchQuery(read.ticker(name));
  usePrefetchQuery(read.book(name));
  usePrefetchQuery(read.candles(name, '1m'));
  usePrefetchQuery(read.prices(name));
  usePrefetchQuery(read.trades(name));
  usePrefetchQuery(read.demand(name));
}

export function MarketPage() {
  const name = useParams().name ?? '';
  const say = useSay();
  useAhead(name);
  const market = useQuery(read.market(name));
  return (
    <Loaded query={market}>
      {(found) => (
        <div className="stack">
          <Title text={short_name(found.name)}>
            <div className="row grow">
              <Badge>{found.kind}</Badge>
              {(found.tiers ?? []).map((tier) => (
                <TierBadge key={tier} tier={tier} />
              ))}
              {found.paused && <Badge tone="warn">{say(t.paused)}</Badge>}
            </div>
          </Title>
          <TickerFigures name={name} />
          <History name={name} kind={found.kind} />
          <div className="grid-2">
            <Depth name={name} />
            <OfferLevels name={name} />
          </div>
          <div className="grid-2">
            <Trades name={name} />
            <div className="stack">
              <AskPrice market={name} kind={found.kind} />
              <Unmet name={name} />
              <WaitingDemand name={name} />
            </div>
          </div>
          {found.kind === 'inference' && <UseIt name={name} />}
        </div>
      )}
    </Loaded>
  );
}

/** What a unit price is a price of. */
function useUnit(kind: string): string {
  const say = useSay();
  return say(kind === 'compute' ? common.gpu_seconds : common.tokens);
}

function TickerFigures({ name }: { name: string }) {
  const say = useSay();
  const { language } = useSettings();
  const ticker = useQuery(read.ticker(name));
  const prices = useQuery(read.prices(name));
  const market = useQuery(read.market(name));
  const book = useQuery(read.book(name));
  const unit = useUnit(market.data?.kind ?? 'inference');
  const percentile = (nano: string | null | undefined) => (nano ? coins(nano_of(nano), language, 4) : '—');
  const path = market_path(name);
  return (
    <Loaded query={ticker}>
      {(now) => (
        <Figures>
          <Figure name={say(t.best_price)} json={path + '/ticker'}>
            <PriceText price={book.data ? (book.data.offers[0]?.price ?? null) : now.best_price} />
          </Figure>
          <Figure name={say(t.last)} json={path + '/ticker'} note={<Time at={now.last_trade_at} ago />}>
            <Money nano={now.last_unit_price_nano} digits={4} />
          </Figure>
          <Figure
            name={say(t.day_volume)}
            json={path + '/ticker'}
            note={say(t.trades_count, { count: now.day?.trades ?? 0 })}
          >
            <Large value={now.day?.volume ?? 0} unit={unit} />
          </Figure>
          <Figure name={say(t.percentiles)} json={path + '/prices'} note={say(t.percentiles_note)}>
            <span className="num three">
              {[prices.data?.p10_nano, prices.data?.p50_nano, prices.data?.p90_nano].map(percentile).join(' · ')}
            </span>
          </Figure>
          <Figure
            name={say(t.free_slots)}
            json={path + '/book'}
            note={say(t.of_total, { total: book.data?.totals?.slots_total ?? now.slots })}
          >
            <Count value={book.data?.totals?.slots_free ?? now.slots - now.slots_used} />
          </Figure>
        </Figures>
      )}
    </Loaded>
  );
}

function candle_columns(candles: Candle[]): [number[], number[], number[], number[], number[]] {
  return [
    candles.map((candle) => Date.parse(candle.from) / 1000),
    candles.map((candle) => candle.volume),
    candles.map((candle) => drawn_coins(candle.high_nano)),
    candles.map((candle) => drawn_coins(candle.low_nano)),
    candles.map((candle) => drawn_coins(candle.close_nano)),
  ];
}

function History({ name, kind }: { name: string; kind: string }) {
  const say = useSay();
  const { language } = useSettings();
  const [interval, set_interval] = useState<Interval>('1m');
  const query = read.candles(name, interval);
  const candles = useQuery(query);
  const columns = useMemo(() => candle_columns(candles.data?.items ?? []), [candles.data]);
  const newest = candles.data?.items.at(-1);
  const tools = (
    <>
      <span className="key">
        {say(t.unit_price)} · {useUnit(kind)}
      </span>
      <Segments<Interval>
        name={say(t.interval)}
        chosen={interval}
        choose={set_interval}
        values={[
          ['1m', say(t.minutes)],
          ['1h', say(t.hours)],
          ['1d', say(t.days)],
        ]}
      />
    </>
  );
  return (
    <Card title={say(t.history)} json={query.queryKey[0]} tools={tools}>
      <Loaded query={candles}>
        {(list) =>
          list.items.length === 0 ? (
            <div className="chart-empty">{say(t.no_trades)}</div>
          ) : (
            <PriceChart
              names={[say(common.time), say(t.volume), say(t.high), say(t.low), say(t.close)]}
              data={columns}
              label={say(t.history_label, {
                count: list.items.length,
                close: coins(nano_of(newest?.close_nano), language, 6),
              })}
            />
          )
        }
      </Loaded>
    </Card>
  );
}

function Depth({ name }: { name: string }) {
  const say = useSay();
  const book = useQuery(read.book(name));
  const points = useMemo(() => depth_points(book.data), [book.data]);
  const tools = (
    <>
      <span className="key">{say(t.by_blended)}</span>
      <span className="key">
        <i className="supply" />
        {say(t.supply)}
      </span>
      <span className="key">
        <i className="demand" />
        {say(t.demand)}
      </span>
    </>
  );
  return (
    <Card title={say(t.depth)} json={market_path(name) + '/book'} tools={tools}>
      <Loaded query={book}>
        {() =>
          points.asks.length + points.bids.length === 0 ? (
            <div className="chart-empty">{say(t.no_offers)}</div>
          ) : (
            <DepthChart
              names={[say(common.price), say(t.supply), say(t.demand)]}
              {...points}
              label={say(t.depth_label, { supply: total(points.asks), demand: total(points.bids) })}
            />
          )
        }
      </Loaded>
    </Card>
  );
}

const total = (points: { slots: number }[]) => points.reduce((sum, point) => sum + point.slots, 0);

function depth_points(book: Book | undefined) {
  const asks =
    book?.offers.map((level) => ({ price: drawn_coins(level.blended_nano), slots: level.slots_free })) ?? [];
  const bids =
    book?.requests.flatMap((level) =>
      level.blended_max_nano ? [{ price: drawn_coins(level.blended_max_nano), slots: level.slots }] : [],
    ) ?? [];
  return { asks, bids };
}

type Level = Book['offers'][number];

export function OfferLevels({ name }: { name: string }) {
  const say = useSay();
  const book = useQuery(read.book(name));
  return (
    <Card title={say(t.book)} json={market_path(name) + '/book?depth=100'} bare>
      <Loaded query={book}>
        {(found) => (
          <Table<Level>
            name={say(t.book)}
            dense
            rows={found.offers}
            row_key={(level) => JSON.stringify(level.price)}
            empty={
              <Empty title={say(t.no_offers)}>
                <p>{say(t.no_offers_help)}</p>
              </Empty>
            }
            columns={[
              {
                name: say(common.price),
                plain: (level) => nano_of(level.blended_nano),
                show: (level) => <PriceText price={level.price} />,
              },
              {
                name: say(t.free_slots),
                right: true,
                plain: (level) => level.slots_free,
                show: (level) => <Count value={level.slots_free} />,
              },
              { name: say(t.offers), right: true, plain: (level) => level.offers },
              {
                name: say(t.trust),
                plain: (level) => Object.keys(level.offers_by_tier).join(' '),
                show: (level) =>
                  Object.keys(level.offers_by_tier).map((tier) => <TierBadge key={tier} tier={tier as never} />),
                wide_only: true,
              },
            ]}
          />
        )}
      </Loaded>
    </Card>
  );
}

function quantity_of(quantity: Trade['quantity']): number {
  return (
    (quantity.prompt_tokens ?? 0) +
      (quantity.cached_tokens ?? 0) +
      (quantity.completion_tokens ?? 0) +
      (quantity.reasoning_tokens ?? 0) ||
    (quantity.gpu_seconds ?? 0) ||
    (quantity.requests ?? 0)
  );
}

function Trades({ name }: { name: string }) {
  const say = useSay();
  const trades = useQuery(read.trades(name));
  return (
    <Card title={say(t.trades)} json={market_path(name) + '/trades'} bare>
      <Loaded query={trades}>
        {(list) => (
          <Table<Trade & { place: number }>
            name={say(t.trades)}
            dense
            filter={false}
            tools={<span className="muted tiny">{name.startsWith('compute:') ? '' : say(t.best_hint)}</span>}
            rows={list.items.map((trade, place) => ({ ...trade, place }))}
            row_key={(trade) => `${trade.at} ${trade.place}`}
            empty={<Empty title={say(t.no_trades)} />}
            columns={[
              { name: say(common.time), plain: (trade) => trade.at, show: (trade) => <Time at={trade.at} ago /> },
              {
                name: say(t.unit_price),
                right: true,
                plain: (trade) => nano_of(trade.unit_price_nano),
                show: (trade) => <Money nano={trade.unit_price_nano} digits={6} />,
              },
              {
                name: say(t.quantity),
                right: true,
                plain: (trade) => quantity_of(trade.quantity),
                show: (trade) => <Large value={quantity_of(trade.quantity)} />,
              },
              {
                name: say(t.trust),
                plain: (trade) => trade.tier,
                show: (trade) => <TierBadge tier={trade.tier} />,
              },
            ]}
          />
        )}
      </Loaded>
    </Card>
  );
}

function WaitingDemand({ name }: { name: string }) {
  const say = useSay();
  const book = useQuery(read.book(name));
  if (!book.data || book.data.requests.length === 0) return null;
  return (
    <Card title={say(t.resting)} json={market_path(name) + '/book'} bare>
      <Table
        name={say(t.resting)}
        dense
        rows={book.data.requests.map((level, place) => ({ ...level, place }))}
        row_key={(level) => String(level.place)}
        columns={[
          {
            name: say(t.at_most),
            plain: (level) => level.blended_max_nano && nano_of(level.blended_max_nano),
            show: (level) =>
              level.blended_max_nano ? <Money nano={level.blended_max_nano} digits={4} /> : say(t.any_price),
          },
          { name: say(t.requests), right: true, plain: (level) => level.requests },
          { name: say(t.slots), right: true, plain: (level) => level.slots },
        ]}
      />
    </Card>
  );
}

function Unmet({ name }: { name: string }) {
  const say = useSay();
  const demand = useQuery(read.demand(name));
  return (
    <Card title={say(t.unmet)} json={market_path(name) + '/demand'}>
      <div className="stack tight">
        <p className="small soft">{say(t.unmet_help)}</p>
        <Loaded query={demand}>
          {(found) => {
            const hours = found.items.filter((hour) => hour.unmatched > 0).slice(-12);
            const most = Math.max(...hours.map((hour) => hour.unmet), 1);
            if (hours.length === 0) return <p className="small muted">{say(t.unmet_none)}</p>;
            return (
              <ul className="bars">
                {hours.map((hour) => (
                  <li key={hour.from}>
                    <Time at={hour.from} />
                    <meter className="meter" min={0} max={most} value={hour.unmet} aria-label={say(t.unmet)} />
                    <span
                      className="num tiny"
                      title={say(t.unmatched_of, { unmatched: hour.unmatched, placed: hour.placed })}
                    >
                      <Large value={hour.unmet} /> ·{' '}
                      {say(t.unmatched_of, { unmatched: hour.unmatched, placed: hour.placed })}
                    </span>
                  </li>
                ))}
              </ul>
            );
          }}
        </Loaded>
      </div>
    </Card>
  );
}

function UseIt({ name }: { name: string }) {
  const say = useSay();
  const command = `curl http://127.0.0.1:8081/v1/chat/completions -H 'Content-Type: application/json' \\
  -d '${JSON.stringify({ model: short_name(name), messages: [{ role: 'user', content: 'Hello' }] })}'`;
  return (
    <Card title={say(t.use_market)}>
      <div className="stack tight">
        <p className="small soft">{say(t.use_help)}</p>
        <Code text={command} label="curl" />
      </div>
    </Card>
  );
}
