// What admins did: who, what, on what, and the change itself.
import { useInfiniteQuery } from '@tanstack/react-query';
import type { Schemas } from '../api/client';
import { paged } from '../api/paged';
import { useSay } from '../app/settings';
import { t } from '../text/admin';
import { t as common } from '../text/common';
import { Badge, Card, Empty, Time, Title } from '../ui/parts';
import { PagedTable } from '../ui/table';

export type Entry = Schemas['AuditEntry'];

export function Change({ entry }: { entry: Entry }) {
  if (!entry.before && !entry.after) return <span className="muted">—</span>;
  return (
    <span className="break">
      <code>{entry.before || '—'}</code> <span className="muted">→</span> <code>{entry.after || '—'}</code>
    </span>
  );
}

export function Audit() {
  const say = useSay();
  const list = useInfiniteQuery(paged('/v1/admin/audit'));
  return (
    <>
      <Title text={say(t.audit)} help={say(t.audit_help)} />
      <Card title={say(t.audit)} bare>
        <PagedTable<Entry>
          name={say(t.audit)}
          query={list}
          dense
          row_key={(entry) => `${entry.sequence} ${entry.action} ${entry.target}`}
          empty={<Empty title={say(t.no_audit)} />}
          columns={[
            { name: say(common.time), plain: (entry) => entry.at, show: (entry) => <Time at={entry.at} /> },
            {
              name: say(t.actor),
              plain: (entry) => entry.actor,
              show: (entry) => entry.actor ?? <span className="muted">{say(t.the_server)}</span>,
            },
            { name: say(t.action), plain: (entry) => entry.action, show: (entry) => <Badge>{entry.action}</Badge> },
            { name: say(t.target), plain: (entry) => entry.target, show: (entry) => <span className="break">{entry.target}</span> },
            { name: say(t.change), plain: (entry) => `${entry.before} → ${entry.after}`, show: (entry) => <Change entry={entry} /> },
            {
              name: say(t.note),
              plain: (entry) => entry.note,
              show: (entry) => <span className="break">{entry.note}</span>,
            },
          ]}
        />
      </Card>
    </>
  );
}
