// What one check found. Its name is stable, and says which words of text/verify.ts explain it.
export type Outcome = 'passed' | 'failed' | 'not_checked';

export const checks = [
  'receipt_form',
  'keyset',
  'node_signature',
  'keyset_in_force',
  'market_cosignature',
  'cost',
  'hash_chain',
  'job_record',
  'agreed_price',
  'reported_usage',
  'sealed_request',
  'sealed_response',
  'evidence_hash',
  'binding',
  'gpu_binding',
  'hardware',
  'statement_form',
  'market_statement',
  'own_leaf',
  'wallet_covers',
  'wallet_on_chain',
] as const;
export type Check = (typeof checks)[number];

export interface Finding {
  check: Check;
  outcome: Outcome;
  /** A value or a fault, for people who compare. */
  detail?: string;
}

export const found = (check: Check, passed: boolean, detail?: string): Finding => ({
  check,
  outcome: passed ? 'passed' : 'failed',
  detail,
});
export const not_checked = (check: Check, detail?: string): Finding => ({ check, outcome: 'not_checked', detail });
