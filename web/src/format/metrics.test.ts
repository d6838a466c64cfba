import { expect, it } from 'vitest';
import { parse_metrics, quantile, total } from './metrics';

const text = `# HELP jobs Jobs
# TYPE jobs counter
jobs{state="completed"} 7
jobs{state="failed",why="a \\"b\\""} 2
wait_seconds_bucket{le="0.01"} 0
wait_seconds_bucket{le="0.1"} 80
wait_seconds_bucket{le="1"} 100
wait_seconds_bucket{le="+Inf"} 101
wait_seconds_count 101
queue -3
not a sample
`;
const samples = parse_metrics(text);

it('reads names, labels and values', () => {
  expect(samples).toHaveLength(8);
  expect(total(samples, 'jobs')).toBe(9);
  expect(total(samples, 'jobs', { state: 'failed' })).toBe(2);
  expect(total(samples, 'jobs', { state: 'expired' })).toBeUndefined();
  expect(total(samples, 'queue')).toBe(-3);
});

it.each([
  [0, 0],
  [40 / 101, 0.055],
  [90 / 101, 0.55],
  [1, 1],
])('finds the quantile %d', (share, value) => {
  expect(quantile(samples, 'wait_seconds', share)).toBeCloseTo(value);
});

it('says nothing of what was never observed', () => {
  expect(quantile(samples, 'other', 0.5)).toBeUndefined();
  expect(quantile(parse_metrics('x_bucket{le="1"} 0\nx_bucket{le="+Inf"} 0'), 'x', 0.5)).toBeUndefined();
});
