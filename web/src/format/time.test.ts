import { expect, it } from 'vitest';
import { duration, relative_time, utc_time } from './time';

const now = Date.parse('2026-11-22T12:00:00Z');

it.each([
  ['2026-11-22T11:59:57Z', '3 sec. ago'],
  ['2026-11-22T11:00:00Z', '1 hr. ago'],
  ['2026-11-25T12:00:00Z', 'in 3 days'],
  ['2026-11-22T12:00:00Z', 'now'],
])('%s is %s', (instant, text) => {
  expect(relative_time(instant, now, 'en')).toBe(text);
});

it.each([
  [0, '0 ms'],
  [850, '850 ms'],
  [1_500, '1.5 s'],
  [59_400, '59 s'],
  [65_000, '1 min 5 s'],
  [7_260_000, '2 h 1 min'],
])('%s ms is %s', (milliseconds, text) => {
  expect(duration(milliseconds)).toBe(text);
});

it('says UTC as UTC', () => {
  expect(utc_time('2026-11-22T12:00:00.123456Z')).toBe('2026-11-22 12:00:00 UTC');
});
