// The wallets that the pages know, and where each is talked to. The list is committed and none is fetched from elsewhere:
// wallets.json holds four entries of @tonconnect/sdk 3.4.1's built-in list (which follows ton-connect/wallets-list), word
// for word; a test compares them. Each wallet has pages of its own, and only those may reach its bridge
// (public/bridges.txt, which the server reads).
import list from './wallets.json';

export interface Wallet {
  /** As in our paths. */
  name: string;
  title: string;
  /** Opens the wallet's app, from a phone or as a code for its camera. */
  link: string;
  /** Carries sealed messages between the wallet and this page. */
  bridge: string;
  /** Under this name an extension of the browser offers itself to pages. */
  extension?: string;
}

type Bridge = { type: string; url?: string; key?: string };
const titles: Record<string, string> = { 'telegram-wallet': 'Wallet in Telegram' }; // "Wallet" alone names any

export const wallets: readonly Wallet[] = list.map((entry) => {
  const of_type = (type: string) => (entry.bridge as Bridge[]).find((bridge) => bridge.type === type);
  return {
    name: entry.app_name,
    title: titles[entry.app_name] ?? entry.name,
    link: entry.universal_url,
    bridge: of_type('sse')?.url ?? '',
    extension: of_type('js')?.key,
  };
});

export const wallet_named = (name: string | undefined): Wallet | undefined =>
  wallets.find((wallet) => wallet.name === name);

export const purposes = ['sign-in', 'proof', 'deposit'] as const;
export type Purpose = (typeof purposes)[number];

/** Where a wallet is talked to. To be loaded, not routed to: the policy that lets its bridge through is that document's. */
export const wallet_path = (wallet: Wallet, purpose: Purpose): string => `/wallet/${wallet.name}/${purpose}`;

/** Whether the wallet's extension is in this browser, and can be asked without a bridge. */
export function is_here(wallet: Wallet, place: object = globalThis): boolean {
  const offered = wallet.extension && (place as Record<string, unknown>)[wallet.extension];
  return typeof offered === 'object' && offered !== null && 'tonconnect' in offered;
}
