// The market's fee: what it is, and what a change would mean for work like that of the past.
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { admin } from '../api/admin';
import { useSay } from '../app/settings';
import { total } from '../format/metrics';
import { t } from '../text/admin';
import { Faults, Field, Form, useAct } from '../ui/form';
import { Card, Loaded, Money, Title } from '../ui/parts';
import { Table } from '../ui/table';

const basis_points_max = 10_000;

/** The market's part of an amount, rounded as matching does: down, so that the provider never gets less than due. */
export const fee_of = (nano: bigint, basis_points: number): bigint =>
  (nano * BigInt(basis_points)) / BigInt(basis_points_max);

/** Whole basis points within the limits, or nothing. */
export function parse_points(typed: string): number | undefined {
  const points = /^\d{1,5}$/.test(typed.trim()) ? Number(typed) : NaN;
  return points <= basis_points_max ? points : undefined;
}

export function Fee() {
  const say = useSay();
  const overview = useQuery(admin.overview());
  const [typed, set_typed] = useState('');
  const [note, set_note] = useState('');
  const points = parse_points(typed);
  const set = useAct(() => admin.set_fee(points ?? 0, note), ['/v1/admin', '/version']);
  return (
    <>
      <Title text={say(t.fees)} />
      <Loaded query={overview}>
        {(now) => (
          <Card title={say(t.fees)}>
            <Form submit={() => points !== undefined && set.mutate(undefined, { onSuccess: () => set_note('') })}>
              <p className="soft whole">{say(t.fee_now, { fee: now.fee_basis_points / 100 })}</p>
              <Field
                label={say(t.basis_points)}
                type="number"
                mode="numeric"
                min={0}
                max={basis_points_max}
                value={typed}
                change={set_typed}
                required
                hint={say(t.basis_points_hint)}
              />
              <Field label={say(t.note)} value={note} change={set_note} required />
              {points !== undefined && points !== now.fee_basis_points && (
                <div className="whole">
                  <Preview before={now.fee_basis_points} after={points} />
                </div>
              )}
              <Faults error={set.error} />
              <div className="whole">
                <button className="button primary" type="submit" disabled={set.isPending || points === undefined}>
                  {say(t.set_fee)}
                </button>
              </div>
            </Form>
          </Card>
        )}
      </Loaded>
    </>
  );
}

const hundred_coins = 100_000_000_000n;

function Preview({ before, after }: { before: number; after: number }) {
  const say = useSay();
  const metrics = useQuery(admin.metrics());
  const captured = BigInt(Math.trunc(total(metrics.data ?? [], 'cocoon_captured_nano_total') ?? 0));
  const rows = [
    { name: say(t.work_of_100), nano: hundred_coins },
    ...(captured > 0n ? [{ name: say(t.work_since_start), nano: captured }] : []),
  ];
  return (
    <Table
      name={say(t.fee_preview_title)}
      rows={rows}
      row_key={(row) => row.name}
      filter={false}
      columns={[
        { name: say(t.work), plain: (row) => row.nano, show: (row) => row.name },
        { name: say(t.market_keeps_now), right: true, plain: (row) => fee_of(row.nano, before), show: (row) => <Money nano={fee_of(row.nano, before)} digits={4} /> },
        { name: say(t.market_would_keep), right: true, plain: (row) => fee_of(row.nano, after), show: (row) => <Money nano={fee_of(row.nano, after)} digits={4} /> },
        { name: say(t.providers_would_get), right: true, plain: (row) => row.nano - fee_of(row.nano, after), show: (row) => <Money nano={row.nano - fee_of(row.nano, after)} digits={4} /> },
      ]}
    />
  );
}
