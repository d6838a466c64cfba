// The machine room: the lane that writes, the projector behind it, the relay, and the statements that take the time.
// Everything here is the server's own /metrics, since its start.
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { admin } from '../api/admin';
import { useSay } from '../app/settings';
import { quantile, total, type Sample } from '../format/metrics';
import { duration } from '../format/time';
import { t } from '../text/admin';
import { Card, Count, Figure, Figures, Loaded, Title } from '../ui/parts';
import { Table } from '../ui/table';

interface Statement {
  name: string;
  calls: number;
  seconds: number;
  failures: number;
}

function statements(samples: Sample[]): Statement[] {
  const names = samples.filter((one) => one.name === 'cocoon_db_statement_calls_total').map((one) => one.labels.statement!);
  const of = (what: string, statement: string) => total(samples, `cocoon_db_statement_${what}_total`, { statement }) ?? 0;
  return names.map((name) => ({
    name,
    calls: of('calls', name),
    seconds: of('seconds', name),
    failures: of('failures', name),
  }));
}

const time = (seconds: number | undefined) => (seconds === undefined ? '—' : precise(seconds * 1000));
/** Commits take fractions of a millisecond. */
const precise = (milliseconds: number) =>
  milliseconds < 10 ? `${milliseconds.toFixed(2)} ms` : duration(milliseconds);

export function Health() {
  const say = useSay();
  const metrics = useQuery(admin.metrics());
  return (
    <>
      <Title text={say(t.health)} help={say(t.health_help)} />
      <Loaded query={metrics}>
        {(samples) => (
          <>
            <Card title={say(t.lane)} json="/metrics" bare>
              <Lane samples={samples} />
            </Card>
            <Card title={say(t.server)} json="/metrics" bare>
              <Server samples={samples} />
            </Card>
            <Statements rows={statements(samples)} />
          </>
        )}
      </Loaded>
    </>
  );
}

function Lane({ samples }: { samples: Sample[] }) {
  const say = useSay();
  const of = (name: string) => total(samples, `cocoon_${name}`);
  const commit = (part: number) => time(quantile(samples, 'cocoon_lane_commit_seconds', part));
  const batches = of('lane_batches_total');
  return (
    <Figures>
      <Figure name={say(t.commit)} note={say(t.median_and_99)}>
        {commit(0.5)} · {commit(0.99)}
      </Figure>
      <Figure name={say(t.commands)} note={say(t.a_batch, { count: batches ? ((of('lane_commands_total') ?? 0) / batches).toFixed(1) : 0 })}>
        <Count value={of('lane_commands_total')} />
      </Figure>
      <Figure name={say(t.inbox)} note={say(t.refused_full, { count: of('lane_overloaded_total') ?? 0 })}>
        <Count value={of('lane_inbox_commands')} />
      </Figure>
      <Figure name={say(t.in_doubt)} note={say(t.not_stored, { count: of('lane_not_stored_total') ?? 0 })}>
        <Count value={of('lane_in_doubt_total')} />
      </Figure>
      <Figure name={say(t.projector)} note={say(t.entries_behind, { count: of('projector_lag_entries') ?? 0 })}>
        {time(of('projector_lag_seconds'))}
      </Figure>
    </Figures>
  );
}

function Server({ samples }: { samples: Sample[] }) {
  const say = useSay();
  const of = (name: string) => total(samples, `cocoon_${name}`);
  const answered = (part: number) => time(quantile(samples, 'cocoon_http_request_seconds', part));
  const status = (of_class: string) => total(samples, 'cocoon_http_responses_total', { status: of_class }) ?? 0;
  return (
    <Figures>
      <Figure name={say(t.answers)} note={say(t.median_and_99)}>
        {answered(0.5)} · {answered(0.99)}
      </Figure>
      <Figure name={say(t.server_errors)} note={say(t.rate_limited, { count: of('http_rate_limited_total') ?? 0 })}>
        <Count value={status('5xx')} />
      </Figure>
      <Figure name={say(t.exchanges_open)} note={say(t.nodes_lost, { count: of('relay_node_losses_total') ?? 0 })}>
        <Count value={of('relay_streams')} />
      </Figure>
      <Figure name={say(t.workers)} note={say(t.queued, { count: of('workers_queued') ?? 0 })}>
        <Count value={of('workers_busy')} />
      </Figure>
      <Figure name={say(t.connections)}>
        <Count value={of('db_connections_in_use')} /> <span className="unit">/ {of('db_connections_max') ?? '—'}</span>
      </Figure>
      <Figure name={say(t.uptime)}>{duration((of('uptime_seconds') ?? 0) * 1000)}</Figure>
    </Figures>
  );
}

const statements_shown = 15;

function Statements({ rows }: { rows: Statement[] }) {
  const say = useSay();
  const [all, set_all] = useState(false);
  const dearest = [...rows].sort((a, b) => b.seconds - a.seconds);
  const mean = (row: Statement) => (row.calls === 0 ? 0 : row.seconds / row.calls);
  return (
    <Card title={say(t.statements)} json="/metrics" bare>
      <Table<Statement>
        name={say(t.statements)}
        rows={all ? dearest : dearest.slice(0, statements_shown)}
        row_key={(row) => row.name}
        dense
        more={
          !all && (
            <div className="tools">
              <button type="button" className="button" onClick={() => set_all(true)}>
                {say(t.all_statements, { count: rows.length })}
              </button>
            </div>
          )
        }
        columns={[
          { name: say(t.statement), plain: (row) => row.name, show: (row) => <code>{row.name}</code> },
          { name: say(t.calls), right: true, plain: (row) => row.calls, show: (row) => <Count value={row.calls} /> },
          { name: say(t.mean), right: true, plain: mean, show: (row) => <span className="num">{time(mean(row))}</span> },
          {
            name: say(t.total),
            right: true,
            plain: (row) => row.seconds,
            show: (row) => <span className="num">{time(row.seconds)}</span>,
          },
          { name: say(t.failures), right: true, plain: (row) => row.failures, show: (row) => <Count value={row.failures} /> },
        ]}
      />
    </Card>
  );
}
