// What a machine would have earned here, from prices that were really paid.
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { read } from '../api/market';
import { useSay } from '../app/settings';
import { nano_of } from '../format/money';
import { short_name } from '../public/names';
import { t } from '../text/provider';
import { Choice, Field } from '../ui/form';
import { Card, Figure, Figures, Large, Money } from '../ui/parts';
import { estimate } from './estimate';

export function Estimator() {
  const say = useSay();
  const markets = useQuery(read.markets());
  const [chosen, set_chosen] = useState('');
  const names = markets.data?.items.map((market) => market.name) ?? [];
  const name = chosen || names[0];
  if (!name) return null;
  return (
    <Card title={say(t.estimator)}>
      <div className="stack">
        <p className="small soft">{say(t.estimator_help)}</p>
        <Result
          key={name}
          name={name}
          choice={
            <Choice
              label={say(t.choose_market)}
              value={name}
              change={set_chosen}
              values={names.map((one) => [one, short_name(one)] as const)}
            />
          }
        />
      </div>
    </Card>
  );
}

function Result({ name, choice }: { name: string; choice: React.ReactNode }) {
  const say = useSay();
  const [share, set_share] = useState('10');
  const [hours, set_hours] = useState('24');
  const ticker = useQuery(read.ticker(name));
  const prices = useQuery(read.prices(name));
  const demand = useQuery(read.demand(name));
  const version = useQuery(read.version());
  const bounded = (typed: string, most: number) => Math.min(Math.max(Math.round(Number(typed)) || 0, 0), most);
  const median = prices.data?.p50_nano;
  const result = estimate(
    {
      volume: ticker.data?.day?.volume ?? 0,
      median_nano: nano_of(median),
      tokens: name.startsWith('inference:'),
      fee_basis_points: version.data?.fee_basis_points ?? 0,
    },
    bounded(share, 100) * 10,
    bounded(hours, 24),
  );
  return (
    <>
      <div className="form">
        {choice}
        <Field label={say(t.share)} type="number" min={0} max={100} value={share} change={set_share} />
        <Field label={say(t.hours_day)} type="number" min={0} max={24} value={hours} change={set_hours} />
      </div>
      {median ? (
        <Figures>
          <Figure
            name={say(t.matched_volume)}
            note={
              <>
                {say(t.unmet_volume)}:{' '}
                <Large value={demand.data?.items.reduce((sum, hour) => sum + hour.unmet, 0) ?? 0} />
              </>
            }
          >
            <Large value={ticker.data?.day?.volume ?? 0} />
          </Figure>
          <Figure
            name={say(t.median_price)}
            note={
              <>
                <Money nano={prices.data?.p10_nano} digits={4} unit={false} /> –{' '}
                <Money nano={prices.data?.p90_nano} digits={4} />
              </>
            }
          >
            <Money nano={median} digits={4} />
          </Figure>
          <Figure name={say(t.gross_day)}>
            <Money nano={result.gross_nano} digits={6} />
          </Figure>
          <Figure
            name={say(t.net_day)}
            note={
              <>
                {say(t.net_month)}: <Money nano={result.net_nano * 30n} digits={4} />
              </>
            }
          >
            <Money nano={result.net_nano} digits={6} />
          </Figure>
        </Figures>
      ) : (
        <p className="muted small">{say(t.no_estimate)}</p>
      )}
    </>
  );
}
