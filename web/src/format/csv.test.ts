import { expect, it } from 'vitest';
import { csv } from './csv';

it.each([
  ['plain', 'plain'],
  ['a,b', '"a,b"'],
  ['say "x"', '"say ""x"""'],
  ['=1+1', "'=1+1"],
  ['@cmd', "'@cmd"],
  ['-12', '-12'],
  ['-x', "'-x"],
  [null, ''],
  [7, '7'],
])('the cell %s is written %s', (value, text) => {
  expect(csv(['h'], [[value]])).toBe(`h\r\n${text}\r\n`);
});
