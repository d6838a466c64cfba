// A verdict check by check, and beside it what no evidence proves. Shown to everyone on a node's page and to its owner.
import { useSay } from '../app/settings';
import type { Schemas } from '../api/client';
import type { Node } from '../api/market';
import { t } from '../text/public';
import { Badge } from '../ui/parts';

type Verdict = Schemas['Verdict'];
const marks = { passed: '✓', failed: '✗', not_checked: '–' } as const;

export function Checks({ verdict }: { verdict: Verdict }) {
  const say = useSay();
  const words = { passed: t.passed, failed: t.check_failed, not_checked: t.not_checked };
  return (
    <ul className="checklist">
      {verdict.reasons.map((reason, place) => (
        <li key={reason.code + place} className={reason.outcome}>
          <span className="mark" aria-hidden="true">
            {marks[reason.outcome]}
          </span>
          <span>
            <span className="hidden">{say(words[reason.outcome])}: </span>
            {reason.text} <code className="tiny">{reason.code}</code>
          </span>
        </li>
      ))}
    </ul>
  );
}

export function Claims({ node }: { node: Node }) {
  const say = useSay();
  const gpu = node.tier?.endsWith('gpu-cc')
    ? t.claim_gpu_count
    : node.tier === 'simulated'
      ? t.claim_gpu_simulated
      : t.claim_gpu_unproven;
  const rows = [
    { what: say(t.claim_region), value: `${node.region}, ${node.country}`, why: say(t.claim_place) },
    { what: say(t.claim_gpu), value: `${node.gpu_count} × ${node.gpu_model}`, why: say(gpu) },
  ];
  return (
    <ul className="checklist">
      {rows.map((row) => (
        <li key={row.what} className="claim">
          <span className="mark" aria-hidden="true">
            ?
          </span>
          <span>
            {row.what}: <strong>{row.value}</strong>
            <br />
            <span className="muted tiny">{row.why}</span>
          </span>
        </li>
      ))}
    </ul>
  );
}

/** What the checks amount to. Simulated evidence can pass all of its own and still proves nothing about a machine. */
export function VerdictBadge({ verdict }: { verdict: Verdict }) {
  const say = useSay();
  if (verdict.status === 'proven')
    return verdict.tier === 'simulated' ? (
      <Badge tone="warn">{say(t.simulated_passes)}</Badge>
    ) : (
      <Badge tone="good">{say(t.proven)}</Badge>
    );
  return verdict.status === 'refuted' ? <Badge tone="bad">{say(t.refuted)}</Badge> : <Badge tone="warn">{say(t.undecided)}</Badge>;
}
