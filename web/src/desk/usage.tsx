// What was bought or sold in the last 30 days, added up by day, model, node or key.
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Schemas } from '../api/client';
import { own } from '../api/desk';
import { short_name } from '../public/names';
import { useSay } from '../app/settings';
import { nano_of } from '../format/money';
import { t } from '../text/desk';
import { Card, Empty, Large, Loaded, Money, Segments } from '../ui/parts';
import { Table } from '../ui/table';

type Row = Schemas['Usage']['items'][number];
type Group = 'day' | 'market' | 'node' | 'key';

const tokens_in = (row: Row) => (row.usage.prompt_tokens ?? 0) + (row.usage.cached_tokens ?? 0);
const tokens_out = (row: Row) => (row.usage.completion_tokens ?? 0) + (row.usage.reasoning_tokens ?? 0);
const net = (row: Row) => nano_of(row.captured_nano) - nano_of(row.fee_nano);

export function UsageCard({ side, title }: { side: 'bought' | 'sold'; title: string }) {
  const say = useSay();
  const [group, set_group] = useState<Group>('day');
  const usage = useQuery(own.usage(side, group));
  const names: Record<Group, string> = {
    day: say(t.by_day),
    market: say(t.by_market),
    node: say(t.by_node),
    key: say(t.by_key),
  };
  const groups: Group[] = side === 'bought' ? ['day', 'market', 'key'] : ['day', 'market', 'node'];
  return (
    <Card
      title={title}
      bare
      tools={
        <Segments<Group>
          name={say(t.by)}
          chosen={group}
          choose={set_group}
          values={groups.map((one) => [one, names[one]])}
        />
      }
    >
      <Loaded query={usage}>
        {(found) => (
          <>
            <Bars rows={found.items} side={side} />
            <Table<Row>
              name={title}
              rows={found.items}
              row_key={(row) => row.name}
              empty={<Empty title={say(t.no_usage)} />}
              tools={<span className="muted tiny">{say(t.thirty_days)}</span>}
              columns={[
                {
                  name: names[group],
                  plain: (row) => row.name,
                  show: (row) => <strong>{short_name(row.name) || '—'}</strong>,
                },
                { name: say(t.jobs), right: true, plain: (row) => row.jobs },
                { name: say(t.completed), right: true, plain: (row) => row.completed, wide_only: true },
                {
                  name: say(t.tokens_in),
                  right: true,
                  plain: tokens_in,
                  show: (row) => <Large value={tokens_in(row)} />,
                },
                {
                  name: say(t.tokens_out),
                  right: true,
                  plain: tokens_out,
                  show: (row) => <Large value={tokens_out(row)} />,
                },
                {
                  name: say(t.cost),
                  right: true,
                  plain: (row) => nano_of(row.captured_nano),
                  show: (row) => <Money nano={row.captured_nano} digits={6} />,
                },
                ...(side === 'sold'
                  ? [
                      {
                        name: say(t.fee),
                        right: true,
                        wide_only: true,
                        plain: (row: Row) => nano_of(row.fee_nano),
                        show: (row: Row) => <Money nano={row.fee_nano} digits={6} />,
                      },
                      {
                        name: say(t.net),
                        right: true,
                        plain: net,
                        show: (row: Row) => <Money nano={net(row)} digits={6} />,
                      },
                    ]
                  : []),
              ]}
            />
          </>
        )}
      </Loaded>
    </Card>
  );
}

/** The ten largest, to be seen at once. */
function Bars({ rows, side }: { rows: Row[]; side: 'bought' | 'sold' }) {
  const say = useSay();
  const value = (row: Row) => (side === 'sold' ? net(row) : nano_of(row.captured_nano));
  const most = rows.reduce((high, row) => (value(row) > high ? value(row) : high), 1n);
  if (rows.length < 2) return null;
  return (
    <ul className="bars inside-card">
      {rows.slice(0, 10).map((row) => (
        <li key={row.name}>
          <span className="break">{short_name(row.name) || '—'}</span>
          <meter
            className={side === 'sold' ? 'meter supply' : 'meter'}
            min={0}
            max={1000}
            value={Number((value(row) * 1000n) / most)}
            aria-label={`${row.name}: ${say(t.cost)}`}
          />
          <Money nano={value(row)} digits={4} />
        </li>
      ))}
    </ul>
  );
}
