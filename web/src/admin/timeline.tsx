// What happened, newest first, from everything that keeps a time: acts of admins, decisions about builds, hardware denied,
// transfers on hold, batches. For whoever comes to an incident late.
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { admin } from '../api/admin';
import { paged } from '../api/paged';
import { useSay, useSettings } from '../app/settings';
import { coins, nano_of } from '../format/money';
import { local_clock, local_day, utc_time } from '../format/time';
import { t } from '../text/admin';
import { Badge, Card, coin_name, Empty, Segments, Skeleton, Title } from '../ui/parts';
import { merged, type Happening, type Kind } from './happenings';

const tones = { act: 'accent', build: 'plain', denial: 'bad', deposit: 'warn', chain: 'plain' } as const;
const kinds: (Kind | 'all')[] = ['all', 'act', 'build', 'denial', 'deposit', 'chain'];

export function Timeline() {
  const say = useSay();
  const { language } = useSettings();
  const [kind, set_kind] = useState<Kind | 'all'>('all');
  const audit = useInfiniteQuery({ ...paged('/v1/admin/audit'), refetchInterval: 10_000 });
  const builds = useInfiniteQuery(paged('/v1/measurements'));
  const denials = useInfiniteQuery(paged('/v1/admin/denials'));
  const held = useInfiniteQuery(paged('/v1/admin/held-deposits'));
  const settlement = useQuery(admin.settlement());
  const all = useMemo(
    () =>
      merged({
        audit: audit.data?.pages.flatMap((page) => page.items) ?? [],
        builds: builds.data?.pages.flatMap((page) => page.items) ?? [],
        denials: denials.data?.pages.flatMap((page) => page.items) ?? [],
        held: held.data?.pages.flatMap((page) => page.items) ?? [],
        settlement: settlement.data,
        amount: (nano) => `${coins(nano_of(nano), language)} ${coin_name.current}`,
      }),
    [audit.data, builds.data, denials.data, held.data, settlement.data, language],
  );
  const shown = kind === 'all' ? all : all.filter((one) => one.kind === kind);
  const days = [...new Set(shown.map((one) => local_day(one.at, language)))];
  return (
    <>
      <Title text={say(t.timeline)} help={say(t.timeline_help)} />
      <div className="row">
        <Segments<Kind | 'all'>
          name={say(t.timeline)}
          chosen={kind}
          choose={set_kind}
          values={kinds.map((one) => [one, say(t[`kind_${one}`])])}
        />
      </div>
      {audit.isPending ? (
        <Skeleton />
      ) : shown.length === 0 ? (
        <Empty title={say(t.no_audit)} />
      ) : (
        days.map((day) => (
          <Card key={day} title={day}>
            <ol className="timeline">
              {shown
                .filter((one) => local_day(one.at, language) === day)
                .map((one) => (
                  <Row key={one.key} happening={one} />
                ))}
            </ol>
          </Card>
        ))
      )}
      {audit.hasNextPage && (
        <button type="button" className="button" onClick={() => void audit.fetchNextPage()}>
          {say(t.further_back)}
        </button>
      )}
    </>
  );
}

function Row({ happening: { at, kind, what, on, note, who } }: { happening: Happening }) {
  const { language } = useSettings();
  return (
    <li>
      <time dateTime={at} title={utc_time(at)} className="num">
        {local_clock(at, language)}
      </time>
      <div>
        <Badge tone={tones[kind]}>{what}</Badge> <strong className="break">{on}</strong>
        {who && <span className="muted"> · {who}</span>}
        {note && <p className="soft small break">{note}</p>}
      </div>
    </li>
  );
}
