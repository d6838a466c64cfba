// Offers: place, reprice, schedule, pause, take back; and why one gets no work.
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useParams } from 'react-router-dom';
import { Refusal, type Schemas } from '../api/client';
import { act, own } from '../api/desk';
import { read } from '../api/market';
import { paged } from '../api/paged';
import { useSay, useSettings } from '../app/settings';
import { coins, nano_of, parse_coins, plain_coins } from '../format/money';
import { short_name } from '../public/names';
import { t as common } from '../text/common';
import { t } from '../text/provider';
import { Checks, Choice, Confirm, Dialog, Faults, Field, Form, useAct } from '../ui/form';
import {
  Card,
  Empty,
  Facts,
  Loaded,
  Money,
  PriceText,
  StateBadge,
  Time,
  Title,
  coin_name,
  useNow,
} from '../ui/parts';
import { Narrowed, PagedTable } from '../ui/table';
import { obstacles, type Obstacle } from './why';

type Offer = Schemas['Offer'];
type State = Schemas['OfferState'];
type Policy = Schemas['DataPolicy'];
type Window = Schemas['Window'];
const states: State[] = ['active', 'paused', 'cancelled', 'expired'];
const policies: Policy[] = ['zero_retention', 'no_training', 'gdpr', 'hipaa', 'soc2'];
const seconds_an_hour = 3600n;

// ---- Schedules: minutes of the UTC week, Monday 00:00 = 0 --------------------------------------------------------

type Schedule = 'always' | 'night' | 'weekend' | 'custom';
const day_minutes = 1440;
const schedules: Record<Exclude<Schedule, 'custom'>, Window[]> = {
  always: [],
  night: [
    ...Array.from({ length: 7 }, (_, day) => ({
      from_minute: day * day_minutes,
      to_minute: day * day_minutes + 360,
    })),
    ...Array.from({ length: 7 }, (_, day) => ({
      from_minute: day * day_minutes + 1320,
      to_minute: (day + 1) * day_minutes,
    })),
  ],
  weekend: [{ from_minute: 5 * day_minutes, to_minute: 7 * day_minutes }],
};

function schedule_of(windows: Window[]): Schedule {
  const text = (list: Window[]) =>
    [...list]
      .map((window) => `${window.from_minute}-${window.to_minute}`)
      .sort()
      .join();
  for (const name of ['always', 'night', 'weekend'] as const)
    if (text(schedules[name]) === text(windows)) return name;
  return 'custom';
}

// ---- Lists -------------------------------------------------------------------------------------------------------

export function OffersPage() {
  const say = useSay();
  const [state, set_state] = useState<State | ''>('');
  const offers = useInfiniteQuery(paged('/v1/offers', { state: state || undefined }));
  return (
    <>
      <Title text={say(t.offers)} help={say(t.offers_help)}>
        <Dialog button={say(t.new_offer)} title={say(t.new_offer)} tone="primary">
          {(close) => <OfferForm close={close} />}
        </Dialog>
      </Title>
      <Card title={say(t.offers)} bare>
        <PagedTable<Offer>
          name={say(t.offers)}
          query={offers}
          row_key={(offer) => offer.id}
          empty={
            <Empty title={say(t.no_offers)}>
              <p>{say(t.no_offers_help)}</p>
            </Empty>
          }
          tools={<Narrowed name={say(common.state)} choices={states} value={state} change={set_state} />}
          columns={[
            {
              name: say(t.offer),
              plain: (offer) => `${short_name(offer.market)} ${offer.id}`,
              show: (offer) => (
                <>
                  <Link className="strong" to={`/provider/offers/${offer.id}`}>
                    {short_name(offer.market)}
                  </Link>
                  <br />
                  <span className="muted tiny">{offer.id}</span>
                </>
              ),
            },
            {
              name: say(common.node),
              plain: (offer) => offer.node,
              show: (offer) => <Link to={`/provider/nodes/${offer.node}`}>{offer.node}</Link>,
            },
            {
              name: say(common.price),
              plain: (offer) =>
                nano_of(offer.price.completion_nano_per_mtok) || nano_of(offer.price.gpu_second_nano),
              show: (offer) => <PriceText price={offer.price} />,
            },
            {
              name: say(t.slots),
              right: true,
              plain: (offer) => offer.slots_used,
              show: (offer) => (
                <span className="num">
                  {offer.slots_used} / {offer.slots}
                </span>
              ),
            },
            {
              name: say(common.state),
              plain: (offer) => offer.state,
              show: (offer) => <StateBadge state={offer.state} />,
            },
            {
              name: '',
              plain: () => '',
              show: (offer) => <Link to={`/provider/offers/${offer.id}`}>{say(t.why)}</Link>,
              wide_only: true,
            },
          ]}
        />
      </Card>
    </>
  );
}

