// A receipt as cocoon-client kept it of a job that ran on the demo market (recorded.json), whole and then spoilt at every
// place; and the layouts of evidence that the demo market does not have.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { from_base64, from_hex, join, signed, to_hex, utf8 } from './bytes';
import { bound_by, check_evidence, gpu_nonce, report_data_for, type Evidence } from './evidence';
import type { Outcome } from './finding';
import { canonical, is_object, read_json, type Json, type JsonObject } from './json';
import { add_paper, node_of, verify, type Papers } from './papers';
import { cost_of } from './receipt';

const recorded = readFileSync(new URL('./recorded.json', import.meta.url), 'utf8');
const bundle = () => read_json(recorded) as JsonObject & { envelope: JsonObject };
const papers_of = (document: Json): Papers => add_paper({ known: {} }, JSON.stringify(document));

function outcomes(papers: Papers): Record<string, Outcome> {
  return Object.fromEntries(verify(papers).map(({ check, outcome }) => [check, outcome]));
}

describe('a real receipt', () => {
  it('passes whatever can be checked here, and says what cannot', () => {
    expect(outcomes(papers_of(bundle()))).toEqual({
      receipt_form: 'passed',
      keyset: 'passed',
      node_signature: 'passed',
      keyset_in_force: 'passed',
      market_cosignature: 'passed',
      cost: 'passed',
      hash_chain: 'passed',
      job_record: 'not_checked',
      agreed_price: 'passed',
      reported_usage: 'passed',
      sealed_request: 'passed',
      sealed_response: 'passed',
      evidence_hash: 'not_checked',
      binding: 'passed',
      gpu_binding: 'not_checked',
      hardware: 'not_checked',
    });
    expect(node_of(papers_of(bundle()))).toBe('node_1');
  });

  it('is not called checked where papers are missing', () => {
    const alone = outcomes(papers_of(bundle().envelope));
    expect(alone.node_signature).toBe('not_checked');
    expect(alone.market_cosignature).toBe('not_checked');
    expect(alone.binding).toBe('not_checked');
    expect(alone.cost).toBe('passed');
  });

  it('is put together from the market’s two answers', () => {
    const { envelope, evidence, keyset_document } = bundle() as Record<string, JsonObject>;
    const cosigned = add_paper({ known: {}, market_key: '00'.repeat(32) }, JSON.stringify(envelope));
    const whole = add_paper(cosigned, JSON.stringify({ ...evidence, keyset_document } as Json));
    expect(outcomes(whole)).toMatchObject({ node_signature: 'passed', binding: 'passed', market_cosignature: 'failed' });
  });

  const leaves = (value: Json, path: string[] = []): string[][] =>
    typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([name, inner]) => leaves(inner, [...path, name]))
      : [path];
  const spoil = (value: Json): Json =>
    typeof value === 'number' ? value + 1 : String(value).replace(/.$|^$/, (last) => (last === '0' ? '1' : '0'));

  it.each(leaves(bundle().envelope).map((path) => [path.join('.'), path]))('spoilt at %s is found out', (_, path) => {
    const spoilt = bundle();
    let inner: JsonObject = spoilt.envelope;
    for (const name of path.slice(0, -1)) inner = inner[name] as JsonObject;
    inner[path.at(-1)!] = spoil(inner[path.at(-1)!]!);
    // The market's own name for its key is not signed, and nothing rests on it.
    const harmless = path.join('.') === 'cosignature.key_id';
    expect(Object.values(outcomes(papers_of(spoilt))).includes('failed')).toBe(!harmless);
  });

  it.each([
    ['the keyset', 'keyset', { keyset_document: recorded }],
    ['a keyset that is no JSON', 'keyset', { keyset_document: '{' }],
    ['the price agreed', 'agreed_price', { price: { prompt_nano_per_mtok: '1' } }],
    ['the usage seen', 'reported_usage', { usage: { completion_tokens: 17 } }],
    ['the sealed request', 'sealed_request', { sealed_request_sha256: 'sha256:' + '0'.repeat(64) }],
    ['the sealed answer', 'sealed_response', { sealed_response_sha256: 'sha256:' + '0'.repeat(64) }],
    ['the market’s key', 'market_cosignature', { market_key: '0'.repeat(64) }],
  ])('with %s changed is found out', (_, check, change) => {
    expect(outcomes(papers_of({ ...bundle(), ...change }))[check]).toBe('failed');
  });

  it.each([
    ['passed', { job: 'job_1', node: 'node_1', captured_nano: '2120' }],
    ['failed', { job: 'job_2', node: 'node_1', captured_nano: '2120' }],
    ['failed', { job: 'job_1', node: 'node_2', captured_nano: '2120' }],
    ['failed', { job: 'job_1', node: 'node_1', captured_nano: '2121' }],
  ])('%s beside the market’s record %j', (outcome, known) => {
    const papers = papers_of(bundle());
    expect(outcomes({ ...papers, known: { ...papers.known, ...known } }).job_record).toBe(outcome);
  });

  it('costs one rounding, up, at the end', () => {
    const event = { usage_prompt_tokens: '1', price_prompt_nano_per_mtok: '1', usage_requests: '3', price_request_nano: '7' };
    expect(cost_of(event)).toBe(22n);
    expect(cost_of({})).toBe(0n);
  });
});

