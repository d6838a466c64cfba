import { expect, it } from 'vitest';
import { EventParser } from './stream';

it('cuts events wherever the network cut the bytes', () => {
  const text = ': hello\n\nid: 7\nevent: trade\ndata: {"a":1}\n\nevent: book\ndata: x\ndata: y\n\n: keep-alive\n\n';
  const whole = new EventParser().take(text);
  for (let size = 1; size < text.length; size += 3) {
    const parser = new EventParser();
    const pieces = [];
    for (let at = 0; at < text.length; at += size) pieces.push(...parser.take(text.slice(at, at + size)));
    expect(pieces).toEqual(whole);
  }
  expect(whole).toEqual([
    { name: 'trade', id: '7', data: '{"a":1}' },
    { name: 'book', id: '7', data: 'x\ny' },
  ]);
});

it('keeps half an event until its end has come', () => {
  const parser = new EventParser();
  expect(parser.take('data: a\n')).toEqual([]);
  expect(parser.take('\n')).toEqual([{ name: 'message', id: '', data: 'a' }]);
});
