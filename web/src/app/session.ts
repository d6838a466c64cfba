// Who is signed in. The session itself is a cookie that no script can read; here is only what the pages show of it, kept
// in localStorage so that every tab knows. Nothing here is a secret, and nothing here is believed by the server.
import { useSyncExternalStore } from 'react';

export type Kind = 'developer' | 'provider' | 'admin' | 'auditor';

export interface Account {
  id: string;
  kind: Kind;
  name: string;
}

export interface Session {
  account: Account;
}

const place = 'cocoon.signed_in';
const listeners = new Set<() => void>();
let current: Session | null = read();

function read(): Session | null {
  try {
    const text = localStorage.getItem(place);
    return text ? (JSON.parse(text) as Session) : null;
  } catch {
    return null;
  }
}

function tell(next: Session | null): void {
  current = next;
  for (const listener of listeners) listener();
}

function change(next: Session | null): void {
  try {
    if (next) localStorage.setItem(place, JSON.stringify(next));
    else localStorage.removeItem(place);
  } catch {
    // storage is forbidden: this tab knows it until it is closed
  }
  tell(next);
}

// Signed in or out in another tab.
window.addEventListener('storage', (event) => {
  if (event.key === place || event.key === null) tell(read());
});

export const session = {
  current: (): Session | null => current,
  begin: (account: Account): void => change({ account }),
  /** Also when the server says that it knows no session any more. */
  end: (): void => change(null),
  rename: (name: string): void => {
    if (current) change({ account: { ...current.account, name } });
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
