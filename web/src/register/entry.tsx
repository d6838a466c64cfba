// One build of the register: its registers, its source, what was decided and why, and the machines that run it.
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from 'react-router-dom';
import { nodes_scanned_max, register, type Measurement } from '../api/register';
import { useSay } from '../app/settings';
import { t as common } from '../text/common';
import { t as open } from '../text/public';
import { t } from '../text/register';
import { Badge, Card, Empty, Facts, Loaded, StateBadge, TierBadge, Time, Title } from '../ui/parts';
import { Table } from '../ui/table';
import { SourceLink } from './page';

export function EntryPage() {
  const say = useSay();
  const id = useParams().id ?? '';
  const entry = useQuery(register.entry(id));
  return (
    <Loaded query={entry}>
      {(found) => (
        <div className="stack">
          <Title text={`${found.name} ${found.version}`} help={say(t[`${found.state}_means`])}>
            <div className="row grow">
              <StateBadge state={found.state} />
              <Badge>{found.kind}</Badge>
            </div>
          </Title>
          <div className="grid-2">
            <Decision entry={found} />
            <Card title={say(t.registers)} json={`/v1/measurements/${id}`}>
              <div className="stack tight">
                <p className="small soft">{say(t.registers_help)}</p>
                <Facts
                  rows={Object.entries(found.registers).map(([name, value]) => [
                    name,
                    <code key={name}>{String(value)}</code>,
                  ])}
                />
              </div>
            </Card>
          </div>
          <Nodes id={id} />
        </div>
      )}
    </Loaded>
  );
}

function Decision({ entry }: { entry: Measurement }) {
  const say = useSay();
  return (
    <Card title={say(t.decision)}>
      <Facts
        rows={[
          [say(t.entry), entry.id],
          [say(t.source), <SourceLink key="source" source={entry.source} />],
          [say(t.submitted), <Time key="submitted" at={entry.submitted_at} />],
          [say(t.decided), <Time key="decided" at={entry.decided_at} />],
          [say(t.decided_by), entry.decided_by],
          [say(t.reason), entry.reason && <span className="break">{entry.reason}</span>],
          [say(t.notes), entry.notes && <span className="pre">{entry.notes}</span>],
          [say(t.measurement), entry.measurement && <code>{entry.measurement}</code>],
        ]}
      />
    </Card>
  );
}

function Nodes({ id }: { id: string }) {
  const say = useSay();
  const runners = useQuery(register.runners(id));
  return (
    <Card title={say(t.run_by)} json="/v1/network/nodes" bare>
      <Loaded query={runners}>
        {({ nodes, whole }) => (
          <Table
            name={say(t.run_by)}
            rows={nodes}
            row_key={(node) => node.id}
            tools={whole ? undefined : <span className="muted tiny">{say(t.scanned, { count: nodes_scanned_max })}</span>}
            empty={<Empty title={say(t.run_by_none)} />}
            columns={[
              {
                name: say(common.node),
                plain: (node) => node.id,
                show: (node) => (
                  <Link className="strong" to={`/nodes/${node.id}`}>
                    {node.id}
                  </Link>
                ),
              },
              { name: say(common.tier), plain: (node) => node.tier, show: (node) => <TierBadge tier={node.tier} /> },
              { name: say(common.region), plain: (node) => `${node.region} · ${node.country}` },
              {
                name: say(common.state),
                plain: (node) => String(node.available),
                show: (node) => (
                  <Badge tone={node.available ? 'good' : 'plain'}>{say(node.available ? open.ready : open.away)}</Badge>
                ),
              },
            ]}
          />
        )}
      </Loaded>
    </Card>
  );
}
