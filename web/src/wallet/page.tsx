// The page of one wallet and one purpose: sign in, prove that it is yours, pay a deposit. A document of its own: it alone
// may reach this wallet's bridge, so it is entered and left by loading.
import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { Navigate, useParams } from 'react-router-dom';
import type { Schemas } from '../api/client';
import { act, own } from '../api/desk';
import { NotFound } from '../app/not_found';
import { desk_of, session, useSession } from '../app/session';
import { useSay } from '../app/settings';
import { nano_of, parse_coins, plain_coins } from '../format/money';
import { t as common } from '../text/common';
import { t as desk } from '../text/desk';
import { t } from '../text/wallet';
import { Checks, Field, Form } from '../ui/form';
import { Card, coin_name, Loaded, Money, Title } from '../ui/parts';
import { Talking, useTalk } from './talking';
import { pay, prove } from './talk';
import { is_here, purposes, wallet_named, type Wallet } from './wallets';

export function WalletPage() {
  const { name, purpose } = useParams();
  const wallet = wallet_named(name);
  const who = useSession();
  if (!wallet || !purposes.some((known) => known === purpose)) return <NotFound />;
  if (purpose === 'sign-in') return <SignInBy wallet={wallet} />;
  if (!who) return <Navigate to="/sign-in" replace />;
  return purpose === 'proof' ? <Prove wallet={wallet} /> : <Deposit wallet={wallet} />;
}

const leave = (path = '') => {
  const who = session.current();
  window.location.replace(who ? desk_of[who.account.kind] + path : '/sign-in');
};

function Back({ path }: { path?: string }) {
  const say = useSay();
  return (
    <div className="row">
      <button type="button" className="button" onClick={() => leave(path)}>
        {say(t.back)}
      </button>
    </div>
  );
}

/** Asks by the extension instead, where there is one. */
function Here({ wallet, begin }: { wallet: Wallet; begin: (here: boolean) => void }) {
  const say = useSay();
  if (!is_here(wallet)) return null;
  return (
    <button type="button" className="button" onClick={() => begin(true)}>
      {say(t.use_here)}
    </button>
  );
}

function SignInBy({ wallet }: { wallet: Wallet }) {
  const say = useSay();
  const talk = useTalk(wallet, async (talk) => {
    const proof = await prove(talk, await act.challenge_wallet());
    talk.tell({ at: 'checking' });
    await act.sign_in({ wallet: proof });
    if (!talk.signal.aborted) leave();
  });
  // Choosing the wallet was the question: it is put at once.
  const { begin } = talk;
  const first = useRef(begin);
  useEffect(() => first.current(false), []);
  return (
    <div className="center-card stack">
      <Title text={say(t.sign_in, { wallet: wallet.title })} help={say(t.sign_in_help)} />
      <Card>
        <div className="stack">
          <Talking talk={talk} wallet={wallet} />
          <Here wallet={wallet} begin={begin} />
        </div>
      </Card>
      <Back />
    </div>
  );
}

function Prove({ wallet }: { wallet: Wallet }) {
  const say = useSay();
  const [key, set_key] = useState('');
  const [chosen, set_chosen] = useState<'payouts'[]>(['payouts']);
  const [done, set_done] = useState(false);
  const talk = useTalk(wallet, async (talk) => {
    const proof = await prove(talk, await act.challenge_wallet());
    talk.tell({ at: 'checking' });
    await act.set_wallet({ wallet: proof, receives_payouts: chosen.length > 0 }, key.trim());
    set_key('');
    set_done(true);
  });
  const resting = talk.step.at === 'rest' || talk.step.at === 'failed';
  return (
    <div className="center-card stack">
      <Title text={say(t.prove_with, { wallet: wallet.title })} help={say(t.prove_help)} />
      <Card>
        <div className="stack">
          {done && (
            <div className="notice good" role="status">
              {say(t.proven)}
            </div>
          )}
          {!done && resting && (
            <Form submit={() => talk.begin(false)}>
              <Field label={say(desk.management_key)} value={key} change={set_key} type="password" required whole />
              <Checks
                label={say(t.payouts)}
                values={[['payouts', say(t.send_payouts)]]}
                chosen={chosen}
                change={set_chosen}
              />
              <div className="row whole">
                <button className="button primary" type="submit">
                  {say(t.go_on)}
                </button>
                {key.trim() && <Here wallet={wallet} begin={talk.begin} />}
              </div>
            </Form>
          )}
          {!done && <Talking talk={talk} wallet={wallet} asked_by_form />}
        </div>
      </Card>
      <Back path="/profile" />
    </div>
  );
}

function Deposit({ wallet }: { wallet: Wallet }) {
  const say = useSay();
  const where = useQuery(own.deposit());
  return (
    <div className="center-card stack">
      <Title text={say(t.pay_with, { wallet: wallet.title })} help={say(t.pay_help)} />
      <Card>
        <Loaded query={where}>
          {(found) =>
            found.address && !found.address.startsWith('dev:') ? (
              <PayIn wallet={wallet} to={found} address={found.address} />
            ) : (
              <p className="muted">{say(found.address ? t.not_by_wallet : desk.deposit_closed)}</p>
            )
          }
        </Loaded>
      </Card>
      <Back path="/statement" />
    </div>
  );
}

function PayIn({ wallet, to, address }: { wallet: Wallet; to: Schemas['DepositInstructions']; address: string }) {
  const say = useSay();
  const [typed, set_typed] = useState('');
  const [paid, set_paid] = useState(false);
  const least = nano_of(to.minimum_nano);
  const nano = parse_coins(typed);
  const enough = nano !== undefined && nano >= least && nano > 0n;
  const talk = useTalk(wallet, async (talk) => {
    // The challenge says which network this market is on; its payload is not needed here.
    const { network } = await act.challenge_wallet();
    await pay(talk, network, { address, amount_nano: String(nano), comment: to.memo });
    set_paid(true);
  });
  const resting = talk.step.at === 'rest' || talk.step.at === 'failed';
  const too_little = say(t.at_least, { amount: `${plain_coins(least)} ${coin_name.current}` });
  if (paid)
    return (
      <div className="notice good" role="status">
        {say(t.paid)}
      </div>
    );
  return (
    <div className="stack">
      {resting && (
        <Form submit={() => enough && talk.begin(false)}>
          <Field
            label={say(common.amount)}
            mode="decimal"
            value={typed}
            change={set_typed}
            required
            whole
            hint={<Money nano={nano ?? 0n} />}
            fault={typed && !enough ? (nano === undefined ? say(desk.not_an_amount) : too_little) : undefined}
          />
          <div className="row whole">
            <button className="button primary" type="submit" disabled={!enough}>
              {say(t.go_on)}
            </button>
            {enough && <Here wallet={wallet} begin={talk.begin} />}
          </div>
        </Form>
      )}
      <Talking talk={talk} wallet={wallet} asked_by_form />
    </div>
  );
}
