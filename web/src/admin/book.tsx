// The order book explorer: asks the matching rule about a request that is not placed. Who would win, at which cost after
// which penalty, and how many offers each constraint takes away.
import { useMutation, useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { body, client, type Schemas } from '../api/client';
import { market_link, short_name } from '../public/names';
import { read, type Market, type Tier } from '../api/market';
import { useSay } from '../app/settings';
import { Explanation } from '../developer/requests';
import { parse_coins } from '../format/money';
import { OfferLevels } from '../public/market';
import { t } from '../text/admin';
import { t as common } from '../text/common';
import { t as open } from '../text/public';
import { Checks, Choice, Faults, Field, Form } from '../ui/form';
import { Card, Empty, Loaded, Skeleton, tier_names, Title } from '../ui/parts';
import { Link } from 'react-router-dom';

const tiers: Tier[] = ['tdx+gpu-cc', 'snp+gpu-cc', 'tdx', 'snp', 'simulated'];

export function BookExplorer() {
  const say = useSay();
  const markets = useQuery(read.markets());
  const [chosen, set_chosen] = useState<string>();
  return (
    <>
      <Title text={say(t.book)} help={say(t.book_help)} />
      <Loaded query={markets}>
        {({ items }) => {
          const market = items.find((one) => one.name === chosen) ?? items[0];
          if (!market) return <Empty title={say(open.no_markets)} />;
          return (
            <>
              <Asked key={market.name} market={market} markets={items} choose={set_chosen} />
              <OfferLevels name={market.name} />
            </>
          );
        }}
      </Loaded>
    </>
  );
}

interface Question {
  prompt: string;
  completion: string;
  gpu_seconds: string;
  cap: string;
  regions: string;
  reputation: string;
  tiers: Tier[];
}

const list = (text: string) =>
  text
    .split(',')
    .map((one) => one.trim())
    .filter(Boolean);

/** The request of the form; an empty field asks for nothing. */
export function request_of(market: Market, asked: Question): Schemas['RequestCreate'] {
  const regions = list(asked.regions);
  const cap = parse_coins(asked.cap);
  return {
    market: market.name,
    time_in_force: 'immediate',
    quantity:
      market.kind === 'compute'
        ? { gpu_seconds: Number(asked.gpu_seconds) }
        : { prompt_tokens: Number(asked.prompt), completion_tokens: Number(asked.completion), requests: 1 },
    ...(cap === undefined ? {} : { cap_total_nano: cap.toString() }),
    constraints: {
      ...(asked.tiers.length === 0 ? {} : { tiers: asked.tiers }),
      ...(regions.length === 0 ? {} : { regions }),
      ...(asked.reputation === '' ? {} : { reputation_permille_min: Math.round(Number(asked.reputation) * 10) }),
    },
  };
}

function Asked({
  market,
  markets,
  choose,
}: {
  market: Market;
  markets: Market[];
  choose: (name: string) => void;
}) {
  const say = useSay();
  const [asked, set_asked] = useState<Question>({
    prompt: '1000',
    completion: '500',
    gpu_seconds: '3600',
    cap: '',
    regions: '',
    reputation: '',
    tiers: market.tiers ?? [],
  });
  const change = (part: keyof Question) => (value: string) => set_asked({ ...asked, [part]: value });
  const ask = useMutation({
    mutationFn: () => body(client.POST('/v1/requests:whatif', { body: request_of(market, asked) })),
  });
  // The first answer is there before anybody asks: what this market would do now.
  const { mutate } = ask;
  useEffect(() => mutate(), [mutate]);
  return (
    <div className="grid-2">
      <Card
        title={say(t.question)}
        tools={
          <Link className="small" to={market_link(market.name)}>
            {short_name(market.name)}
          </Link>
        }
      >
        <Form submit={() => ask.mutate()}>
          <Choice
            label={say(common.market)}
            value={market.name}
            change={choose}
            values={markets.map((one) => [one.name, one.name] as const)}
          />
          {market.kind === 'compute' ? (
            <Field label={say(common.gpu_seconds)} type="number" min={1} value={asked.gpu_seconds} change={change('gpu_seconds')} required />
          ) : (
            <>
              <Field label={say(open.prompt_tokens)} type="number" min={0} value={asked.prompt} change={change('prompt')} required />
              <Field label={say(open.completion_tokens)} type="number" min={0} value={asked.completion} change={change('completion')} required />
            </>
          )}
          <Field label={say(t.cap)} mode="decimal" value={asked.cap} change={change('cap')} placeholder={say(t.any)} />
          <Field label={say(open.regions)} value={asked.regions} change={change('regions')} placeholder={say(t.any)} />
          <Field label={say(t.reliability_min)} type="number" min={0} max={100} value={asked.reputation} change={change('reputation')} placeholder={say(t.any)} />
          <Checks
            label={say(common.tier)}
            values={tiers.map((tier) => [tier, tier_names[tier] || say(common.tier_simulated)] as const)}
            chosen={asked.tiers}
            change={(chosen) => set_asked({ ...asked, tiers: chosen })}
          />
          <Faults error={ask.error} />
          <div className="whole">
            <button type="submit" className="button primary" disabled={ask.isPending}>
              {say(t.explain)}
            </button>
          </div>
        </Form>
      </Card>
      <Card title={say(t.explanation)} bare>
        {ask.data ? <Explanation explanation={ask.data.explanation} /> : <Skeleton />}
      </Card>
    </div>
  );
}