export function OfferPage() {
  const say = useSay();
  const id = useParams().id ?? '';
  const offer = useQuery(own.offer(id));
  return (
    <Loaded query={offer}>
      {(found) => {
        const open = found.state === 'active' || found.state === 'paused';
        return (
          <>
            <Title text={short_name(found.market)}>
              <div className="row grow">
                <span className="muted">{found.id}</span>
                <StateBadge state={found.state} />
              </div>
              {open && <OfferActs offer={found} etag={found.etag} />}
            </Title>
            <Why offer={found} />
            <Card title={say(t.offer)}>
              <Facts
                rows={[
                  [
                    say(common.node),
                    <Link key="n" to={`/provider/nodes/${found.node}`}>
                      {found.node}
                    </Link>,
                  ],
                  [say(common.price), <PriceText key="p" price={found.price} />],
                  [say(t.price_request), <Money key="r" nano={found.price.request_nano} />],
                  [say(t.slots), `${found.slots_used} ${say(t.slots_used)} / ${found.slots}`],
                  [say(t.schedule), <ScheduleText key="s" windows={found.windows ?? []} />],
                  [say(t.policy), (found.data_policy ?? []).join(', ') || undefined],
                  [say(t.context), found.context_tokens_max ?? undefined],
                  [say(common.time), <Time key="t" at={found.placed_at} />],
                ]}
              />
            </Card>
          </>
        );
      }}
    </Loaded>
  );
}

function ScheduleText({ windows }: { windows: Window[] }) {
  const say = useSay();
  const is = schedule_of(windows);
  return <>{is === 'custom' ? say(t.windows, { count: windows.length }) : say(t[is])}</>;
}

function OfferActs({ offer, etag }: { offer: Offer; etag: string }) {
  const say = useSay();
  const pause = useAct((paused: boolean) => act.amend_offer(offer.id, etag, { paused }), ['/v1/offers']);
  const cancel = useAct(() => act.cancel_offer(offer.id, etag), ['/v1/offers']);
  const paused = offer.state === 'paused';
  return (
    <div className="row">
      <Dialog button={say(t.reprice)} title={`${say(t.reprice)}: ${short_name(offer.market)}`} tone="primary">
        {(close) => <OfferForm close={close} offer={offer} etag={etag} />}
      </Dialog>
      <button type="button" className="button" disabled={pause.isPending} onClick={() => pause.mutate(!paused)}>
        {say(paused ? t.resume : t.pause)}
      </button>
      <Confirm
        button={say(t.take_back)}
        title={say(t.take_back)}
        text={say(t.take_back_help)}
        act={() => cancel.mutateAsync(undefined)}
        tone="danger"
      />
      <Faults error={pause.error} />
    </div>
  );
}

// ---- Placing and changing ----------------------------------------------------------------------------------------

const dimensions = [
  ['prompt_nano_per_mtok', t.price_prompt],
  ['cached_nano_per_mtok', t.price_cached],
  ['completion_nano_per_mtok', t.price_completion],
  ['request_nano', t.price_request],
] as const;

type Typed = Record<string, string>;

function typed_price(price: Schemas['Price'] | undefined): Typed {
  if (!price)
    return {
      prompt_nano_per_mtok: '',
      cached_nano_per_mtok: '',
      completion_nano_per_mtok: '',
      request_nano: '0',
      gpu_hour: '',
    };
  const text = Object.fromEntries(dimensions.map(([name]) => [name, plain_coins(nano_of(price[name]))]));
  return { ...text, gpu_hour: plain_coins(nano_of(price.gpu_second_nano) * seconds_an_hour) };
}

/** The typed prices as the API takes them; nothing when one is no amount. Reasoning is priced as output. */
function price_of(typed: Typed, compute: boolean): Schemas['PriceIn'] | undefined {
  if (compute) {
    const hour = parse_coins(typed.gpu_hour ?? '');
    return hour === undefined ? undefined : { gpu_second_nano: (hour / seconds_an_hour).toString() };
  }
  const price: Schemas['PriceIn'] = {};
  for (const [name] of dimensions) {
    const nano = parse_coins(typed[name] || '0');
    if (nano === undefined) return undefined;
    price[name] = nano.toString();
  }
  price.reasoning_nano_per_mtok = price.completion_nano_per_mtok;
  return price;
}

