// The frame of a desk: who is signed in, its pages, and the account's own event feed, which keeps everything on it fresh.
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { createContext, useContext, useEffect, useState, type ReactNode } from 'react';
import { Link, Navigate, NavLink, useLocation } from 'react-router-dom';
import { act, own } from '../api/desk';
import { open_stream, type StreamEvent } from '../api/stream';
import { desk_of, session, useSession, type Kind } from '../app/session';
import { useSay } from '../app/settings';
import type { Message } from '../format/words';
import { t } from '../text/desk';
import { Empty } from '../ui/parts';

export interface Heard extends StreamEvent {
  at: string;
  key: number;
}
const heard_max = 200;
const Activity = createContext<Heard[]>([]);
export const useActivity = (): Heard[] => useContext(Activity);

/** Which lists an event makes old: everything of its noun, and money with every job. */
const touched: [prefix: string, paths: string[]][] = [
  ['job.', ['/v1/jobs', '/v1/requests', '/v1/account', '/v1/offers']],
  ['request.', ['/v1/requests', '/v1/account']],
  ['offer.', ['/v1/offers']],
  ['node.', ['/v1/nodes', '/v1/network']],
  ['deposit.', ['/v1/deposits', '/v1/account']],
  ['payout.', ['/v1/payouts', '/v1/account']],
  ['key.', ['/v1/keys']],
  ['webhook.', ['/v1/webhooks']],
  ['account.', ['/v1/account']],
  ['gap', ['/v1/']],
];
/** A busy account has many events a second; its pages are read again at most once in this time. */
const refresh_ms = 1_000;

function useAccountFeed(account: string | undefined): Heard[] {
  const cache = useQueryClient();
  const [heard, set_heard] = useState<Heard[]>([]);
  useEffect(() => {
    if (!account) return;
    let count = 0;
    const stale = new Set<string>();
    const timer = setInterval(() => {
      if (stale.size === 0) return;
      const paths = [...stale];
      stale.clear();
      void cache.invalidateQueries({
        predicate: (query) => paths.some((path) => String(query.queryKey[0]).startsWith(path)),
      });
    }, refresh_ms);
    const close = open_stream({
      url: '/v1/events',
      on_event: (event) => {
        for (const [prefix, paths] of touched)
          if (event.name.startsWith(prefix)) paths.forEach((path) => stale.add(path));
        const entry = { ...event, at: new Date().toISOString(), key: ++count };
        set_heard((known) => [entry, ...known].slice(0, heard_max));
      },
      on_state: () => undefined,
    });
    return () => {
      clearInterval(timer);
      close();
    };
  }, [cache, account]);
  return heard;
}

type PageLink = readonly [path: string, name: Message];
const is_heading = (one: PageLink | Message): one is Message => typeof one[1] === 'string';

export function DeskFrame({
  kinds,
  links,
  children,
}: {
  kinds: Kind[];
  /** Pages in their order; a message alone is the heading of those after it. */
  links: (PageLink | Message)[];
  children: ReactNode;
}) {
  const say = useSay();
  const who = useSession();
  const cache = useQueryClient();
  const { pathname } = useLocation();
  const heard = useAccountFeed(who?.account.id);
  const account = useQuery({ ...own.account(), enabled: who !== null });
  if (!who) return <Navigate to="/sign-in" replace state={{ back: pathname }} />;
  if (!kinds.includes(who.account.kind))
    return (
      <Empty title={say(t.wrong_desk)}>
        <Link className="button" to={desk_of[who.account.kind]}>
          {desk_of[who.account.kind]}
        </Link>
      </Empty>
    );
  const sign_out = () => {
    void act
      .sign_out()
      .finally(() =>
        cache.removeQueries({ predicate: (query) => !String(query.queryKey[0]).startsWith('/v1/market') }),
      );
  };
  return (
    <Activity value={heard}>
      <div className="desk">
        <aside>
          <div className="who">
            <strong>{session.current()?.account.name}</strong>
            <div className="muted tiny">
              {who.account.id} · {who.account.kind}
            </div>
          </div>
          <nav aria-label={who.account.kind}>
            {links.map((one) =>
              is_heading(one) ? (
                <span key={one[0]} className="group">
                  {say(one)}
                </span>
              ) : (
                <NavLink key={one[0]} to={one[0]} end={one[0].split('/').length === 2}>
                  {say(one[1])}
                </NavLink>
              ),
            )}
          </nav>
          <button type="button" className="button small" onClick={sign_out}>
            {say(t.sign_out)}
          </button>
        </aside>
        <div className="stack">
          {account.data?.frozen && (
            <div className="notice bad" role="alert">
              {say(t.frozen)}
            </div>
          )}
          {children}
        </div>
      </div>
    </Activity>
  );
}
