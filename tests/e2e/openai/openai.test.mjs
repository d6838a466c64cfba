// The official, unmodified OpenAI SDK against a running cocoon-client, and through it against a real
// market, node and engine: right answers and right error classes. By environment:
//   COCOON_BASE_URL       http://127.0.0.1:8081/v1      COCOON_MODEL       a model with at least one offer
//   COCOON_MARKET_URL     the market behind it          COCOON_WORK_KEY    the developer's key
//   COCOON_CLIENT_BINARY  to start a sidecar with a key without money, and one with a wrong key
// The engine should be cocoon-demo-engine: tools and long answers are asked for in its words.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import OpenAI from 'openai';

const { COCOON_BASE_URL, COCOON_MODEL, COCOON_MARKET_URL, COCOON_WORK_KEY, COCOON_CLIENT_BINARY } = process.env;
for (const name of ['COCOON_BASE_URL', 'COCOON_MODEL', 'COCOON_MARKET_URL', 'COCOON_WORK_KEY', 'COCOON_CLIENT_BINARY'])
  assert.ok(process.env[name], `${name} is not set`);

const model = COCOON_MODEL;
const apiKey = process.env.COCOON_LOCAL_KEY ?? 'any';
const client = new OpenAI({ baseURL: COCOON_BASE_URL, apiKey, maxRetries: 0, timeout: 60_000 });
const hello = [{ role: 'user', content: 'Say hello to the order book' }];

async function market(path, options = {}) {
  const headers = { Authorization: `Bearer ${COCOON_WORK_KEY}`, 'Content-Type': 'application/json' };
  const answer = await fetch(COCOON_MARKET_URL + path, { headers, ...options });
  assert.ok(answer.ok, `${path}: ${answer.status}`);
  return answer.json();
}

// Asks again until `condition` holds, at most `seconds`: for what happens behind the caller's back.
async function eventually(what, condition, seconds = 15) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    if (await condition()) return;
    assert.ok(Date.now() < deadline, `not within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// A sidecar of its own with another key; resolves once it listens.
function sidecar(directory, key, change = {}) {
  const file = join(directory, `${key.slice(-6)}.json`);
  writeFileSync(`${file}.key`, key, { mode: 0o600 });
  writeFileSync(file, JSON.stringify({
    market_url: COCOON_MARKET_URL, api_key_file: `${file}.key`, listen: '127.0.0.1:0', tiers: ['simulated'],
    ...change }));
  const program = spawn(COCOON_CLIENT_BINARY, ['serve', '--config', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  return new Promise((resolve, reject) => {
    let log = '';
    program.on('exit', (code) => reject(new Error(`the sidecar ended with ${code}: ${log}`)));
    program.stderr.on('data', (bytes) => {
      log += bytes;
      const port = /"event":"listening".*?"port":(\d+)/.exec(log)?.[1];
      if (port) resolve({ program, openai: new OpenAI({
        baseURL: `http://127.0.0.1:${port}/v1`, apiKey, maxRetries: 0, timeout: 30_000 }) });
    });
  });
}

// The error a call ends with, checked for its class and code.
async function refusal(call, Class, status, code) {
  let error;
  try { await call(); } catch (caught) { error = caught; }
  assert.ok(error, 'the call should have been refused');
  assert.ok(error instanceof Class, `${error.constructor.name}: ${error.message}`);
  assert.equal(error.status, status);
  assert.equal(error.code, code);
  assert.ok(error.message.length > 10);
  assert.ok(error.type);
  return error;
}

describe('models', () => {
  it('are listed with price, trust and context', async () => {
    const list = await client.models.list();
    const found = list.data.find((entry) => entry.id === model);
    assert.ok(found, `${model} is not listed`);
    assert.equal(found.object, 'model');
    assert.ok('context_length' in found);
    assert.ok(/^\d+$/.test(found.pricing.prompt_nano_per_mtok));
    assert.ok(Array.isArray(found.trust.tiers) && found.trust.usable === true);
  });
  it('are read one by one', async () => {
    assert.equal((await client.models.retrieve(model)).id, model);
  });
  it('that do not exist are NotFoundError', async () => {
    await refusal(() => client.models.retrieve('no/such model'), OpenAI.NotFoundError, 404, 'model_not_found');
  });
});

