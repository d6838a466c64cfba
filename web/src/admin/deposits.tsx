// Transfers that the market could not credit: whose they may be, and why they wait.
import { useQuery } from '@tanstack/react-query';
import { admin, type Settlement } from '../api/admin';
import { useSay } from '../app/settings';
import { nano_of } from '../format/money';
import { t } from '../text/admin';
import { t as common } from '../text/common';
import { Badge, Card, Empty, Loaded, Money, Time, Title } from '../ui/parts';
import { Table } from '../ui/table';

type Held = Settlement['newest_holds'][number];

export function Deposits() {
  const say = useSay();
  const settlement = useQuery(admin.settlement());
  return (
    <>
      <Title text={say(t.deposits)} help={say(t.deposits_help)} />
      <Card title={say(t.deposits)} bare>
        <Loaded query={settlement}>
          {(now) => (
            <Table<Held>
              name={say(t.deposits)}
              rows={now.newest_holds}
              row_key={(one) => one.reference}
              empty={<Empty title={say(t.no_deposits)} />}
              columns={[
                {
                  name: say(t.from),
                  plain: (one) => one.source,
                  show: (one) => (
                    <>
                      <code className="break">{one.source}</code>
                      <div className="muted tiny break">{one.reference}</div>
                    </>
                  ),
                },
                { name: say(t.memo), plain: (one) => one.memo, show: (one) => <code className="break">{one.memo || '—'}</code> },
                { name: say(t.why), plain: (one) => one.reason, show: (one) => <Badge tone="warn">{one.reason}</Badge> },
                {
                  name: say(common.amount),
                  right: true,
                  plain: (one) => nano_of(one.amount_nano),
                  show: (one) => <Money nano={one.amount_nano} />,
                },
                { name: say(common.time), right: true, plain: (one) => one.at, show: (one) => <Time at={one.at} ago /> },
              ]}
            />
          )}
        </Loaded>
      </Card>
    </>
  );
}
