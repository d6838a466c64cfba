// All balances by bucket: they sum to zero, or the books are wrong.
import { useQuery } from '@tanstack/react-query';
import { admin } from '../api/admin';
import { useSay } from '../app/settings';
import { nano_of } from '../format/money';
import { t } from '../text/admin';
import { t as common } from '../text/common';
import { Badge, Card, Loaded, Money, Title } from '../ui/parts';
import { Table } from '../ui/table';

export function LedgerCard() {
  const say = useSay();
  const ledger = useQuery(admin.ledger());
  return (
    <Loaded query={ledger}>
      {(found) => (
        <Card
          title={say(t.ledger)}
          bare
          tools={
            <Badge tone={found.total_nano === '0' ? 'good' : 'bad'}>
              {say(found.total_nano === '0' ? t.balanced : t.unbalanced)}
            </Badge>
          }
        >
          <Table
            name={say(t.ledger)}
            rows={found.items}
            row_key={(row) => row.bucket}
            columns={[
              { name: say(t.bucket), plain: (row) => row.bucket },
              { name: say(t.holders), right: true, wide_only: true, plain: (row) => row.accounts },
              {
                name: say(common.amount),
                right: true,
                plain: (row) => nano_of(row.amount_nano),
                show: (row) => <Money nano={row.amount_nano} />,
              },
            ]}
          />
        </Card>
      )}
    </Loaded>
  );
}

export function Ledger() {
  const say = useSay();
  return (
    <>
      <Title text={say(t.ledger)} />
      <LedgerCard />
    </>
  );
}
