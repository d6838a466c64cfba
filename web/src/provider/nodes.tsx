// One's machines: enrolment, connection, evidence with every check and its expiry, drain and resume.
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { Link, useParams } from 'react-router-dom';
import type { Node } from '../api/market';
import { read } from '../api/market';
import { act } from '../api/desk';
import { paged } from '../api/paged';
import { useSay, useSettings } from '../app/settings';
import { relative_time } from '../format/time';
import { node_commands } from '../public/commands';
import { Evidence } from '../public/node';
import { t as common } from '../text/common';
import { t } from '../text/provider';
import { t as open } from '../text/public';
import { Confirm, Dialog, Faults, Field, Form, useAct } from '../ui/form';
import {
  Badge,
  Card,
  Code,
  Count,
  Empty,
  Facts,
  Figure,
  Figures,
  Loaded,
  TierBadge,
  Time,
  Title,
  useNow,
} from '../ui/parts';
import { PagedTable } from '../ui/table';

/** Evidence that ends sooner is worth a look; a connected node renews it hours ahead. */
const soon_ms = 3_600_000;

type Standing = 'suspended' | 'expired' | 'draining' | 'connected' | 'away';

function standing(node: Node, now: number): Standing {
  if (node.suspended) return 'suspended';
  if (!node.connected) return 'away';
  if (!node.evidence_valid_until || Date.parse(node.evidence_valid_until) <= now) return 'expired';
  return node.draining ? 'draining' : 'connected';
}
const tones = { suspended: 'bad', expired: 'bad', draining: 'warn', away: 'warn', connected: 'good' } as const;

function StandingBadge({ node }: { node: Node }) {
  const say = useSay();
  const now = useNow(10_000);
  const is = standing(node, now);
  return <Badge tone={tones[is]}>{say(t[is])}</Badge>;
}

export function NodesPage() {
  const say = useSay();
  return (
    <>
      <Title text={say(t.nodes)} help={say(t.nodes_help)}>
        <Dialog button={say(t.enrol)} title={say(t.enrol)} tone="primary">
          {() => <Enrol />}
        </Dialog>
      </Title>
      <Alerts />
      <NodesTable />
    </>
  );
}

/** A token, and the commands that use it, ready to be pasted. */
export function Enrol() {
  const say = useSay();
  const [hours, set_hours] = useState('24');
  const make = useAct((seconds: number) => act.enrolment(seconds), []);
  return (
    <div className="stack tight">
      <p className="soft small">{say(t.enrol_help)}</p>
      {make.data ? (
        <>
          <Code text={node_commands(make.data.token ?? undefined)} label={say(t.enrol)} />
          <p className="muted small">
            {say(t.token_until)} <Time at={make.data.expires_at} />
          </p>
        </>
      ) : (
        <Form submit={() => make.mutate(Math.round(Number(hours) * 3600))}>
          <Field
            label={say(t.lifetime_hours)}
            type="number"
            min={1}
            max={168}
            value={hours}
            change={set_hours}
            required
          />
          <Faults error={make.error} />
          <div className="whole">
            <button className="button primary" type="submit" disabled={make.isPending}>
              {say(t.make_token)}
            </button>
          </div>
        </Form>
      )}
    </div>
  );
}

export function Alerts() {
  const say = useSay();
  const { language } = useSettings();
  const nodes = useInfiniteQuery(paged('/v1/nodes'));
  const now = useNow(30_000);
  const alerts = useMemo(() => {
    const all = nodes.data?.pages.flatMap((page) => page.items) ?? [];
    return all.flatMap((node) => {
      const name = node.name ?? node.id;
      const until = node.evidence_valid_until;
      if (node.suspended)
        return [
          {
            key: node.id,
            tone: 'bad',
            text: say(t.suspended_why, { node: name, why: node.suspended_reason ?? '' }),
          },
        ];
      if (!until || Date.parse(until) <= now)
        return [{ key: node.id, tone: 'bad', text: say(t.lapsed, { node: name }) }];
      if (Date.parse(until) - now < soon_ms)
        return [
          {
            key: node.id,
            tone: 'warn',
            text: say(t.expires_soon, { node: name, when: relative_time(until, now, language) }),
          },
        ];
      return [];
    });
  }, [nodes.data, now, language, say]);
  if (alerts.length === 0) return null;
  return (
    <section className="stack tight" aria-label={say(t.alerts)}>
      {alerts.map((alert) => (
        <div key={alert.key} className={`notice ${alert.tone}`}>
          {alert.text}
        </div>
      ))}
    </section>
  );
}

