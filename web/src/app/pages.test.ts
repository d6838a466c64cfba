// pages.txt tells the server which paths are pages; the router says which pages there are.
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

it('pages.txt names the first segments of the routes', () => {
  const source = readFileSync(new URL('./pages.tsx', import.meta.url), 'utf8');
  const routed = new Set([...source.matchAll(/\['\/([a-z-]+)[^']*', \w+\]/g)].map((found) => found[1]));
  const served = readFileSync(new URL('../../public/pages.txt', import.meta.url), 'utf8')
    .trim()
    .split('\n');
  expect(new Set(served)).toEqual(routed);
  expect(routed.size).toBeGreaterThan(5);
});
