// Findings, one a line: what each proves and what it does not. What could not be checked is never shown as passed.
import type { ReactNode } from 'react';
import { useSay } from '../app/settings';
import { explained, t } from '../text/verify';
import type { Finding } from './finding';

const marks = { passed: '✓', failed: '✗', not_checked: '–' } as const;

export function Findings({ findings, children }: { findings: Finding[]; children?: ReactNode }) {
  const say = useSay();
  const count = (outcome: Finding['outcome']) => findings.filter((one) => one.outcome === outcome).length;
  const failed = count('failed');
  return (
    <div className="stack tight" aria-live="polite">
      <div className={`notice ${failed > 0 ? 'bad' : 'warn'}`}>
        <strong>
          {failed > 0
            ? say(t.some_failed, { count: failed })
            : say(t.all_passed, { count: count('passed'), open: count('not_checked') })}
        </strong>
      </div>
      {children}
      <ul className="checklist">
        {findings.map((finding) => (
          <FindingRow key={finding.check} {...finding} />
        ))}
      </ul>
    </div>
  );
}

function FindingRow({ check, outcome, detail }: Finding) {
  const say = useSay();
  const { name, proves, does_not, needs } = explained[check];
  return (
    <li className={outcome} data-check={check}>
      <span className="mark" aria-hidden="true">
        {marks[outcome]}
      </span>
      <div>
        <strong>{say(name)}</strong> <code className="tiny">{check}</code>
        {outcome === 'not_checked' ? (
          <p className="muted tiny">
            {say(t.needs)}: {say(needs)}
          </p>
        ) : (
          <>
            <p className="tiny">
              <span className="muted">{say(outcome === 'passed' ? t.proves : t.would_prove)}:</span> {say(proves)}
            </p>
            <p className="tiny">
              <span className="muted">{say(t.does_not)}:</span> {say(does_not)}
            </p>
          </>
        )}
        {detail && <code className="tiny break">{detail}</code>}
      </div>
    </li>
  );
}
