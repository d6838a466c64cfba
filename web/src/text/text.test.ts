// Every message in every language: none empty, the same values in each, and no language left in another's column.
import { expect, it } from 'vitest';
import { alarm_words, t as admin } from './admin';
import { t as common } from './common';
import { t as desk } from './desk';
import { t as developer } from './developer';
import { t as provider } from './provider';
import { t as open } from './public';
import { t as register } from './register';
import { explained, t as verify } from './verify';
import { t as wallet } from './wallet';
import type { Message } from '../format/words';

const checks = Object.fromEntries(
  Object.entries(explained).flatMap(([check, said]) => Object.entries(said).map(([part, message]) => [`${check}.${part}`, message])),
);
const tables = { admin, common, desk, developer, provider, public: open, register, verify, wallet, checks, alarms: alarm_words };
const all = Object.entries(tables).flatMap(([table, messages]) => Object.entries(messages).map(([name, message]): [string, Message] => [`${table}.${name}`, message]));

/** Names and signs that are the same everywhere. */
const shared = /^(API|CSV|URL|GPU|Python|JavaScript|P10|1 · |2 · |\W*$)/;

it.each(all)('%s', (_, message) => {
  expect(message).toHaveLength(3);
  const values = message.map((text) => [...text.matchAll(/\{(\w+)\}/g)].map((found) => found[1]).sort());
  expect(values[1]).toEqual(values[0]);
  expect(values[2]).toEqual(values[0]);
  for (const text of message) expect(text.trim()).not.toBe('');
  const words = message[0].replace(/\{\w+\}/g, '');
  if (!shared.test(words) && /[a-z]{4}/.test(words)) expect(message[2]).toMatch(/[а-яё]/i);
});

it('there are messages', () => {
  expect(all.length).toBeGreaterThan(300);
});