describe('chat', () => {
  it('answers with usage, exact cost and a receipt', async () => {
    const { data, response } = await client.chat.completions.create(
      { model, messages: hello, max_tokens: 24 }).withResponse();
    assert.equal(data.object, 'chat.completion');
    assert.equal(data.choices[0].message.role, 'assistant');
    assert.ok(data.choices[0].message.content.length > 0);
    assert.ok(data.usage.prompt_tokens > 0 && data.usage.completion_tokens > 0 && data.usage.completion_tokens <= 24);
    assert.match(data.usage.cost_nano, /^[1-9]\d*$/);
    assert.match(data.usage.cost, /^\d+(\.\d+)?$/);
    const job = response.headers.get('x-cocoon-job');
    assert.match(job, /^job_\d+$/);
    assert.match(response.headers.get('x-cocoon-receipt'), /^job_\d+(\.\d+)?$/);
    assert.match(response.headers.get('x-cocoon-node'), /^node_\d+$/);
    assert.ok(data._request_id);
    const { receipt } = await market(`/v1/jobs/${job}/receipt`);
    assert.ok(JSON.stringify(receipt).includes(`"${data.usage.cost_nano}"`), 'the receipt has the same cost');
  });
  it('streams, with usage and cost when asked for', async () => {
    const stream = await client.chat.completions.create({
      model, messages: hello, max_tokens: 24, stream: true, stream_options: { include_usage: true } });
    let text = '', usage, finish, pieces = 0;
    for await (const chunk of stream) {
      pieces += 1;
      text += chunk.choices[0]?.delta?.content ?? '';
      finish = chunk.choices[0]?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
    }
    assert.ok(pieces > 2 && text.length > 0 && finish);
    assert.ok(usage.completion_tokens > 0);
    assert.match(usage.cost_nano, /^[1-9]\d*$/);
  });
  it('streams without usage when it is not asked for', async () => {
    const stream = await client.chat.completions.create({ model, messages: hello, max_tokens: 8, stream: true });
    for await (const chunk of stream) {
      assert.equal(chunk.choices.length, 1, 'no event without choices');
      assert.ok(!chunk.usage);
    }
  });
  it('works with the SDK\'s stream helper', async () => {
    const runner = client.chat.completions.stream({ model, messages: hello, max_tokens: 16 });
    const final = await runner.finalChatCompletion();
    assert.ok(final.choices[0].message.content.length > 0);
  });
  it('calls tools, and takes their answers', async () => {
    const tools = [{ type: 'function', function: {
      name: 'get_weather', description: 'Weather of a city',
      parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } } }];
    const messages = [{ role: 'user', content: 'What is the weather in Lisbon?' }];
    const asked = await client.chat.completions.create({
      model, messages, tools, tool_choice: { type: 'function', function: { name: 'get_weather' } } });
    const [call] = asked.choices[0].message.tool_calls;
    assert.equal(asked.choices[0].finish_reason, 'tool_calls');
    assert.equal(call.function.name, 'get_weather');
    assert.equal(JSON.parse(call.function.arguments).city, 'Lisbon');
    const answered = await client.chat.completions.create({ model, tools, messages: [
      ...messages, asked.choices[0].message, { role: 'tool', tool_call_id: call.id, content: '21 degrees' }] });
    assert.ok(answered.choices[0].message.content.length > 0);
  });
  it('takes a pinned build only where one is offered', async () => {
    await refusal(() => client.chat.completions.create({ model: `${model}@no-such-build`, messages: hello }),
      OpenAI.InternalServerError, 503, 'no_eligible_offer');
  });
  it('aborted in the middle of a stream frees slot and money', async () => {
    // The public book is a snapshot: compare with all slots there are, not with a moment before.
    const all_free = async () => {
      const { totals } = await market(`/v1/markets/${encodeURIComponent(`inference:${model}`)}/book`);
      return totals.slots_total > 0 && totals.slots_free === totals.slots_total;
    };
    const stream = await client.chat.completions.create({
      model, messages: [{ role: 'user', content: 'write 4000 words' }], max_tokens: 4000, stream: true });
    let pieces = 0;
    for await (const chunk of stream) {
      assert.ok(chunk);
      pieces += 1;
      if (pieces === 3) stream.controller.abort();
    }
    assert.ok(pieces < 100, 'the stream ended early');
    await eventually('the money is no longer held',
      async () => (await market('/v1/account/balance')).held_nano === '0');
    await eventually('the slots are free again', all_free);
  });
  it('runs many at once', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => client.chat.completions.create(
      { model, max_tokens: 8, messages: [{ role: 'user', content: `number ${i}` }] })));
    assert.equal(new Set(answers.map((answer) => answer.id)).size, 12);
  });
});

describe('other endpoints', () => {
  it('complete text', async () => {
    const answer = await client.completions.create({ model, prompt: 'Once upon a time', max_tokens: 16 });
    assert.ok(answer.choices[0].text.length > 0);
    assert.match(answer.usage.cost_nano, /^[1-9]\d*$/);
  });
  it('embed', async () => {
    const answer = await client.embeddings.create({ model, input: ['one', 'two'] });
    assert.equal(answer.data.length, 2);
    assert.ok(answer.data[0].embedding.length > 0 && answer.data[0].embedding.every(Number.isFinite));
    assert.notDeepEqual(answer.data[0].embedding, answer.data[1].embedding);
    assert.match(answer.usage.cost_nano, /^[1-9]\d*$/);
  });
});

