// Which wallet? Plain links, so that the chosen wallet's page is loaded as a document of its own, with the policy that
// lets that wallet's bridge through and no other.
import { useSay } from '../app/settings';
import { t } from '../text/wallet';
import { wallet_path, wallets, type Purpose } from './wallets';

export function WalletChoice({ purpose, help }: { purpose: Purpose; help?: string }) {
  const say = useSay();
  return (
    <div className="stack">
      {help && <p className="soft small">{help}</p>}
      <ul className="wallets" aria-label={say(t.which)}>
        {wallets.map((wallet) => (
          <li key={wallet.name}>
            <a className="button" href={wallet_path(wallet, purpose)}>
              {wallet.title}
            </a>
          </li>
        ))}
      </ul>
      <p className="muted small">{say(t.which_help)}</p>
    </div>
  );
}
