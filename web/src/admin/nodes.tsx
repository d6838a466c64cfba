// Every machine with its owner, its standing and when its evidence ends, soonest first when asked.
import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router-dom';
import { admin } from '../api/admin';
import type { Node } from '../api/market';
import { paged } from '../api/paged';
import { useSay } from '../app/settings';
import { t } from '../text/admin';
import { t as common } from '../text/common';
import { Badge, Card, Empty, TierBadge, Time, Title, useNow } from '../ui/parts';
import { PagedTable } from '../ui/table';
import { Noted } from './noted';

/** A connected node renews its evidence hours ahead; what ends sooner is not being renewed. */
const soon_ms = 2 * 3_600_000;

type Standing = 'suspended' | 'refused' | 'lapsed' | 'away' | 'draining' | 'connected';
const tones = {
  suspended: 'bad',
  refused: 'bad',
  lapsed: 'bad',
  away: 'plain',
  draining: 'warn',
  connected: 'good',
} as const;

function standing(node: Node, now: number): Standing {
  if (node.suspended) return 'suspended';
  if (node.standing && node.standing !== 'good') return 'refused';
  if (!node.connected) return 'away';
  if (!node.evidence_valid_until || Date.parse(node.evidence_valid_until) <= now) return 'lapsed';
  return node.draining ? 'draining' : 'connected';
}

const ends_soon = (node: Node, now: number) =>
  Boolean(node.connected && node.evidence_valid_until && Date.parse(node.evidence_valid_until) < now + soon_ms);

export function Nodes() {
  const say = useSay();
  const now = useNow(30_000);
  const [soon, set_soon] = useState(false);
  const nodes = useInfiniteQuery({ ...paged('/v1/nodes'), refetchInterval: 30_000 });
  return (
    <>
      <Title text={say(t.nodes)} />
      <Card title={say(t.nodes)} bare>
        <PagedTable<Node>
          name={say(t.nodes)}
          query={nodes}
          row_key={(node) => node.id}
          only={soon ? (node) => ends_soon(node, now) : undefined}
          empty={<Empty title={say(t.no_nodes)} />}
          filter
          tools={
            <label className="row small">
              <input type="checkbox" checked={soon} onChange={(event) => set_soon(event.target.checked)} />
              {say(t.evidence_soon)}
            </label>
          }
          columns={[
            {
              name: say(common.node),
              plain: (node) => `${node.name ?? ''} ${node.id} ${node.provider ?? ''}`,
              show: (node) => (
                <>
                  <Link className="strong" to={`/nodes/${node.id}`}>
                    {node.name ?? node.id}
                  </Link>
                  <br />
                  <span className="muted tiny">
                    {node.id} · {node.provider}
                  </span>
                </>
              ),
            },
            { name: say(common.tier), plain: (node) => node.tier, show: (node) => <TierBadge tier={node.tier} /> },
            {
              name: say(common.state),
              plain: (node) => standing(node, now),
              show: (node) => {
                const is = standing(node, now);
                return (
                  <>
                    <Badge tone={tones[is]}>{is === 'refused' ? node.standing : is}</Badge>
                    {node.suspended_reason && <div className="muted tiny break">{node.suspended_reason}</div>}
                  </>
                );
              },
            },
            { name: say(common.region), wide_only: true, plain: (node) => node.region },
            {
              name: say(t.evidence_ends),
              right: true,
              plain: (node) => node.evidence_valid_until,
              show: (node) => <Time at={node.evidence_valid_until} ago />,
            },
            {
              name: '',
              plain: () => '',
              show: (node) => (
                <Noted
                  button={node.suspended ? t.restore : t.suspend}
                  title={node.id}
                  help={t.suspend_help}
                  touches={['/v1/nodes']}
                  act={(note) => (node.suspended ? admin.restore : admin.suspend)(node.id, note)}
                />
              ),
            },
          ]}
        />
      </Card>
    </>
  );
}
