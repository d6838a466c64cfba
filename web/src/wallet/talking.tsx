// What the visitor sees of a conversation with a wallet: a code to scan and a link to open, whose turn it is, and how it
// ended. One at a time: a new one ends the one before, and the page's end ends the last.
import { useEffect, useRef, useState } from 'react';
import { useSay } from '../app/settings';
import { t as common } from '../text/common';
import { t } from '../text/wallet';
import { Faults } from '../ui/form';
import { Qr } from '../ui/qr';
import { WalletFault, type Talk, type Turn } from './talk';
import type { Wallet } from './wallets';

export type Step = Turn | { at: 'rest' } | { at: 'asking' } | { at: 'checking' } | { at: 'failed'; error: unknown };
export interface Talked {
  step: Step;
  begin: (here: boolean) => () => void;
  cancel: () => void;
}

export function useTalk(
  wallet: Wallet,
  run: (talk: Omit<Talk, 'tell'> & { tell: (step: Step) => void }) => Promise<void>,
): Talked {
  const [step, set_step] = useState<Step>({ at: 'rest' });
  const current = useRef<AbortController | null>(null);
  const begin = (here: boolean) => {
    current.current?.abort();
    const mine = new AbortController();
    current.current = mine;
    const tell = (next: Step) => {
      if (current.current === mine) set_step(next);
    };
    tell({ at: 'asking' });
    run({ wallet, here, tell, signal: mine.signal }).catch((error: unknown) => tell({ at: 'failed', error }));
    return () => mine.abort();
  };
  useEffect(() => () => current.current?.abort(), []);
  return { step, begin, cancel: () => current.current?.abort() };
}

/** `asked_by_form`: the page has a form of its own to ask again with. */
export function Talking({ talk, wallet, asked_by_form }: { talk: Talked; wallet: Wallet; asked_by_form?: boolean }) {
  const say = useSay();
  const { step } = talk;
  const again = !asked_by_form && (
    <div className="row">
      <button type="button" className="button primary" onClick={() => talk.begin(false)}>
        {say(t.again)}
      </button>
    </div>
  );
  if (step.at === 'rest') return null;
  if (step.at === 'failed')
    return (
      <>
        <Ended error={step.error} />
        {again}
      </>
    );
  return (
    <div className="stack">
      {step.at === 'open' && step.link && <Link link={step.link} wallet={wallet} />}
      <p role="status">{say(turn_words(step), { wallet: wallet.title })}</p>
      {(step.at === 'open' || step.at === 'agree') && (
        <div className="row">
          <button type="button" className="button" onClick={talk.cancel}>
            {say(common.cancel)}
          </button>
        </div>
      )}
    </div>
  );
}

function turn_words(step: Exclude<Step, { at: 'rest' } | { at: 'failed' }>) {
  if (step.at === 'open') return step.link ? t.scan : t.asked_here;
  return { asking: t.asking, agree: t.agree, checking: t.checking }[step.at];
}

function Link({ link, wallet }: { link: string; wallet: Wallet }) {
  const say = useSay();
  return (
    <div className="stack wallet-link">
      <Qr text={link} label={say(t.scan_label, { wallet: wallet.title })} level="L" />
      <a className="button primary" href={link} target="_blank" rel="noopener noreferrer">
        {say(t.open, { wallet: wallet.title })}
      </a>
    </div>
  );
}

function Ended({ error }: { error: unknown }) {
  const say = useSay();
  if (!(error instanceof WalletFault)) return <Faults error={error} />;
  const undone = error.kind === 'cancelled' || error.kind === 'refused';
  return (
    <div className={undone ? 'notice' : 'notice warn'} role="alert">
      {say(t[`fault_${error.kind}`])}
      {error.kind === 'failed' && <span className="tiny mono break">{error.message}</span>}
    </div>
  );
}
