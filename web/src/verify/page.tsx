// A receipt verified in the reader's own browser: from a job of theirs, or from papers pasted or opened. Each check says
// what it proves and what it does not; what could not be checked is never shown as passed.
import { useMutation, useQuery } from '@tanstack/react-query';
import { useId, useMemo, useState, type ChangeEvent } from 'react';
import { useSearchParams } from 'react-router-dom';
import { own } from '../api/desk';
import { body, client } from '../api/client';
import { read } from '../api/market';
import { useSession } from '../app/session';
import { useSay } from '../app/settings';
import { t as common } from '../text/common';
import { t } from '../text/verify';
import { Faults, Field, Form } from '../ui/form';
import { Badge, Card, Empty, Facts, Money, Title } from '../ui/parts';
import { Findings } from './findings';
import { text_at, Unreadable } from './json';
import { add_paper, node_of, verify, type Papers } from './papers';
import { read_receipt } from './receipt';

const nothing: Papers = { known: {} };

/** Everything the market has about a job of one's own, as the texts that a person would paste. */
async function papers_of_job(id: string): Promise<Papers> {
  const [job, receipt] = await Promise.all([own.job(id).queryFn(), own.receipt(id).queryFn()]);
  const evidence = await body(
    client.GET('/v1/nodes/{id}/evidence', {
      params: { path: { id: job.node }, query: { hash: job.evidence_hash ?? undefined } },
    }),
  );
  const papers = add_paper(add_paper(nothing, JSON.stringify(receipt)), JSON.stringify(evidence));
  return {
    ...papers,
    // The hash that the job was reserved with, not the one that the evidence's own answer claims.
    evidence: papers.evidence && { ...papers.evidence, named_hash: job.evidence_hash ?? undefined },
    known: { job: job.id, node: job.node, captured_nano: job.captured_nano, price: job.price as never },
  };
}

export function VerifyPage() {
  const say = useSay();
  const [address] = useSearchParams();
  const who = useSession();
  const [job, set_job] = useState(address.get('job') ?? '');
  const of_job = useQuery({
    queryKey: ['papers', job],
    queryFn: () => papers_of_job(job),
    enabled: job !== '' && who !== null,
    retry: false,
  });
  const [pasted, set_pasted] = useState<Papers>();
  const papers = pasted ?? of_job.data ?? nothing;
  const served = useQuery(read.market_key());
  const [typed_key, set_typed_key] = useState<string>();
  const market_key = typed_key ?? papers.market_key ?? served.data?.public_key ?? '';
  const findings = useMemo(
    () => verify({ ...papers, market_key: market_key.trim() || undefined }),
    [papers, market_key],
  );
  const add = (text: string) => set_pasted(add_paper(papers, text));
  const given = papers.receipt !== undefined || papers.evidence !== undefined;
  return (
    <div className="stack">
      <Title text={say(t.title)} help={say(t.help)} />
      <div className="grid-2">
        <div className="stack">
          <OwnJob
            first={job}
            ask={(id) => {
              set_pasted(undefined);
              set_job(id);
            }}
            error={of_job.error}
            busy={of_job.isFetching}
          />
          <Card title={say(t.papers)}>
            <div className="stack tight">
              <Paper label={say(t.receipt)} hint={say(t.receipt_hint)} add={add} />
              <Paper label={say(t.evidence)} hint={say(t.evidence_hint)} add={add} />
              <AskEvidence papers={papers} found={set_pasted} />
              <Field
                label={say(t.market_key)}
                hint={say(t.market_key_hint)}
                value={market_key}
                change={set_typed_key}
              />
            </div>
          </Card>
        </div>
        <Card title={say(t.findings)}>
          {given ? (
            <Findings findings={findings}>
              <Claims papers={papers} />
            </Findings>
          ) : (
            <Empty title={say(t.nothing_yet)} />
          )}
          <p className="muted tiny">{say(t.caveat)}</p>
        </Card>
      </div>
    </div>
  );
}

function OwnJob({
  first,
  ask,
  error,
  busy,
}: {
  first: string;
  ask: (id: string) => void;
  error: unknown;
  busy: boolean;
}) {
  const say = useSay();
  const [id, set_id] = useState(first);
  const who = useSession();
  return (
    <Card title={say(t.by_job)}>
      {who ? (
        <Form submit={() => ask(id.trim())}>
          <Field label={say(t.job)} hint={say(t.by_job_help)} value={id} change={set_id} placeholder="job_42" required whole />
          <Faults error={error} />
          <div className="whole">
            <button type="submit" className="button primary" disabled={busy}>
              {say(busy ? common.loading : t.fetch)}
            </button>
          </div>
        </Form>
      ) : (
        <p className="small soft">{say(t.sign_in_first)}</p>
      )}
    </Card>
  );
}

/** A text to paste or a file to open. What cannot be read says why, and what was read before stays. */
function Paper({ label, hint, add }: { label: string; hint: string; add: (text: string) => void }) {
  const say = useSay();
  const id = useId();
  const [text, set_text] = useState('');
  const [fault, set_fault] = useState<string>();
  const take = (typed: string) => {
    set_text(typed);
    set_fault(undefined);
    if (typed.trim() === '') return;
    try {
      add(typed);
    } catch (error) {
      set_fault(say(t.unreadable, { why: error instanceof Unreadable ? error.message : String(error) }));
    }
  };
  const open = async (event: ChangeEvent<HTMLInputElement>) => {
    const file = event.target.files?.[0];
    event.target.value = '';
    if (file) take(await file.text());
  };
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <textarea
        id={id}
        rows={4}
        className="mono"
        spellCheck={false}
        value={text}
        aria-invalid={fault !== undefined}
        onChange={(event) => take(event.target.value)}
      />
      <span className="hint">{hint}</span>
      {fault && (
        <span className="fault" role="alert">
          {fault}
        </span>
      )}
      <label className="button small file">
        {say(t.file)}
        <span className="hidden">: {label}</span>
        <input type="file" className="hidden" accept=".json,application/json" onChange={(event) => void open(event)} />
      </label>
    </div>
  );
}

/** A receipt names its node, and the node's evidence is public. */
function AskEvidence({ papers, found }: { papers: Papers; found: (papers: Papers) => void }) {
  const say = useSay();
  const node = node_of(papers);
  const ask = useMutation({
    mutationFn: async (id: string) => add_paper(papers, JSON.stringify(await read.evidence(id).queryFn())),
    onSuccess: found,
  });
  if (!node || papers.evidence) return null;
  return (
    <>
      <button type="button" className="button" disabled={ask.isPending} onClick={() => ask.mutate(node)}>
        {say(t.evidence_of, { node })}
      </button>
      <Faults error={ask.error} />
    </>
  );
}

function Claims({ papers }: { papers: Papers }) {
  const say = useSay();
  const receipt = read_receipt(papers.receipt);
  if (typeof receipt === 'string') return null;
  const { document, event } = receipt;
  const text = (name: string) => text_at(event, name);
  return (
    <Facts
      rows={[
        [say(common.market), text('market')],
        [say(common.node), text('node')],
        [say(t.cost), <Money key="cost" nano={text('cost_nano')} />],
        [say(common.state), <Badge key="state">{text('status')}</Badge>],
        [say(t.keyset), <code key="id">{text_at(document, 'workload_keyset_digest')}</code>],
      ]}
    />
  );
}
