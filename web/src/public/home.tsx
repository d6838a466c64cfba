// The first page: what this is, and every market with its best prices, live.
import { useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import { Link } from 'react-router-dom';
import { read, type Market } from '../api/market';
import { useSay } from '../app/settings';
import { nano_of } from '../format/money';
import { t as common } from '../text/common';
import { t } from '../text/public';
import { Badge, Card, Count, Empty, Figure, Figures, Large, Loaded, Money, TierBadge, Time } from '../ui/parts';
import { Spark } from '../ui/spark';
import { Table, type Column } from '../ui/table';
import { market_link, short_name } from './names';

/** More rows than this would ask for more candles than a person looks at. */
const sparks_max = 20;

function Threads() {
  const turns = Array.from({ length: 9 }, (_, index) => index);
  return (
    <svg className="threads" viewBox="0 0 400 400" fill="none" stroke="currentColor" aria-hidden="true">
      {turns.map((turn) => (
        <ellipse
          key={turn}
          cx="200"
          cy="200"
          rx={70 + turn * 8}
          ry={175 - turn * 6}
          transform={`rotate(${24 + turn * 7} 200 200)`}
          strokeWidth="1"
        />
      ))}
    </svg>
  );
}

function Name({ market }: { market: Market }) {
  const say = useSay();
  return (
    <div className="market-name">
      <Link className="strong" to={market_link(market.name)}>
        {short_name(market.name)}
      </Link>
      <span className="row">
        {(market.tiers ?? []).map((tier) => (
          <TierBadge key={tier} tier={tier} />
        ))}
        {market.paused && <Badge tone="warn">{say(t.paused)}</Badge>}
      </span>
    </div>
  );
}

function Slots({ market }: { market: Market }) {
  const free = market.slots - market.slots_used;
  return (
    <>
      <Count value={free} />
      <span className="unit"> / {market.slots}</span>
    </>
  );
}

function useColumns(kind: Market['kind'], rows: number): Column<Market>[] {
  const say = useSay();
  const prices: Column<Market>[] =
    kind === 'compute'
      ? [
          {
            name: `${say(t.best_price)} ${say(common.per_gpu_hour)}`,
            right: true,
            plain: (row) => row.best_price && nano_of(row.best_price.gpu_second_nano) * 3600n,
            show: (row) => (
              <Money nano={row.best_price && nano_of(row.best_price.gpu_second_nano) * 3600n} digits={4} />
            ),
          },
        ]
      : [
          {
            name: `${say(t.best_in)} ${say(common.per_mtok)}`,
            right: true,
            plain: (row) => row.best_price && nano_of(row.best_price.prompt_nano_per_mtok),
            show: (row) => <Money nano={row.best_price?.prompt_nano_per_mtok} digits={4} />,
          },
          {
            name: `${say(t.best_out)} ${say(common.per_mtok)}`,
            right: true,
            plain: (row) => row.best_price && nano_of(row.best_price.completion_nano_per_mtok),
            show: (row) => <Money nano={row.best_price?.completion_nano_per_mtok} digits={4} />,
          },
        ];
  return [
    {
      name: say(kind === 'compute' ? t.gpu : common.market),
      plain: (row) => short_name(row.name),
      show: (row) => <Name market={row} />,
    },
    ...prices,
    ...(rows <= sparks_max
      ? [
          {
            name: say(t.trend),
            plain: () => '',
            show: (row: Market) => <Spark market={row.name} label={say(t.trend)} />,
            wide_only: true,
          },
        ]
      : []),
    {
      name: say(t.free_slots),
      right: true,
      plain: (row) => row.slots - row.slots_used,
      show: (row) => <Slots market={row} />,
    },
    { name: say(t.offers), right: true, plain: (row) => row.offers, show: (row) => <Count value={row.offers} /> },
    {
      name: say(t.waiting),
      right: true,
      plain: (row) => row.resting_requests,
      show: (row) => <Count value={row.resting_requests} />,
    },
    ...(kind === 'inference'
      ? [
          {
            name: say(t.context),
            right: true,
            wide_only: true,
            plain: (row: Market) => row.context_tokens_max,
            show: (row: Market) =>
              row.context_tokens_max ? <Large value={row.context_tokens_max} /> : <span className="muted">—</span>,
          },
        ]
      : []),
    {
      name: say(t.last),
      right: true,
      plain: (row) => row.last_trade_at,
      show: (row) => <Time at={row.last_trade_at} ago />,
    },
  ];
}

function Markets({ kind, rows, title }: { kind: Market['kind']; rows: Market[]; title: string }) {
  const say = useSay();
  return (
    <Card title={title} json="/v1/markets" bare>
      <Table
        name={title}
        rows={rows}
        columns={useColumns(kind, rows.length)}
        row_key={(row) => row.name}
        empty={
          <Empty title={say(t.no_markets)}>
            <p>{say(t.no_markets_help)}</p>
            <Link className="button" to="/sign-up/provider">
              {say(t.sell)}
            </Link>
          </Empty>
        }
      />
    </Card>
  );
}

function Glance({ markets }: { markets: Market[] }) {
  const say = useSay();
  const network = useQuery(read.network());
  const version = useQuery(read.version());
  const sum = (of: (market: Market) => number) => markets.reduce((total, market) => total + of(market), 0);
  const groups = network.data?.items ?? [];
  const slots = sum((market) => market.slots);
  return (
    <Figures>
      <Figure name={say(t.markets_open)} json="/v1/markets">
        <Count value={markets.length} />
      </Figure>
      <Figure name={say(t.free_slots)} json="/v1/markets" note={say(t.of_total, { total: slots })}>
        <Count value={slots - sum((market) => market.slots_used)} />
      </Figure>
      <Figure
        name={say(t.nodes_available)}
        json="/v1/network"
        note={say(t.gpus_ready, { count: groups.reduce((total, group) => total + group.gpus_available, 0) })}
      >
        <Count value={network.data && groups.reduce((total, group) => total + group.available, 0)} />
      </Figure>
      <Figure name={say(t.waiting)} json="/v1/markets" note={say(t.requests)}>
        <Count value={sum((market) => market.resting_requests)} />
      </Figure>
      <Figure name={say(t.market_fee)} json="/version" note={say(t.fee_note)}>
        {version.data ? <span className="num">{version.data.fee_basis_points / 100}%</span> : '—'}
      </Figure>
    </Figures>
  );
}

export function Home() {
  const say = useSay();
  const markets = useQuery(read.markets());
  useEffect(() => {
    document.title = `Cocoon Market · ${say(t.title)}`;
  }, [say]);
  return (
    <div className="stack">
      <div className="hero">
        <Threads />
        <h1>{say(t.hero)}</h1>
        <p>{say(t.hero_text)}</p>
        <div className="row">
          <Link className="button primary large" to="/sign-up/developer">
            {say(t.buy)}
          </Link>
          <Link className="button large" to="/sign-up/provider">
            {say(t.sell)}
          </Link>
        </div>
      </div>
      <Loaded query={markets}>
        {(list) => {
          const inference = list.items.filter((market) => market.kind === 'inference');
          const compute = list.items.filter((market) => market.kind === 'compute');
          return (
            <>
              <Glance markets={list.items} />
              <Markets kind="inference" rows={inference} title={say(t.models)} />
              {compute.length > 0 && <Markets kind="compute" rows={compute} title={say(t.compute)} />}
            </>
          );
        }}
      </Loaded>
      <section className="stack tight" aria-labelledby="how">
        <h2 id="how">{say(t.how)}</h2>
        <ol className="steps">
          {[t.how_1, t.how_2, t.how_3, t.how_4].map((step) => (
            <li key={step[0]}>
              <span className="small soft">{say(step)}</span>
            </li>
          ))}
        </ol>
      </section>
    </div>
  );
}