export function NodesTable() {
  const say = useSay();
  const nodes = useInfiniteQuery(paged('/v1/nodes'));
  return (
    <Card title={say(t.nodes)} bare>
      <PagedTable<Node>
        name={say(t.nodes)}
        query={nodes}
        row_key={(node) => node.id}
        empty={<Empty title={say(t.no_nodes)} />}
        columns={[
          {
            name: say(common.node),
            plain: (node) => `${node.name ?? ''} ${node.id}`,
            show: (node) => (
              <>
                <Link className="strong" to={`/provider/nodes/${node.id}`}>
                  {node.name ?? node.id}
                </Link>
                <br />
                <span className="muted tiny">{node.id}</span>
              </>
            ),
          },
          {
            name: say(common.state),
            plain: (node) => String(node.connected),
            show: (node) => <StandingBadge node={node} />,
          },
          { name: say(common.tier), plain: (node) => node.tier, show: (node) => <TierBadge tier={node.tier} /> },
          { name: say(common.region), wide_only: true, plain: (node) => `${node.region} ${node.country}` },
          {
            name: say(t.evidence_ends),
            right: true,
            plain: (node) => node.evidence_valid_until,
            show: (node) => <Time at={node.evidence_valid_until} ago />,
          },
          {
            name: say(open.jobs),
            right: true,
            plain: (node) => node.jobs_completed,
            show: (node) => <Count value={node.jobs_completed} />,
          },
          {
            name: say(open.reliability),
            right: true,
            wide_only: true,
            plain: (node) => node.reliability_permille,
            show: (node) => `${(node.reliability_permille / 10).toFixed(1)}%`,
          },
        ]}
      />
    </Card>
  );
}

export function NodePage() {
  const say = useSay();
  const id = useParams().id ?? '';
  const node = useQuery(read.node(id));
  const resume = useAct(() => act.resume(id), ['/v1/nodes']);
  const drain = useAct(() => act.drain(id), ['/v1/nodes']);
  return (
    <Loaded query={node}>
      {(found) => (
        <>
          <Title text={found.name ?? found.id}>
            <div className="row grow">
              <StandingBadge node={found} />
              <TierBadge tier={found.tier} />
            </div>
            {found.draining ? (
              <button
                type="button"
                className="button primary"
                disabled={resume.isPending}
                onClick={() => resume.mutate(undefined)}
              >
                {say(t.resume)}
              </button>
            ) : (
              <Confirm
                button={say(t.drain)}
                title={`${say(t.drain)}: ${found.name ?? found.id}`}
                text={say(t.drain_help)}
                act={() => drain.mutateAsync(undefined)}
                tone=""
              />
            )}
          </Title>
          <Faults error={resume.error ?? drain.error} />
          <Figures>
            <Figure name={say(t.evidence_ends)}>
              <Time at={found.evidence_valid_until} ago />
            </Figure>
            <Figure name={say(open.jobs)}>
              <Count value={found.jobs_completed} />
            </Figure>
            <Figure name={say(open.reliability)}>
              <span className="num">{(found.reliability_permille / 10).toFixed(1)}%</span>
            </Figure>
          </Figures>
          <Evidence id={id} />
          <Card title={say(t.hardware)}>
            <Facts
              rows={[
                [say(common.region), `${found.region} · ${found.country}`],
                ['GPU', `${found.gpu_count} × ${found.gpu_model}`],
                ...Object.entries(found.hardware ?? {}).map(([name, value]): [string, string] => [
                  name,
                  String(value),
                ]),
              ]}
            />
          </Card>
        </>
      )}
    </Loaded>
  );
}
