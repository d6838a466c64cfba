// The wallet that is proven to be the account's, and the way to prove one.
import { useQuery } from '@tanstack/react-query';
import { own } from '../api/desk';
import { useSay } from '../app/settings';
import { t } from '../text/wallet';
import { Dialog } from '../ui/form';
import { Card, Facts, Loaded, Time } from '../ui/parts';
import { WalletChoice } from '../wallet/choice';

export function WalletCard() {
  const say = useSay();
  const wallet = useQuery(own.wallet());
  return (
    <Card title={say(t.wallet)}>
      <div className="stack">
        <p className="soft">{say(t.wallet_help)}</p>
        <Loaded query={wallet}>
          {(found) =>
            found.address ? (
              <Facts
                rows={[
                  [say(t.wallet), <code key="w" className="break">{found.address}</code>],
                  [say(t.proven_at), <Time key="at" at={found.proven_at} />],
                  [say(t.payouts_here), say(found.receives_payouts ? t.yes : t.no)],
                ]}
              />
            ) : (
              <p className="muted">{say(t.no_wallet)}</p>
            )
          }
        </Loaded>
        <div className="row">
          <Dialog button={say(t.prove)} title={say(t.which)}>
            {() => <WalletChoice purpose="proof" />}
          </Dialog>
        </div>
      </div>
    </Card>
  );
}
