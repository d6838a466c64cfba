// The desk's first page: money, what needs attention, the nodes at a glance.
import { useInfiniteQuery } from '@tanstack/react-query';
import { paged } from '../api/paged';
import { useSay } from '../app/settings';
import { BalanceFigures } from '../desk/money';
import { UsageCard } from '../desk/usage';
import { t as desk } from '../text/desk';
import { t } from '../text/provider';
import { Card, Title } from '../ui/parts';
import { Alerts, Enrol, NodesTable } from './nodes';

export function Overview() {
  const say = useSay();
  const nodes = useInfiniteQuery(paged('/v1/nodes'));
  const none = nodes.data?.pages[0]?.items.length === 0;
  return (
    <>
      <Title text={say(desk.overview)} />
      <BalanceFigures />
      {none ? (
        <Card title={say(t.first_steps)}>
          <Enrol />
        </Card>
      ) : (
        <>
          <Alerts />
          <NodesTable />
        </>
      )}
      <UsageCard side="sold" title={say(t.earnings)} />
    </>
  );
}
