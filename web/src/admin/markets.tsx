// Every market with its switch: a paused one makes no new matches.
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router-dom';
import { admin } from '../api/admin';
import { read, type Market } from '../api/market';
import { useSay } from '../app/settings';
import { short_name } from '../public/names';
import { t } from '../text/admin';
import { t as common } from '../text/common';
import { Badge, Card, Loaded, Title } from '../ui/parts';
import { Table } from '../ui/table';
import { Noted } from './noted';

export function Markets() {
  const say = useSay();
  const markets = useQuery(read.markets());
  return (
    <>
      <Title text={say(t.markets)} />
      <Card title={say(t.markets)} bare>
        <Loaded query={markets}>
          {(list) => (
            <Table<Market>
              name={say(t.markets)}
              rows={list.items}
              row_key={(market) => market.name}
              columns={[
                {
                  name: say(common.market),
                  plain: (market) => market.name,
                  show: (market) => (
                    <Link to={`/markets/${encodeURIComponent(market.name)}`}>{short_name(market.name)}</Link>
                  ),
                },
                {
                  name: say(common.state),
                  plain: (market) => String(market.paused),
                  show: (market) => (
                    <Badge tone={market.paused ? 'warn' : 'good'}>{market.paused ? 'paused' : 'open'}</Badge>
                  ),
                },
                {
                  name: say(t.slots_used),
                  right: true,
                  plain: (market) => market.slots_used,
                  show: (market) => `${market.slots_used} / ${market.slots}`,
                },
                { name: say(t.resting), right: true, plain: (market) => market.resting_requests },
                {
                  name: '',
                  plain: () => '',
                  show: (market) => (
                    <Noted
                      button={market.paused ? t.resume : t.pause}
                      title={market.name}
                      help={t.pause_help}
                      touches={['/v1/markets']}
                      act={(note) => (market.paused ? admin.resume : admin.pause)(market.name, note)}
                    />
                  ),
                },
              ]}
            />
          )}
        </Loaded>
      </Card>
    </>
  );
}
