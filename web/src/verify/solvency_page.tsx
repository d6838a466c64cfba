// What the market owes to everybody beside what it holds, signed by it and checked by the page; with one's own share of
// the sum for whoever is signed in.
import { useQuery } from '@tanstack/react-query';
import { own } from '../api/desk';
import { read } from '../api/market';
import { useSession } from '../app/session';
import { useSay } from '../app/settings';
import { t } from '../text/verify';
import { Card, Code, Facts, Figure, Figures, Loaded, Money, SaveButton, Time, Title } from '../ui/parts';
import { Refusal, type Schemas } from '../api/client';
import { Findings } from './findings';
import type { Json } from './json';
import { verify_solvency } from './solvency';

type Proof = Schemas['AccountProof'];
type Signed = Schemas['SignedSolvency'];

export function SolvencyPage() {
  const say = useSay();
  const who = useSession();
  // An account that is newer than the proof has none yet: then the public statement is what there is.
  const counted = who?.account.kind === 'developer' || who?.account.kind === 'provider';
  const proof = useQuery({ ...own.proof(), enabled: counted });
  const solvency = useQuery(read.solvency());
  return (
    <div className="stack">
      <Title text={say(t.solvency)} help={say(t.solvency_help)} />
      <Loaded query={solvency}>
        {(statement) => (
          <>
            {!proof.data && proof.error instanceof Refusal && proof.error.status === 404 && (
              <div className="notice">{say(t.newer_than_proof)}</div>
            )}
            <Shown signed={proof.data?.solvency ?? statement} proof={proof.data} />
          </>
        )}
      </Loaded>
    </div>
  );
}

function Shown({ signed, proof }: { signed: Signed; proof?: Proof }) {
  const say = useSay();
  const key = useQuery(read.market_key());
  const { statement } = signed;
  const document = proof ?? signed;
  return (
    <>
      <Figures>
        <Figure name={say(t.owed_to_all)} json="/v1/proof/solvency" note={say(t.accounts, { count: statement.accounts })}>
          <Money nano={statement.liabilities_nano} />
        </Figure>
        <Figure name={say(t.in_wallet)} note={<WalletNote wallet={statement.wallet} />}>
          {statement.wallet ? <Money nano={statement.wallet.balance_nano} /> : say(t.chain_unseen)}
        </Figure>
        {proof && (
          <Figure name={say(t.yours)} note={say(t.yours_note)}>
            <Money nano={proof.leaf.amount_nano} />
          </Figure>
        )}
        <Figure name={say(t.as_of)} note={say(t.journal, { sequence: statement.sequence })}>
          <Time at={statement.at} ago />
        </Figure>
      </Figures>
      <Card
        title={say(t.findings)}
        json="/v1/proof/solvency"
        tools={<SaveButton name="solvency.json" text={JSON.stringify(document)} label={say(t.download)} />}
      >
        <Findings findings={verify_solvency(document as Json, key.data?.public_key)}>
          <Facts
            rows={[
              [say(t.root), <code key="root">{statement.root}</code>],
              [say(t.market_key), key.data && <code key="key">{key.data.public_key}</code>],
            ]}
          />
        </Findings>
        <p className="muted tiny">{say(t.keep_it)}</p>
        <Code text="cocoon-client verify --solvency solvency.json" label={say(t.solvency)} />
      </Card>
    </>
  );
}

function WalletNote({ wallet }: { wallet: Signed['statement']['wallet'] }) {
  const say = useSay();
  if (!wallet) return <>{say(t.chain_unseen_note)}</>;
  return (
    <>
      {say(t.on_hold)}:{' '}
      <Money nano={wallet.on_hold_nano} />
    </>
  );
}
