// What a request of this size would cost now: asks the market's own what-if, which places nothing.
import { useMutation } from '@tanstack/react-query';
import { useId, useState, type FormEvent } from 'react';
import { body, client } from '../api/client';
import type { Tier } from '../api/market';
import { useSay } from '../app/settings';
import { t } from '../text/public';
import { Card, Count, Failed, Money } from '../ui/parts';

const every_tier: Tier[] = ['simulated', 'snp', 'tdx', 'snp+gpu-cc', 'tdx+gpu-cc'];

export function AskPrice({ market, kind }: { market: string; kind: string }) {
  const say = useSay();
  const id = useId();
  const [prompt, set_prompt] = useState('900');
  const [completion, set_completion] = useState('300');
  const [simulated, set_simulated] = useState(true);
  const ask = useMutation({
    mutationFn: () => {
      const quantity =
        kind === 'compute'
          ? { gpu_seconds: Number(prompt) }
          : { prompt_tokens: Number(prompt), completion_tokens: Number(completion), requests: 1 };
      const constraints = simulated ? { tiers: every_tier } : {};
      return body(
        client.POST('/v1/requests:whatif', { body: { market, quantity, time_in_force: 'immediate', constraints } }),
      );
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    ask.mutate();
  };
  const best = ask.data?.explanation.best[0];
  return (
    <Card title={say(t.ask_price)}>
      <form className="stack tight" onSubmit={submit}>
        <div className="form">
          <div className="field">
            <label htmlFor={id + 'p'}>{say(kind === 'compute' ? t.compute : t.prompt_tokens)}</label>
            <input
              id={id + 'p'}
              type="number"
              inputMode="numeric"
              min={0}
              max={1_000_000_000}
              value={prompt}
              onChange={(event) => set_prompt(event.target.value)}
              required
            />
          </div>
          {kind !== 'compute' && (
            <div className="field">
              <label htmlFor={id + 'c'}>{say(t.completion_tokens)}</label>
              <input
                id={id + 'c'}
                type="number"
                inputMode="numeric"
                min={0}
                max={1_000_000_000}
                value={completion}
                onChange={(event) => set_completion(event.target.value)}
                required
              />
            </div>
          )}
        </div>
        <div className="row between">
          <label className="row small">
            <input type="checkbox" checked={simulated} onChange={(event) => set_simulated(event.target.checked)} />
            {say(t.with_simulated)}
          </label>
          <button className="button" type="submit" disabled={ask.isPending}>
            {say(t.ask_price)}
          </button>
        </div>
        <div aria-live="polite">
          {ask.isError && <Failed error={ask.error} />}
          {ask.data &&
            (best ? (
              <p>
                <strong>
                  <Money nano={best.cost_nano} />
                </strong>{' '}
                <span className="muted small">
                  {say(t.would_cost)} · {say(t.eligible, { count: ask.data.explanation.best.length })}
                </span>
              </p>
            ) : (
              <div className="notice warn">
                <strong>{say(t.not_eligible)}</strong>
                {ask.data.explanation.removed.map((one) => (
                  <span key={one.constraint}>
                    {one.constraint}: <Count value={one.offers} />
                  </span>
                ))}
                {ask.data.explanation.relaxations.slice(0, 2).map((one) => (
                  <span key={one.constraint + one.suggestion}>→ {one.suggestion}</span>
                ))}
              </div>
            ))}
        </div>
      </form>
    </Card>
  );
}
