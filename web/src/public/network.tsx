// Every machine on the market, by what its evidence proves and where its owner says it stands; and the market's health.
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router-dom';
import { read, type Node, type Tier } from '../api/market';
import { paged } from '../api/paged';
import { useSay } from '../app/settings';
import { t as common } from '../text/common';
import { t } from '../text/public';
import { Badge, Card, Count, Empty, Facts, Loaded, TierBadge, Time, Title } from '../ui/parts';
import { Narrowed, PagedTable } from '../ui/table';
import type { Schemas } from '../api/client';

const tiers: Tier[] = ['tdx+gpu-cc', 'snp+gpu-cc', 'tdx', 'snp', 'simulated'];

export function NetworkPage() {
  const say = useSay();
  const network = useQuery(read.network());
  return (
    <div className="stack">
      <Title text={say(t.network_title)} help={say(t.network_help)} />
      <div className="grid-2">
        <Card title={say(t.by_tier)} json="/v1/network">
          <Loaded query={network}>{(found) => <ByTier groups={found.items} />}</Loaded>
        </Card>
        <Health />
      </div>
      <Nodes regions={[...new Set(network.data?.items.map((group) => group.region) ?? [])].sort()} />
    </div>
  );
}

function ByTier({ groups }: { groups: Schemas['Network']['items'] }) {
  const say = useSay();
  const regions = [...new Set(groups.map((group) => group.region))].sort();
  const rows = [...tiers, null].filter((tier) => groups.some((group) => group.tier === tier));
  if (rows.length === 0) return <Empty title={say(t.no_nodes)} />;
  const cell = (tier: Tier | null, region: string) => {
    const here = groups.filter((group) => group.tier === tier && group.region === region);
    const all = here.reduce((sum, group) => sum + group.nodes, 0);
    const ready = here.reduce((sum, group) => sum + group.available, 0);
    return { all, ready, level: ready === 0 ? 0 : ready < 3 ? 1 : ready < 10 ? 2 : 3 };
  };
  return (
    <div className="table-wrap" role="region" aria-label={say(t.by_tier)} tabIndex={0}>
      <table className="heat">
        <thead>
          <tr>
            <th scope="col">{say(common.tier)}</th>
            {regions.map((region) => (
              <th key={region} scope="col">
                {region}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((tier) => (
            <tr key={tier ?? ''}>
              <th scope="row">
                <TierBadge tier={tier} />
              </th>
              {regions.map((region) => {
                const { all, ready, level } = cell(tier, region);
                return (
                  <td key={region} data-level={level}>
                    {all > 0 ? (
                      <span className="num">{say(t.ready_of, { ready, all })}</span>
                    ) : (
                      <span className="muted">·</span>
                    )}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Health() {
  const say = useSay();
  const ready = useQuery(read.ready());
  const version = useQuery(read.version());
  const key = useQuery(read.market_key());
  return (
    <Card title={say(t.health)} json="/readyz">
      <Facts
        rows={[
          [
            say(common.state),
            ready.data && (
              <Badge tone={ready.data.ready ? 'good' : 'bad'}>
                {say(ready.data.ready ? t.serving : t.not_ready)}
              </Badge>
            ),
          ],
          [
            say(t.version),
            version.data && `${version.data.version}${version.data.build ? ' · ' + version.data.build : ''}`,
          ],
          [say(t.market_fee), version.data && `${version.data.fee_basis_points / 100}%`],
          [
            say(t.simulated_tier),
            version.data && say(version.data.simulated_tier === 'allow' ? t.allowed : t.refused),
          ],
          [say(t.cosigning_key), key.data && <code>{key.data.public_key}</code>],
          [
            say(t.metrics),
            <a key="metrics" href="/metrics">
              /metrics
            </a>,
          ],
        ]}
      />
    </Card>
  );
}

function Nodes({ regions }: { regions: string[] }) {
  const say = useSay();
  const [tier, set_tier] = useState<Tier | ''>('');
  const [region, set_region] = useState('');
  const [ready, set_ready] = useState(false);
  const nodes = useInfiniteQuery({
    ...paged('/v1/network/nodes', {
      tier: tier || undefined,
      region: region || undefined,
      available: ready ? 'true' : undefined,
    }),
    refetchInterval: 30_000,
  });
  return (
    <Card title={say(t.nodes)} json="/v1/network/nodes" bare>
      <PagedTable<Node>
        name={say(t.nodes)}
        query={nodes}
        row_key={(node) => node.id}
        empty={<Empty title={say(t.no_nodes)} />}
        tools={
          <>
            <Narrowed name={say(common.tier)} choices={tiers} value={tier} change={set_tier} />
            <Narrowed name={say(common.region)} choices={regions} value={region} change={set_region} />
            <label className="row small">
              <input type="checkbox" checked={ready} onChange={(event) => set_ready(event.target.checked)} />
              {say(t.only_ready)}
            </label>
          </>
        }
        columns={[
          {
            name: say(common.node),
            plain: (node) => node.id,
            show: (node) => (
              <span className="row">
                <Link className="strong" to={`/nodes/${node.id}`}>
                  {node.id}
                </Link>
                <Badge tone={node.available ? 'good' : 'plain'}>{say(node.available ? t.ready : t.away)}</Badge>
              </span>
            ),
          },
          { name: say(t.trust), plain: (node) => node.tier, show: (node) => <TierBadge tier={node.tier} /> },
          {
            name: say(common.region),
            plain: (node) => `${node.region} ${node.country}`,
            show: (node) => `${node.region} · ${node.country}`,
          },
          { name: say(t.gpu), plain: (node) => `${node.gpu_count} × ${node.gpu_model}` },
          {
            name: say(t.reliability),
            right: true,
            plain: (node) => node.reliability_permille,
            show: (node) => <span className="num">{(node.reliability_permille / 10).toFixed(1)}%</span>,
          },
          {
            name: say(t.first_output),
            right: true,
            wide_only: true,
            plain: (node) => node.first_output_ms,
            show: (node) => <Count value={node.first_output_ms} unit="ms" />,
          },
          {
            name: say(t.speed),
            right: true,
            wide_only: true,
            plain: (node) => node.tokens_per_second,
            show: (node) => <Count value={node.tokens_per_second} />,
          },
          {
            name: say(t.jobs),
            right: true,
            plain: (node) => node.jobs_completed,
            show: (node) => <Count value={node.jobs_completed} />,
          },
          {
            name: say(t.evidence_until),
            right: true,
            wide_only: true,
            plain: (node) => node.evidence_valid_until,
            show: (node) => <Time at={node.evidence_valid_until} ago />,
          },
        ]}
      />
    </Card>
  );
}
