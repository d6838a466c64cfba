// Jobs with their timings and receipts. A provider sees the jobs it served through the same pages.
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useParams } from 'react-router-dom';
import { Refusal, type Schemas } from '../api/client';
import { act, own } from '../api/desk';
import { paged } from '../api/paged';
import { useSession } from '../app/session';
import { useSay } from '../app/settings';
import { nano_of } from '../format/money';
import { duration } from '../format/time';
import { short_name } from '../public/names';
import { t as common } from '../text/common';
import { t } from '../text/developer';
import { Confirm, useAct } from '../ui/form';
import {
  Badge,
  Card,
  Code,
  Count,
  Empty,
  Facts,
  Failed,
  Figure,
  Figures,
  Large,
  Loaded,
  Money,
  PriceText,
  SaveButton,
  Skeleton,
  StateBadge,
  Time,
  Title,
} from '../ui/parts';
import { Narrowed, PagedTable, Table } from '../ui/table';
import { tokens_of } from './requests';

type Job = Schemas['Job'];
type State = Schemas['JobState'];
const states: State[] = ['reserved', 'running', 'completed', 'failed', 'cancelled', 'expired'];

const between = (from: string | null | undefined, to: string | null | undefined) =>
  from && to ? Date.parse(to) - Date.parse(from) : null;

export function JobsPage() {
  const say = useSay();
  const [state, set_state] = useState<State | ''>('');
  const jobs = useInfiniteQuery(paged('/v1/jobs', { state: state || undefined }));
  return (
    <>
      <Title text={say(t.jobs)} />
      <Card title={say(t.jobs)} bare>
        <PagedTable<Job>
          name={say(t.jobs)}
          query={jobs}
          row_key={(job) => job.id}
          empty={
            <Empty title={say(t.no_jobs)}>
              <p>{say(t.no_jobs_help)}</p>
            </Empty>
          }
          tools={<Narrowed name={say(common.state)} choices={states} value={state} change={set_state} />}
          columns={[
            {
              name: say(t.job),
              plain: (job) => job.id,
              show: (job) => (
                <Link className="strong" to={job.id}>
                  {job.id}
                </Link>
              ),
            },
            { name: say(common.market), plain: (job) => short_name(job.market) },
            {
              name: say(common.node),
              wide_only: true,
              plain: (job) => job.node,
              show: (job) => <Link to={`/nodes/${job.node}`}>{job.node}</Link>,
            },
            {
              name: say(t.usage),
              right: true,
              plain: (job) => tokens_of(job.usage),
              show: (job) => <Large value={tokens_of(job.usage)} />,
            },
            {
              name: say(t.captured),
              right: true,
              plain: (job) => nano_of(job.captured_nano),
              show: (job) => <Money nano={job.captured_nano} digits={6} />,
            },
            {
              name: say(t.first_output),
              right: true,
              wide_only: true,
              plain: (job) => job.first_output_ms,
              show: (job) => <Count value={job.first_output_ms} unit="ms" />,
            },
            {
              name: say(t.total_time),
              right: true,
              wide_only: true,
              plain: (job) => between(job.started_at, job.ended_at),
              show: (job) => {
                const ran = between(job.started_at, job.ended_at);
                return ran === null ? (
                  <span className="muted">—</span>
                ) : (
                  <span className="num">{duration(ran)}</span>
                );
              },
            },
            { name: say(common.state), plain: (job) => job.state, show: (job) => <StateBadge state={job.state} /> },
            {
              name: say(t.reserved),
              right: true,
              plain: (job) => job.reserved_at,
              show: (job) => <Time at={job.reserved_at} ago />,
            },
          ]}
        />
      </Card>
    </>
  );
}

