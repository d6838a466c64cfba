// The server's metrics (Prometheus text, exposition 0.0.4) as numbers that a page can ask for. Pure functions.

export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

const line = /^([a-zA-Z_:][\w:]*)(?:\{([^}]*)\})? (\S+)$/;
const label = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** Every sample; lines that are none are passed over. */
export function parse_metrics(text: string): Sample[] {
  return text.split('\n').flatMap((row) => {
    const found = line.exec(row);
    if (!found) return [];
    const labels = Object.fromEntries([...(found[2] ?? '').matchAll(label)].map((one) => [one[1]!, one[2]!]));
    return [{ name: found[1]!, labels, value: Number(found[3]) }];
  });
}

/** The sum of all samples of that name whose labels are these. */
export function total(samples: Sample[], name: string, labels: Record<string, string> = {}): number | undefined {
  const wanted = samples.filter(
    (one) => one.name === name && Object.entries(labels).every(([key, value]) => one.labels[key] === value),
  );
  return wanted.length === 0 ? undefined : wanted.reduce((sum, one) => sum + one.value, 0);
}

/** The value below which that share of a histogram's observations lies, straight between the bounds of its bucket.
    Beyond the last bound nothing is known but the bound. Nothing was observed: undefined. */
export function quantile(samples: Sample[], name: string, share: number): number | undefined {
  const buckets = samples
    .filter((one) => one.name === `${name}_bucket`)
    .map((one) => ({ bound: one.labels.le === '+Inf' ? Infinity : Number(one.labels.le), count: one.value }))
    .sort((a, b) => a.bound - b.bound);
  const all = buckets.at(-1)?.count ?? 0;
  if (all === 0) return undefined;
  const wanted = share * all;
  const at = buckets.findIndex((one) => one.count >= wanted);
  const low = buckets[at - 1] ?? { bound: 0, count: 0 };
  const high = buckets[at]!;
  if (high.bound === Infinity) return low.bound;
  const inside = high.count - low.count;
  return low.bound + (inside === 0 ? 0 : ((wanted - low.count) / inside) * (high.bound - low.bound));
}