describe('errors', () => {
  const ask = (openai, extra = {}, headers = {}) => () =>
    openai.chat.completions.create({ model, messages: hello, max_tokens: 8, ...extra }, { headers });

  it('a wrong model is NotFoundError', async () => {
    const error = await refusal(ask(client, { model: 'no-such-model' }), OpenAI.NotFoundError, 404, 'model_not_found');
    assert.equal(error.param, 'model');
  });
  it('a cap below every price is refused, names the price, and is not retried', async () => {
    const retrying = client.withOptions({ maxRetries: 3 });
    const began = Date.now();
    const error = await refusal(ask(retrying, {}, { 'X-Cocoon-Max-Cost-Nano': '1' }),
      OpenAI.InternalServerError, 503, 'price_cap_too_low');
    assert.ok(Date.now() - began < 5_000, 'the SDK did not wait to try again');
    assert.equal(error.headers.get('x-should-retry'), 'false');
    assert.ok(Number(error.headers.get('retry-after')) > 0);
    assert.match(error.message, /holding \d+(\.\d+)? /);
  });
  it('a wish that nobody meets says why', async () => {
    const error = await refusal(ask(client, {}, { 'X-Cocoon-Regions': 'moon' }),
      OpenAI.InternalServerError, 503, 'no_eligible_offer');
    assert.match(error.message, /region/);
  });
  it('bad bodies and headers are BadRequestError', async () => {
    const error = await refusal(ask(client, { max_tokens: -1 }), OpenAI.BadRequestError, 400, 'malformed_request');
    assert.equal(error.param, 'max_tokens');
    await refusal(ask(client, {}, { 'X-Cocoon-Max-Cots': '1' }), OpenAI.BadRequestError, 400, 'malformed_request');
  });
  it('the engine\'s own refusal passes through', async () => {
    const messages = [{ role: 'nobody', content: 'x' }];
    await assert.rejects(ask(client, { messages }), OpenAI.BadRequestError);
  });
  it('an unknown path is NotFoundError', async () => {
    await assert.rejects(client.get('/no/such/path'), OpenAI.NotFoundError);
  });
});

describe('other accounts', () => {
  let directory;
  const programs = [];
  before(() => { directory = mkdtempSync(join(tmpdir(), 'cocoon-openai-')); });
  after(() => {
    for (const program of programs) {
      program.removeAllListeners('exit');
      program.kill('SIGTERM');
    }
    rmSync(directory, { recursive: true, force: true });
  });
  const start = async (key, change) => {
    const { program, openai } = await sidecar(directory, key, change);
    programs.push(program);
    return openai;
  };

  it('no funds is an APIError with status 402', async () => {
    const account = await market('/v1/accounts', { method: 'POST', body: JSON.stringify({
      kind: 'developer', name: 'Without Money',
      profile: { models: [model], daily_requests: 1, input_tokens_average: 1, output_tokens_average: 1 } }),
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': crypto.randomUUID() } });
    const openai = await start(account.work_key.secret);
    await refusal(() => openai.chat.completions.create({ model, messages: hello }),
      OpenAI.APIError, 402, 'insufficient_funds');
  });
  it('a wrong market key is AuthenticationError', async () => {
    const openai = await start(`ck_${'A'.repeat(43)}`);
    await refusal(() => openai.chat.completions.create({ model, messages: hello }),
      OpenAI.AuthenticationError, 401, 'unauthenticated');
  });
  it('a wrong local key is AuthenticationError', async () => {
    const openai = await start(COCOON_WORK_KEY, { local_key: 'something else' });
    await refusal(() => openai.chat.completions.create({ model, messages: hello }),
      OpenAI.AuthenticationError, 401, 'unauthenticated');
  });
  it('a tier that is not accepted gets nothing sealed', async () => {
    const openai = await start(`${COCOON_WORK_KEY}`, { tiers: ['tdx+gpu-cc'] });
    await refusal(() => openai.chat.completions.create({ model, messages: hello }),
      OpenAI.InternalServerError, 503, 'no_eligible_offer');
  });
  it('a session serves calls with one job', async () => {
    const openai = await start(COCOON_WORK_KEY, {
      session: { seconds: 60, renew_seconds_before: 10, prompt_tokens: 20000, output_tokens: 20000, requests: 10 } });
    const jobs = new Set();
    for (let i = 0; i < 3; i += 1) {
      const { data, response } = await openai.chat.completions.create(
        { model, messages: hello, max_tokens: 8 }).withResponse();
      assert.ok(data.choices[0].message.content.length > 0);
      jobs.add(response.headers.get('x-cocoon-job'));
    }
    assert.equal(jobs.size, 1, `one job for three calls: ${[...jobs]}`);
  });
});