function OfferForm({ close, offer, etag }: { close: () => void; offer?: Offer; etag?: string }) {
  const say = useSay();
  const nodes = useInfiniteQuery(paged('/v1/nodes'));
  const markets = useQuery(read.markets());
  const all_nodes = nodes.data?.pages.flatMap((page) => page.items) ?? [];
  const [node, set_node] = useState('');
  const [market, set_market] = useState(offer?.market ?? '');
  const [typed, set_typed] = useState<Typed>(() => typed_price(offer?.price));
  const [slots, set_slots] = useState(String(offer?.slots ?? 4));
  const [context, set_context] = useState('32768');
  const [policy, set_policy] = useState<Policy[]>(['zero_retention', 'no_training']);
  const [schedule, set_schedule] = useState<Schedule>(schedule_of(offer?.windows ?? []));
  const compute = market.startsWith('compute:');
  const price = price_of(typed, compute);
  const save = useAct(async () => {
    const windows = schedule === 'custom' ? undefined : schedules[schedule];
    if (offer && etag) return act.amend_offer(offer.id, etag, { price, slots: Number(slots), windows });
    const chosen = node || all_nodes[0]?.id;
    return act.place_offer({
      node: chosen,
      market,
      price: price ?? {},
      slots: Number(slots),
      windows,
      data_policy: policy,
      ...(compute ? {} : { context_tokens_max: Number(context) }),
    });
  }, ['/v1/offers']);
  const change = (name: string) => (value: string) => set_typed((known) => ({ ...known, [name]: value }));
  const schedule_names: [Schedule, string][] = [
    ['always', say(t.always)],
    ['night', say(t.night)],
    ['weekend', say(t.weekend)],
  ];
  if (schedule === 'custom') schedule_names.push(['custom', say(t.custom)]);
  const stale = save.error instanceof Refusal && save.error.status === 412;
  return (
    <Form submit={() => price && save.mutate(undefined, { onSuccess: close })}>
      {!offer && (
        <>
          <Choice
            label={say(common.node)}
            value={node || (all_nodes[0]?.id ?? '')}
            change={set_node}
            values={all_nodes.map((one) => [one.id, one.name ?? one.id] as const)}
          />
          <Field
            label={say(common.market)}
            hint={say(t.market_hint)}
            value={market}
            change={set_market}
            required
            list={markets.data?.items.map((one) => one.name)}
          />
        </>
      )}
      {compute ? (
        <Field
          label={say(t.price_gpu_hour)}
          mode="decimal"
          value={typed.gpu_hour ?? ''}
          change={change('gpu_hour')}
          required
        />
      ) : (
        dimensions.map(([name, label]) => (
          <Field
            key={name}
            label={say(label)}
            mode="decimal"
            value={typed[name] ?? ''}
            change={change(name)}
            required={name !== 'request_nano' && name !== 'cached_nano_per_mtok'}
          />
        ))
      )}
      <Field label={say(t.slots)} type="number" min={1} max={4096} value={slots} change={set_slots} required />
      <Choice<Schedule> label={say(t.schedule)} value={schedule} change={set_schedule} values={schedule_names} />
      {!offer && !compute && (
        <Field label={say(t.context)} type="number" min={0} value={context} change={set_context} />
      )}
      {!offer && (
        <Checks<Policy>
          label={say(t.policy)}
          values={policies.map((one) => [one, one] as const)}
          chosen={policy}
          change={set_policy}
        />
      )}
      {stale ? <div className="notice warn whole">{say(t.changed_elsewhere)}</div> : <Faults error={save.error} />}
      <div className="row whole">
        <button className="button primary" type="submit" disabled={save.isPending || !price}>
          {say(offer ? common.save : t.new_offer)}
        </button>
        <button className="button" type="button" onClick={close}>
          {say(common.cancel)}
        </button>
      </div>
    </Form>
  );
}

// ---- Why ---------------------------------------------------------------------------------------------------------

function Why({ offer }: { offer: Offer }) {
  const say = useSay();
  const node = useQuery(read.node(offer.node));
  const book = useQuery(read.book(offer.market));
  const now = useNow(30_000);
  if (!node.data || !book.data) return null;
  const found = obstacles({ offer, node: node.data, book: book.data, now: new Date(now) });
  const blocked = found.some(
    (one) => one.code !== 'no_demand' && one.code !== 'simulated' && one.code !== 'bids' && one.code !== 'full',
  );
  return (
    <Card title={say(t.why)} json={`/v1/markets/${encodeURIComponent(offer.market)}/book`}>
      <div className="stack tight">
        {!blocked && <div className="notice good">{say(t.why_ok)}</div>}
        {found.map((one) => (
          <ObstacleText key={one.code} one={one} />
        ))}
      </div>
    </Card>
  );
}

const plain_obstacles = {
  ended: t.why_ended,
  paused: t.why_paused,
  away: t.why_away,
  draining: t.why_draining,
  evidence: t.why_evidence,
  schedule: t.why_schedule,
  market_paused: t.why_market_paused,
  no_demand: t.why_no_demand,
  simulated: t.why_simulated,
} as const;

function ObstacleText({ one }: { one: Obstacle }) {
  const say = useSay();
  const { language } = useSettings();
  const amount = (nano: bigint) => `${coins(nano, language, 6)} ${coin_name.current}`;
  const quiet = one.code === 'no_demand' || one.code === 'simulated' || one.code === 'bids' || one.code === 'full';
  const text = () => {
    switch (one.code) {
      case 'suspended':
        return say(t.why_suspended, { why: one.why });
      case 'full':
        return say(t.why_full, { slots: one.slots });
      case 'dearer':
        return say(t.why_dearer, { slots: one.slots, best: amount(one.best), own: amount(one.own) });
      case 'bids':
        return say(t.why_bids, { count: one.count, most: amount(one.most) });
      default:
        return say(plain_obstacles[one.code]);
    }
  };
  return <div className={quiet ? 'notice' : 'notice warn'}>{text()}</div>;
}
