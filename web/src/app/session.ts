// Who is signed in, and with what. The one place that knows how: today an API key typed by its owner and kept in this
// tab's sessionStorage until it is closed, never in a cookie or localStorage. Pages ask for the account and for headers;
// nothing else reads a secret.
import { useSyncExternalStore } from 'react';

export type Kind = 'developer' | 'provider' | 'admin' | 'auditor';

export interface Account {
  id: string;
  kind: Kind;
  name: string;
}

/** A second key of this tab, made with the first for what that one may not do; it ends by itself. */
interface Acting {
  id: string;
  secret: string;
  expires_at: string;
}

export interface Session {
  key: string;
  account: Account;
  acting?: Acting;
}

const place = 'cocoon.session';
const listeners = new Set<() => void>();
let current: Session | null = read();

function read(): Session | null {
  try {
    const text = sessionStorage.getItem(place);
    return text ? (JSON.parse(text) as Session) : null;
  } catch {
    return null;
  }
}

function change(next: Session | null): void {
  current = next;
  try {
    if (next) sessionStorage.setItem(place, JSON.stringify(next));
    else sessionStorage.removeItem(place);
  } catch {
    // storage is forbidden: the session lasts as long as the page
  }
  for (const listener of listeners) listener();
}

export const session = {
  current: (): Session | null => current,
  begin: (key: string, account: Account): void => change({ key, account }),
  end: (): void => change(null),
  act_with: (acting: Acting): void => {
    if (current) change({ ...current, acting });
  },
  rename: (name: string): void => {
    if (current) change({ ...current, account: { ...current.account, name } });
  },
  /** The acting key while it still lives for a minute. */
  acting: (): Acting | null => {
    const acting = current?.acting;
    return acting && Date.parse(acting.expires_at) > Date.now() + 60_000 ? acting : null;
  },
};

export function useSession(): Session | null {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => current,
  );
}

/** Where each kind of account has its desk. */
export const desk_of: Record<Kind, string> = {
  developer: '/developer',
  provider: '/provider',
  admin: '/admin',
  auditor: '/admin',
};