export function JobPage() {
  const say = useSay();
  const id = useParams().id ?? '';
  const job = useQuery(own.job(id));
  const buys = useSession()?.account.kind === 'developer';
  const cancel = useAct(() => act.cancel_job(id), ['/v1/jobs', '/v1/requests', '/v1/account']);
  return (
    <Loaded query={job}>
      {(found) => (
        <>
          <Title text={`${say(t.job)} ${found.id}`}>
            <div className="row grow">
              <StateBadge state={found.state} />
              {found.session && <Badge>{say(t.session)}</Badge>}
              {found.attempt > 1 && <Badge tone="warn">{say(t.attempt, { count: found.attempt })}</Badge>}
            </div>
            {buys && !found.ended_at && (
              <Confirm
                button={say(common.cancel)}
                title={`${say(common.cancel)}: ${found.id}`}
                text={say(t.cancel_help)}
                act={() => cancel.mutateAsync(undefined)}
              />
            )}
          </Title>
          <Figures>
            <Figure name={say(t.captured)}>
              <Money nano={found.captured_nano} />
            </Figure>
            <Figure name={say(t.hold)}>
              <Money nano={found.hold_nano} />
            </Figure>
            <Figure name={say(t.first_output)}>
              <Count value={found.first_output_ms} unit="ms" />
            </Figure>
            <Figure name={say(t.timings)} note={<Ran job={found} />}>
              <Time at={found.reserved_at} ago />
            </Figure>
          </Figures>
          <div className="grid-2">
            <UsageTable job={found} />
            <Card title={say(t.job)}>
              <Facts
                rows={[
                  [say(common.market), short_name(found.market)],
                  [say(t.price), <PriceText key="p" price={found.price} />],
                  [
                    say(common.node),
                    <Link key="n" to={`/nodes/${found.node}`}>
                      {found.node}
                    </Link>,
                  ],
                  [say(t.reserved), <Time key="r" at={found.reserved_at} />],
                  [say(t.started), <Time key="s" at={found.started_at} />],
                  [say(t.ended), <Time key="e" at={found.ended_at} />],
                  [say(t.reason), found.reason],
                ]}
              />
            </Card>
          </div>
          <Receipt id={id} />
        </>
      )}
    </Loaded>
  );
}

function Ran({ job }: { job: Job }) {
  const say = useSay();
  const waited = between(job.reserved_at, job.started_at);
  const ran = between(job.started_at, job.ended_at);
  return (
    <>
      {[
        waited !== null && say(t.waited, { time: duration(waited) }),
        ran !== null && say(t.ran, { time: duration(ran) }),
      ]
        .filter(Boolean)
        .join(', ')}
    </>
  );
}

function UsageTable({ job }: { job: Job }) {
  const say = useSay();
  const rows = Object.keys(job.quantity)
    .map((name) => ({
      name,
      bound: job.quantity[name as keyof Job['quantity']] ?? 0,
      used: job.usage[name as keyof Job['usage']] ?? 0,
    }))
    .filter((row) => row.bound + row.used > 0);
  return (
    <Card title={say(t.usage)} bare>
      <Table
        name={say(t.usage)}
        rows={rows}
        row_key={(row) => row.name}
        columns={[
          { name: say(t.usage), plain: (row) => row.name, show: (row) => <code>{row.name}</code> },
          { name: say(t.used), right: true, plain: (row) => row.used, show: (row) => <Count value={row.used} /> },
          {
            name: say(t.bound),
            right: true,
            plain: (row) => row.bound,
            show: (row) => <Count value={row.bound} />,
          },
        ]}
      />
    </Card>
  );
}

function Receipt({ id }: { id: string }) {
  const say = useSay();
  const receipt = useQuery(own.receipt(id));
  if (receipt.isError && !(receipt.error instanceof Refusal && receipt.error.status === 404))
    return <Failed error={receipt.error} />;
  return (
    <Card
      title={say(t.receipt)}
      tools={
        receipt.data && (
          <>
            <Link className="button small" to={`/verify?job=${id}`}>
              {say(t.verify_here)}
            </Link>
            <SaveButton name={`${id}.receipt.json`} text={JSON.stringify(receipt.data)} label={say(t.download)} />
          </>
        )
      }
    >
      {receipt.isPending ? (
        <Skeleton />
      ) : receipt.data ? (
        <div className="stack tight">
          <p className="small soft">{say(t.receipt_help)}</p>
          <Code text={`cocoon-client verify ${id}.receipt.json --config client.json`} label={say(t.verify)} />
          <Code text={JSON.stringify(receipt.data, null, 2)} label={say(t.receipt)} />
        </div>
      ) : (
        <p className="muted small">{say(t.no_receipt)}</p>
      )}
    </Card>
  );
}
