// The operator's first page: what needs a look now, then the market at a glance.
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link } from 'react-router-dom';
import { admin } from '../api/admin';
import { paged } from '../api/paged';
import { useSay, useSettings } from '../app/settings';
import { quantile, total, type Sample } from '../format/metrics';
import { duration } from '../format/time';
import { alarm_words, t } from '../text/admin';
import { Card, Count, Figure, Figures, Loaded, Money, Title } from '../ui/parts';
import { alarms } from './alarms';
import { LedgerCard } from './ledger';

export function Overview() {
  const say = useSay();
  return (
    <>
      <Title text={say(t.overview)} />
      <Alarms />
      <Now />
      <Trade />
      <LedgerCard />
    </>
  );
}

function Alarms() {
  const say = useSay();
  const overview = useQuery(admin.overview());
  const ledger = useQuery(admin.ledger());
  const settlement = useQuery(admin.settlement());
  const metrics = useQuery(admin.metrics());
  const pending = useInfiniteQuery(paged('/v1/measurements', { state: 'pending' }));
  const waiting = useInfiniteQuery(paged('/v1/admin/payouts', { state: 'awaiting_approval' }));
  const found = alarms({
    overview: overview.data,
    ledger: ledger.data,
    settlement: settlement.data,
    metrics: metrics.data,
    builds_pending: pending.data?.pages[0]?.items.length,
    payouts_waiting: waiting.data?.pages[0]?.items.length,
  });
  const unread = [overview, ledger, settlement, metrics].some((query) => query.isError);
  if (found.length === 0)
    return (
      <div className={`notice ${unread ? 'warn' : 'good'}`} role="status">
        {say(unread ? t.alarms_unread : t.no_alarms)}
      </div>
    );
  return (
    <Card title={say(t.alarms)} bare>
      <ul className="alarms">
        {found.map(({ name, tone, count, page }) => (
          <li key={name} className={tone}>
            <Link to={`/admin/${page}`}>{say(alarm_words[name], { count })}</Link>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Now() {
  const say = useSay();
  const overview = useQuery(admin.overview());
  return (
    <Loaded query={overview}>
      {(now) => (
        <Figures>
          <Figure name={say(t.developers)} note={`${now.accounts_frozen ?? 0} ${say(t.frozen)}`}>
            <Count value={now.developers} />
          </Figure>
          <Figure name={say(t.providers)}>
            <Count value={now.providers} />
          </Figure>
          <Figure
            name={say(t.nodes_connected)}
            note={say(t.attested, { count: now.nodes_attested ?? 0, suspended: now.nodes_suspended ?? 0 })}
          >
            <Count value={now.nodes_connected} /> <span className="unit">/ {now.nodes}</span>
          </Figure>
          <Figure name={say(t.slots_used)}>
            <Count value={now.slots_used} /> <span className="unit">/ {now.slots}</span>
          </Figure>
          <Figure name={say(t.resting)}>
            <Count value={now.requests_resting} />
          </Figure>
          <Figure name={say(t.jobs_open)}>
            <Count value={now.jobs_open} />
          </Figure>
          <Figure name={say(t.payouts_open)}>
            <Count value={now.payouts_open} />
          </Figure>
          <Figure name={say(t.sequence)}>
            <span className="num">{now.sequence}</span>
          </Figure>
        </Figures>
      )}
    </Loaded>
  );
}

/** A share in words, "—" while there is nothing to divide. */
function share(part: number | undefined, whole: number | undefined, language: string): string {
  if (part === undefined || !whole) return '—';
  return new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: 1 }).format(part / whole);
}

const waited = (samples: Sample[], name: string, part: number) => {
  const seconds = quantile(samples, name, part);
  return seconds === undefined ? '—' : duration(seconds * 1000);
};

/** Since the server was started: its own counters. */
function Trade() {
  const say = useSay();
  const { language } = useSettings();
  const metrics = useQuery(admin.metrics());
  return (
    <Loaded query={metrics}>
      {(samples) => {
        const of = (name: string, labels = {}) => total(samples, `cocoon_${name}`, labels);
        const unmatched = of('requests_unmatched_total') ?? 0;
        const whole = (name: string) => BigInt(Math.trunc(of(name) ?? 0));
        return (
          <Card title={say(t.since_start)} json="/metrics" bare>
            <Figures>
              <Figure name={say(t.fill_rate)} note={say(t.unmatched, { count: unmatched })}>
                {share(of('matches_total'), of('requests_placed_total'), language)}
              </Figure>
              <Figure
                name={say(t.jobs_completed)}
                note={say(t.jobs_failed, { count: of('jobs_ended_total', { state: 'failed' }) ?? 0 })}
              >
                <Count value={of('jobs_ended_total', { state: 'completed' })} />
              </Figure>
              <Figure name={say(t.first_output)} note={say(t.median_and_99)}>
                {waited(samples, 'cocoon_relay_first_output_seconds', 0.5)} ·{' '}
                {waited(samples, 'cocoon_relay_first_output_seconds', 0.99)}
              </Figure>
              <Figure name={say(t.captured)}>
                <Money nano={whole('captured_nano_total')} digits={4} />
              </Figure>
              <Figure name={say(t.revenue)}>
                <Money nano={whole('fees_nano_total')} digits={4} />
              </Figure>
            </Figures>
          </Card>
        );
      }}
    </Loaded>
  );
}