describe('evidence', () => {
  const keyset_digest = 'sha256:' + 'ab'.repeat(32);
  const nonce = 'cd'.repeat(32);
  const right = report_data_for(keyset_digest, nonce);
  const base64 = (octets: Uint8Array) => Buffer.from(octets).toString('base64');
  const zeros = (count: number) => new Uint8Array(count);
  const version = (number: number) => Uint8Array.of(number, 0);
  const gpu = (answered: Uint8Array) => ({ report: base64(join(zeros(4), answered, zeros(100))), certificates: '' });
  const evidence = (tier: string, document: Json): Evidence => ({ tier, nonce, octets: utf8(JSON.stringify(document)) });
  const tdx_4 = join(version(4), zeros(46 + 520), right, zeros(10));
  const tdx_5 = join(version(5), zeros(46 + 6 + 520), right, zeros(10));
  const snp = join(zeros(80), right, zeros(1040));

  it.each([
    ['tdx', { kind: 'tdx', quote: base64(tdx_4) }, 'passed'],
    ['tdx', { kind: 'tdx', quote: base64(tdx_5) }, 'passed'],
    ['snp', { kind: 'snp', report: base64(snp) }, 'passed'],
    ['tdx', { kind: 'tdx', quote: base64(tdx_4.slice(1)) }, 'failed'],
    ['tdx', { kind: 'tdx', quote: base64(tdx_4.slice(0, 600)) }, 'failed'],
    ['tdx', { kind: 'tdx', quote: 'no base64' }, 'failed'],
    ['snp', { kind: 'else', report: base64(snp) }, 'failed'],
  ])('%s binds keys and challenge: %#', (tier, cpu, outcome) => {
    const findings = check_evidence(evidence(tier, { version: 1, cpu }), keyset_digest);
    expect(findings.find(({ check }) => check === 'binding')?.outcome).toBe(outcome);
    expect(findings.find(({ check }) => check === 'hardware')?.outcome).toBe('not_checked');
  });

  it.each([
    ['passed', [gpu_nonce(right), gpu_nonce(right)]],
    ['failed', [gpu_nonce(right), gpu_nonce(zeros(64))]],
  ])('GPUs %s', (outcome, nonces) => {
    const document = { version: 1, cpu: { kind: 'tdx', quote: base64(tdx_4) }, gpus: nonces.map(gpu) };
    const findings = check_evidence(evidence('tdx+gpu-cc', document), keyset_digest);
    expect(findings.find(({ check }) => check === 'gpu_binding')?.outcome).toBe(outcome);
  });

  it('under another hash, keyset or challenge is found out', () => {
    const papers = papers_of(bundle());
    const with_evidence = (change: Partial<Evidence>) =>
      outcomes({ ...papers, evidence: { ...papers.evidence!, ...change } });
    expect(with_evidence({ named_hash: '0'.repeat(64) }).evidence_hash).toBe('failed');
    expect(with_evidence({ nonce }).binding).toBe('failed');
    expect(with_evidence({ nonce: undefined }).binding).toBe('failed');
    expect(with_evidence({ octets: papers.evidence!.octets.slice(1) }).binding).toBe('failed');
    expect(bound_by({ tier: 'simulated', octets: zeros(3) })).toBeUndefined();
  });
});

describe('JSON', () => {
  it('is written as RFC 8785, section 3.2.2 asks', () => {
    const text = String.raw`{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],
      "string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}`;
    expect(canonical(read_json(text))).toBe(
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    );
  });
  it('is sorted by UTF-16 code units', () => {
    expect(canonical(read_json('{"\uFB33":1,"\uD83D\uDE00":2,"a":3,"":4}'))).toBe('{"":4,"a":3,"😀":2,"\uFB33":1}');
  });
  it.each(['', '{', '{"a":1,"a":1}', '{"a":{"b":1,"\\u0062":2}}', '"\\ud800"', '{"\\udc00":1}', '['.repeat(70) + ']'.repeat(70)])(
    'refuses %s',
    (text) => expect(() => read_json(text)).toThrow(),
  );
  it.each(['{"a":{"a":1},"b":[{"a":1},{"a":2}]}', '"a:\\"{"', '{"a":"\\":","b":":{"}'])('reads %s', (text) =>
    expect(read_json(text)).toEqual(JSON.parse(text)),
  );
  it('tells objects from lists', () => expect([is_object({}), is_object([]), is_object(null)]).toEqual([true, false, false]));
});

describe('octets', () => {
  it.each([
    ['00ff', 2, '00ff'],
    ['00FF', 2, undefined],
    ['00f', 2, undefined],
    ['0x', 1, undefined],
  ])('hex %s', (text, octets, read) => {
    const found = from_hex(text, octets);
    expect(found && to_hex(found)).toBe(read);
  });
  it.each(['A', 'AA=A', 'AA-_', '===='])('base64 %s is refused', (text) => expect(from_base64(text)).toBeUndefined());
  // RFC 8032, section 7.1, test 2
  const key = from_hex('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c', 32);
  const signature = from_hex(
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    64,
  );
  it('Ed25519 is RFC 8032’s', () => {
    expect(signed(Uint8Array.of(0x72), signature, key)).toBe(true);
    expect(signed(Uint8Array.of(0x73), signature, key)).toBe(false);
    expect(signed(Uint8Array.of(0x72), signature, new Uint8Array(32).fill(255))).toBe(false);
    expect(signed(Uint8Array.of(0x72), undefined, key)).toBe(false);
  });
});
