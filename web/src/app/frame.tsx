// The frame around every page: the way through the market, how fresh its figures are, language and light, who is signed in.
import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, type ReactNode } from 'react';
import { Link, NavLink, useLocation } from 'react-router-dom';
import { useFreshness } from '../api/live';
import { read } from '../api/market';
import { relative_time } from '../format/time';
import { language_names, languages, type Language } from '../format/words';
import { t } from '../text/common';
import { coin_name, useNow } from '../ui/parts';
import { desk_of, useSession } from './session';
import { useSay, useSettings } from './settings';

/** Below this, "live" needs no age. */
const fresh_ms = 10_000;

function Live() {
  const say = useSay();
  const { language } = useSettings();
  const { state, heard_at } = useFreshness();
  const now = useNow(5_000);
  const when = relative_time(new Date(heard_at).toISOString(), now, language);
  const text =
    state === 'connecting'
      ? say(t.connecting)
      : state === 'stale'
        ? say(t.stale, { when })
        : now - heard_at < fresh_ms
          ? say(t.live)
          : say(t.live_ago, { when });
  return (
    <div className="live" data-state={state} role="status" title={text}>
      <i aria-hidden="true" />
      <span>{text}</span>
    </div>
  );
}

function Sun({ dark }: { dark: boolean }) {
  return (
    <svg
      width="16"
      height="16"
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="2"
      strokeLinecap="round"
      aria-hidden="true"
    >
      {dark ? (
        <path d="M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z" />
      ) : (
        <path d="M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M4.9 4.9l1.4 1.4M17.7 17.7l1.4 1.4M2 12h2M20 12h2M4.9 19.1l1.4-1.4M17.7 6.3l1.4-1.4" />
      )}
    </svg>
  );
}

export function Frame({ children }: { children: ReactNode }) {
  const say = useSay();
  const { language, dark, choose_language, choose_light } = useSettings();
  const who = useSession();
  const main = useRef<HTMLElement>(null);
  const { pathname } = useLocation();
  const version = useQuery(read.version());
  if (version.data) coin_name.current = version.data.coin;

  // A new page begins at its top, and a screen reader at its main part.
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    window.scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [pathname]);

  return (
    <>
      <a className="skip" href="#main">
        {say(t.skip)}
      </a>
      <header className="top">
        <div className="top-row">
          <Link to="/" className="brand">
            <img src="/mark.svg" alt="" width="26" height="26" />
            Cocoon Market
          </Link>
          <nav aria-label={say(t.main_navigation)}>
            <NavLink
              to="/markets"
              className={({ isActive }) => (isActive || pathname === '/' ? 'active' : undefined)}
            >
              {say(t.markets)}
            </NavLink>
            <NavLink to="/nodes">{say(t.network)}</NavLink>
            <NavLink to="/measurements">{say(t.builds)}</NavLink>
            <NavLink to="/verify">{say(t.verify)}</NavLink>
            <NavLink to="/solvency">{say(t.solvency)}</NavLink>
            <NavLink to="/join">{say(t.join)}</NavLink>
            <a href="/docs">{say(t.api)}</a>
          </nav>
          <div className="top-tools">
            <Live />
            <select
              className="quiet-select"
              aria-label={say(t.language)}
              value={language}
              onChange={(event) => choose_language(event.target.value as Language)}
            >
              {languages.map((one) => (
                <option key={one} value={one} lang={one}>
                  {language_names[one]}
                </option>
              ))}
            </select>
            <button
              type="button"
              className="icon-button"
              aria-label={say(t.light)}
              title={say(t.light)}
              onClick={() => choose_light(dark ? 'light' : 'dark')}
            >
              <Sun dark={dark} />
            </button>
            {who ? (
              <Link className="button" to={desk_of[who.account.kind]}>
                {say(t.desk)}
              </Link>
            ) : (
              <Link className="button" to="/sign-in">
                {say(t.sign_in)}
              </Link>
            )}
          </div>
        </div>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        {children}
      </main>
      <footer className="foot">
        <div>
          <span className="grow">{say(t.tagline)}</span>
          <a href="/docs">API</a>
          <a href="/openapi.yaml">OpenAPI</a>
          <a href="/v1/markets">JSON</a>
          <span>{version.data && `${version.data.program} ${version.data.version}`}</span>
        </div>
      </footer>
    </>
  );
}
