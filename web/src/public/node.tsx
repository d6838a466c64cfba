// One node as anyone may see it: its record, and its evidence check by check.
import { useQuery } from '@tanstack/react-query';
import { useParams } from 'react-router-dom';
import { Refusal } from '../api/client';
import { read } from '../api/market';
import { useSay } from '../app/settings';
import { t } from '../text/public';
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
  Loaded,
  Skeleton,
  TierBadge,
  Time,
  Title,
} from '../ui/parts';
import { Checks, Claims, VerdictBadge } from './checks';

export function NodePage() {
  const id = useParams().id ?? '';
  const say = useSay();
  const node = useQuery(read.node(id));
  return (
    <Loaded query={node}>
      {(found) => (
        <div className="stack">
          <Title text={say(t.node_title, { id: found.id })}>
            <div className="row grow">
              <TierBadge tier={found.tier} />
              <Badge tone={found.available ? 'good' : 'plain'}>{say(found.available ? t.ready : t.away)}</Badge>
            </div>
          </Title>
          <Figures>
            <Figure name={say(t.reliability)} json={`/v1/nodes/${id}`}>
              <span className="num">{(found.reliability_permille / 10).toFixed(1)}%</span>
            </Figure>
            <Figure name={say(t.first_output)}>
              <Count value={found.first_output_ms} unit="ms" />
            </Figure>
            <Figure name={say(t.speed)}>
              <Count value={found.tokens_per_second} />
            </Figure>
            <Figure
              name={say(t.track_record)}
              note={say(t.completed_failed, {
                completed: found.jobs_completed ?? 0,
                failed: found.jobs_failed ?? 0,
              })}
            >
              <Count value={found.jobs_completed} />
            </Figure>
            <Figure name={say(t.evidence_until)}>
              <Time at={found.evidence_valid_until} ago />
            </Figure>
          </Figures>
          <Evidence id={id} />
          <Card title={say(t.claims)}>
            <p className="small soft">{say(t.claims_help)}</p>
            <Claims node={found} />
          </Card>
        </div>
      )}
    </Loaded>
  );
}

export function Evidence({ id }: { id: string }) {
  const say = useSay();
  const evidence = useQuery(read.evidence(id));
  const path = `/v1/nodes/${id}/evidence`;
  if (evidence.isError && evidence.error instanceof Refusal && evidence.error.status === 404)
    return (
      <Card title={say(t.evidence)} json={path}>
        <Empty title={say(t.no_evidence)} />
      </Card>
    );
  if (evidence.isError) return <Failed error={evidence.error} again={() => void evidence.refetch()} />;
  if (!evidence.data) return <Skeleton />;
  const { verdict, measurement, keyset_digest, evidence_hash, valid_until } = evidence.data;
  return (
    <Card title={say(t.evidence)} json={path} tools={verdict && <VerdictBadge verdict={verdict} />}>
      <div className="stack tight">
        <p className="small soft">{say(t.evidence_help)}</p>
        {verdict && <Checks verdict={verdict} />}
        <Facts
          rows={[
            [say(t.evidence_until), <Time key="until" at={valid_until} />],
            [say(t.measurement), measurement && <code>{measurement}</code>],
            [say(t.tcb), verdict?.tcb_status],
            [say(t.advisories), verdict?.advisory_ids?.join(', ') || undefined],
            [say(t.devices), verdict?.devices?.join(', ') || undefined],
            [say(t.keyset), <code key="keyset">{keyset_digest}</code>],
            [say(t.evidence_hash), <code key="hash">{evidence_hash}</code>],
          ]}
        />
        <h3>{say(t.verify_self)}</h3>
        <Code text={`cocoon-client attest ${id} --config client.json`} label={say(t.verify_self)} />
      </div>
    </Card>
  );
}
