// Requests, and why one waits: how many offers each constraint removed, and the nearest change that would match it.
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useParams } from 'react-router-dom';
import type { Schemas } from '../api/client';
import { act, own } from '../api/desk';
import { paged } from '../api/paged';
import { useSay } from '../app/settings';
import { nano_of } from '../format/money';
import { short_name } from '../public/names';
import { t as common } from '../text/common';
import { t } from '../text/developer';
import { Confirm, useAct } from '../ui/form';
import { Card, Count, Empty, Facts, Large, Loaded, Money, StateBadge, Time, Title } from '../ui/parts';
import { Narrowed, PagedTable, Table } from '../ui/table';

type Request = Schemas['Request'];
type State = Schemas['RequestState'];
const states: State[] = ['resting', 'matched', 'completed', 'failed', 'cancelled', 'expired', 'unmatched'];

export const tokens_of = (quantity: Schemas['Quantity']) =>
  (quantity.prompt_tokens ?? 0) +
    (quantity.cached_tokens ?? 0) +
    (quantity.completion_tokens ?? 0) +
    (quantity.reasoning_tokens ?? 0) ||
  (quantity.gpu_seconds ?? 0);
const markets_of = (request: Request) =>
  request.any_of.map((one) => short_name(one.market) + (one.build ? `@${one.build}` : '')).join(', ');

export function RequestsPage() {
  const say = useSay();
  const [state, set_state] = useState<State | ''>('');
  const requests = useInfiniteQuery(paged('/v1/requests', { state: state || undefined }));
  return (
    <>
      <Title text={say(t.requests)} help={say(t.requests_help)} />
      <Card title={say(t.requests)} bare>
        <PagedTable<Request>
          name={say(t.requests)}
          query={requests}
          row_key={(request) => request.id}
          empty={<Empty title={say(t.no_requests)} />}
          tools={<Narrowed name={say(common.state)} choices={states} value={state} change={set_state} />}
          columns={[
            {
              name: say(t.request),
              plain: (request) => request.id,
              show: (request) => (
                <Link className="strong" to={request.id}>
                  {request.id}
                </Link>
              ),
            },
            { name: say(common.market), plain: markets_of },
            {
              name: say(t.quantity),
              right: true,
              plain: (request) => tokens_of(request.quantity),
              show: (request) => <Large value={tokens_of(request.quantity)} />,
            },
            {
              name: say(t.cap),
              right: true,
              plain: (request) => request.cap_total_nano && nano_of(request.cap_total_nano),
              show: (request) => <Money nano={request.cap_total_nano} digits={6} />,
            },
            {
              name: say(common.state),
              plain: (request) => request.state,
              show: (request) => <StateBadge state={request.state} />,
            },
            {
              name: say(t.job),
              plain: (request) => request.job,
              show: (request) =>
                request.job ? (
                  <Link to={`../jobs/${request.job}`}>{request.job}</Link>
                ) : (
                  <span className="muted">—</span>
                ),
            },
            {
              name: say(t.placed),
              right: true,
              plain: (request) => request.placed_at,
              show: (request) => <Time at={request.placed_at} ago />,
            },
          ]}
        />
      </Card>
    </>
  );
}

export function RequestPage() {
  const say = useSay();
  const id = useParams().id ?? '';
  const request = useQuery(own.request(id));
  const cancel = useAct(() => act.cancel_request(id), ['/v1/requests', '/v1/jobs', '/v1/account']);
  return (
    <Loaded query={request}>
      {({ request: found }) => {
        const open = found.state === 'resting' || found.state === 'matched';
        return (
          <>
            <Title text={`${say(t.request)} ${found.id}`}>
              <div className="row grow">
                <StateBadge state={found.state} />
              </div>
              {open && (
                <Confirm
                  button={say(t.cancel_request)}
                  title={say(t.cancel_request)}
                  text={say(t.cancel_help)}
                  act={() => cancel.mutateAsync(undefined)}
                />
              )}
            </Title>
            {(found.state === 'resting' || found.state === 'unmatched') && <Why id={id} />}
            <Card title={say(t.request)}>
              <Facts
                rows={[
                  [say(common.market), markets_of(found)],
                  [say(t.quantity), <Large key="q" value={tokens_of(found.quantity)} />],
                  [say(t.cap), <Money key="c" nano={found.cap_total_nano} />],
                  [say(t.placed), <Time key="p" at={found.placed_at} />],
                  [say(t.ended), found.ended_at && <Time key="e" at={found.ended_at} />],
                  [say(t.reason), found.reason],
                  [
                    say(t.job),
                    found.job && (
                      <Link key="j" to={`../jobs/${found.job}`}>
                        {found.job}
                      </Link>
                    ),
                  ],
                ]}
              />
            </Card>
          </>
        );
      }}
    </Loaded>
  );
}

function Why({ id }: { id: string }) {
  const say = useSay();
  const answer = useQuery(own.explain(id));
  return (
    <Card title={say(t.why)} bare>
      <Loaded query={answer}>{(found) => <Explanation explanation={found.explanation} />}</Loaded>
    </Card>
  );
}

export function Explanation({ explanation }: { explanation: Schemas['Explanation'] }) {
  const say = useSay();
  return (
    <div className="stack tight inside-card">
      <p className="small soft">
        {say(t.seen, { count: explanation.offers_seen })}. {say(t.why_help)}
      </p>
      {explanation.removed.length > 0 && (
        <Table
          name={say(t.removed)}
          dense
          rows={explanation.removed}
          row_key={(one) => one.constraint}
          columns={[
            { name: say(t.removed), plain: (one) => one.constraint, show: (one) => <code>{one.constraint}</code> },
            { name: '', right: true, plain: (one) => one.offers, show: (one) => <Count value={one.offers} /> },
          ]}
        />
      )}
      {explanation.relaxations.map((one) => (
        <div key={one.constraint + one.suggestion} className="notice good">
          <strong>
            {say(t.nearest)}: {one.suggestion}
          </strong>
          <span>
            {say(t.would_match, { count: one.offers })} · <Money nano={one.cost_nano} />
          </span>
        </div>
      ))}
      {explanation.best.length > 0 && (
        <Table
          name={say(t.best_offers)}
          dense
          rows={explanation.best}
          row_key={(one) => one.offer}
          columns={[
            { name: say(t.best_offers), plain: (one) => one.offer },
            {
              name: say(common.node),
              plain: (one) => one.node,
              show: (one) => <Link to={`/nodes/${one.node}`}>{one.node}</Link>,
            },
            {
              name: say(common.price),
              right: true,
              plain: (one) => nano_of(one.cost_nano),
              show: (one) => <Money nano={one.cost_nano} />,
            },
            {
              name: say(t.penalty),
              right: true,
              plain: (one) => one.penalty_permille,
              // 1,000 is none: the rule ranks by the cost times this.
              show: (one) => `+${(one.penalty_permille - 1000) / 10}%`,
            },
          ]}
        />
      )}
    </div>
  );
}
