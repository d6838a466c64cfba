// What people do here, from empty to money, on the real server: run by tests/e2e/web_test.py, which starts it.
import { createHmac } from 'node:crypto';
import { expect, see } from './browser.mjs';
import { address, bridge, TestWallet } from './wallet.mjs';

const market = (world) => `inference:${world.model}`;

export async function public_story(page, world) {
  await page.goto(world.base + '/');
  await see(page, 'Confidential AI compute');
  await page.locator('.live[data-state=live]').waitFor();
  await page.getByRole('link', { name: world.model, exact: true }).click();
  await page.waitForURL('**/markets/**');
  await page.locator('canvas').first().waitFor();
  expect((await page.locator('canvas').count()) >= 2, 'price history and depth are drawn');
  await see(page, '0.02');
  await page.getByRole('button', { name: 'Ask for a price' }).click();
  await see(page, 'would cost at most');
  await page.getByRole('link', { name: 'Network', exact: true }).click();
  await page
    .getByRole('link', { name: /^node_/ })
    .first()
    .click();
  await see(page, 'Evidence, check by check');
  expect((await page.locator('.checklist .passed').count()) > 0, 'checks are listed');
  await see(page, 'The simulated tier proves neither processor nor GPU');
  await page.getByRole('link', { name: 'Join', exact: true }).click();
  await see(page, 'cocoon-node doctor');
  await page.getByLabel('Language').selectOption('ru');
  await see(page, 'Присоединиться к рынку');
  await page.getByLabel('Язык').selectOption('en');
  await see(page, 'Join the market');
}

/** A trade made elsewhere shows here without a reload. */
export async function live_story(page, world) {
  await page.goto(`${world.base}/markets/${encodeURIComponent(market(world))}`);
  const rows = page.getByRole('region', { name: 'Recent trades' }).locator('tbody tr');
  await rows.first().waitFor();
  await page.locator('.live[data-state=live]').waitFor();
  const before = await rows.count();
  const answer = await fetch(world.client + '/v1/chat/completions', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ model: world.model, max_tokens: 8, messages: [{ role: 'user', content: 'live' }] }),
  });
  expect(answer.ok, `the job ran: ${answer.status}`);
  await rows.nth(before).waitFor();
}

export async function missing_story(page, world) {
  const answer = await page.goto(world.base + '/no/such/page');
  expect(answer.status() === 404, 'an unknown address is 404');
  await see(page, 'There is no such page');
}

export async function weight_story(page, world) {
  await page.goto(world.base + '/', { waitUntil: 'networkidle' }).catch(() => undefined);
  await see(page, world.model);
  const bytes = await page.evaluate(() =>
    performance
      .getEntriesByType('resource')
      .concat(performance.getEntriesByType('navigation'))
      .filter((entry) => !entry.name.includes('/v1/'))
      .reduce((sum, entry) => sum + entry.encodedBodySize, 0),
  );
  expect(bytes > 20_000 && bytes <= 200_000, `the first load is ${bytes} bytes, compressed; at most 200,000`);
  console.log(`        first load ${bytes} bytes`);
}

const main_button = (page, name) => page.locator('main').getByRole('button', { name, exact: true });

/** The six digits of now (RFC 6238), as an authenticator app shows them. */
export function code_of(base32, step = Math.floor(Date.now() / 30_000)) {
  let bits = '';
  for (const letter of base32) bits += 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0');
  const secret = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const digest = createHmac('sha1', secret).update(counter).digest();
  const number = digest.readUInt32BE(digest.at(-1) & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, '0');
}

// A code is good once, so the operator signs in once; later visitors get the same browser's cookies and memory.
let operator_state;

/** `back`: what a link that led here says to return to. */
export async function sign_in(page, world, key, back) {
  if (key === world.admin_key && operator_state) {
    await page.context().addCookies(operator_state.cookies);
    await page.goto(world.base + '/sign-in');
    const kept = operator_state.origins[0].localStorage;
    await page.evaluate((items) => items.forEach(({ name, value }) => localStorage.setItem(name, value)), kept);
    await page.goto(world.base + '/admin');
    await page.locator('.desk').waitFor();
    return;
  }
  await page.goto(world.base + '/sign-in');
  if (back) {
    await page.evaluate((to) => history.replaceState({ usr: { back: to }, key: 'x', idx: 0 }, ''), back);
    await page.reload();
  }
  if (key === world.admin_key) {
    const { account, password, code_secret } = world.admin_login;
    await page.getByLabel('Account or name').fill(account);
    await page.getByLabel('Password', { exact: true }).fill(password);
    await page.getByLabel('Code').fill(code_of(code_secret));
  } else {
    await main_button(page, 'API key').click();
    await page.getByLabel('API key', { exact: true }).fill(key);
  }
  await main_button(page, 'Sign in').click();
  await page.locator('.desk').waitFor();
  if (key === world.admin_key) operator_state = await page.context().storageState();
}

export async function desk_page(page, name) {
  await page.locator('.desk aside').getByRole('link', { name, exact: true }).click();
  await page.locator('.desk h1').waitFor();
}

const script = '<img src=x onerror="document.title=\'taken\'">';

export async function developer_story(page, world) {
  await page.goto(world.base + '/sign-up/developer');
  await page.getByLabel('Name').fill(script);
  await page.getByLabel('Models you want').fill(world.model);
  await page.getByRole('button', { name: 'Create the account' }).click();
  await see(page, 'Your keys, shown only now');
  const [management, work] = await page.locator('.code code').allTextContents();
  expect(/^ck_/.test(management) && /^ck_/.test(work), 'both keys are shown once');
  await page.getByRole('button', { name: 'I have saved them, continue' }).click();
  await see(page, 'Quick start');
  await see(page, script);

  await page.getByRole('button', { name: 'Send test coins' }).click();
  await page
    .locator('.figure')
    .filter({ hasText: 'Available' })
    .getByText('5', { exact: false })
    .waitFor({ timeout: 20_000 });

  await desk_page(page, 'API keys');
  await page.getByRole('button', { name: 'New key' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('nightly');
  await dialog.getByLabel('work: place requests').check();
  await dialog.getByLabel('Cap a day').fill('0.5');
  await dialog.getByRole('button', { name: 'New key' }).click();
  await dialog.getByText('Shown only now').waitFor();
  expect(/^ck_/.test(await dialog.locator('code').textContent()), 'the new key is shown');
  await dialog.getByRole('button', { name: 'I have saved them, continue' }).click();
  await see(page, 'nightly');

  const placed = await fetch(world.base + '/v1/requests', {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${work}`,
      'Content-Type': 'application/json',
      'Idempotency-Key': `web-${management.slice(3, 20)}`,
    },
    body: JSON.stringify({
      market: market(world),
      quantity: { prompt_tokens: 1000, completion_tokens: 100, requests: 1 },
      cap_total_nano: '1',
      time_in_force: 'rest',
      rest_until: new Date(Date.now() + 3_600_000).toISOString(),
      constraints: { tiers: ['simulated'] },
    }),
  });
  expect(placed.status === 201, `the request rests: ${placed.status}`);
  await desk_page(page, 'Requests');
  await page.getByRole('link', { name: /^req_/ }).first().click();
  await see(page, 'Why it waits');
  await see(page, 'price_total');
  await see(page, 'The nearest change');
  await page.getByRole('button', { name: 'Cancel the request' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel the request' }).click();
  await page.locator('main .badge', { hasText: 'cancelled' }).waitFor();

  await desk_page(page, 'Statement');
  await page.getByRole('region', { name: 'Statement' }).locator('tbody tr').first().waitFor();
  await desk_page(page, 'Activity');
  await see(page, 'request.');
  expect((await page.title()) !== 'taken', 'a name is text and never markup');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL('**/sign-in');
  const left = await page.evaluate(() => [localStorage.getItem('cocoon.signed_in'), sessionStorage.length]);
  expect(left[0] === null && left[1] === 0, 'nothing of the session stays');
  expect((await page.context().cookies()).length === 0, 'nor its cookie');
}

/** The developer whose client has run jobs: usage, a job, its receipt. */
export async function buyer_story(page, world) {
  await sign_in(page, world, world.developer_key);
  await desk_page(page, 'Jobs');
  await page.getByRole('link', { name: /^job_/ }).first().click();
  await see(page, 'Signed by the node');
  await see(page, 'cosignature');
  await desk_page(page, 'Usage and cost');
  await page.getByRole('region', { name: 'Usage and cost' }).locator('tbody tr').first().waitFor();
  await page.getByRole('button', { name: 'model' }).click();
  await see(page, world.model);
}

/** A job’s receipt and evidence, verified by the page itself; then pasted without an account, and spoilt. */
export async function verify_story(page, world) {
  await sign_in(page, world, world.developer_key);
  await page.goto(`${world.base}/developer/jobs/${world.job}`);
  await page.getByRole('link', { name: 'Verify in this browser' }).click();
  await see(page, 'Check by check');
  const outcome = (check) => page.locator(`.checklist [data-check=${check}]`).getAttribute('class');
  await page.locator('.checklist [data-check=hardware]').waitFor();
  for (const check of ['receipt_form', 'keyset', 'node_signature', 'market_cosignature', 'cost', 'hash_chain'])
    expect((await outcome(check)) === 'passed', `${check} passed`);
  for (const check of ['job_record', 'agreed_price', 'evidence_hash', 'binding'])
    expect((await outcome(check)) === 'passed', `${check} passed`);
  expect((await outcome('hardware')) === 'not_checked', 'a page never says that it checked hardware');
  await see(page, 'could not be made here');

  const receipt = await fetch(`${world.base}/v1/jobs/${world.job}/receipt`, {
    headers: { Authorization: `Bearer ${world.developer_key}` },
  }).then((answer) => answer.text());
  await page.getByRole('link', { name: 'My desk' }).click();
  await page.locator('.desk').getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL('**/sign-in');
  await page.goto(world.base + '/verify');
  await page.getByLabel('Receipt', { exact: true }).fill('{"a":1,"a":2}');
  await see(page, 'occurs twice');
  await page.getByLabel('Receipt', { exact: true }).fill(receipt);
  await page.getByRole('button', { name: `Read the evidence of ${world.node}` }).click();
  await page.locator('.checklist [data-check=node_signature].passed').waitFor();
  expect((await outcome('job_record')) === 'not_checked', 'without the record nothing is claimed of it');
  await page.getByLabel('Receipt', { exact: true }).fill(receipt.replace('"completed"', '"partial"'));
  await page.locator('.checklist [data-check=node_signature].failed').waitFor();
  await see(page, 'Do not trust this');
}

/** What is owed to all, checked by the page: for anybody, and with one's own leaf. */
export async function solvency_story(page, world) {
  const outcome = (check) => page.locator(`.checklist [data-check=${check}]`);
  await page.goto(world.base + '/solvency');
  await outcome('market_statement').waitFor();
  await page.locator('.checklist [data-check=market_statement].passed').waitFor();
  expect((await outcome('own_leaf').getAttribute('class')) === 'not_checked', 'a stranger has no leaf');
  expect((await outcome('wallet_on_chain').getAttribute('class')) === 'not_checked', 'the page asks no chain');
  await sign_in(page, world, world.developer_key);
  await page.getByRole('link', { name: 'Solvency', exact: true }).click();
  await page.locator('.checklist [data-check=own_leaf].passed').waitFor();
  await see(page, 'Owed to you');
}

/** A provider submits a build, the operator sees whom it meets and decides, everybody reads why. */
export async function register_story(page, world) {
  await sign_in(page, world, world.provider_key);
  await page.goto(world.base + '/measurements');
  await page.getByRole('button', { name: 'Submit a build' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Take over from a node').selectOption({ label: 'node-a' });
  await dialog.getByLabel('Name').fill(script);
  await dialog.getByLabel('Version').fill('1.4');
  await dialog.getByLabel('Source').fill('https://example.org/image/1.4');
  await dialog.getByLabel('Notes').fill('make image; compare the digest');
  await dialog.getByRole('button', { name: 'Submit a build' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.locator('main .badge', { hasText: 'pending' }).waitFor();

  await page.getByRole('link', { name: 'My desk' }).click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL('**/sign-in');
  await sign_in(page, world, world.admin_key);
  await see(page, 'Builds waiting for a decision');
  await desk_page(page, 'Builds');
  await page.getByRole('button', { name: 'Approve', exact: true }).click();
  await dialog.getByText('Nodes that run it now: 2').waitFor();
  await dialog.getByLabel('Reason, for everybody').fill('rebuilt from the tag; equal');
  await dialog.getByRole('button', { name: 'Approve', exact: true }).click();
  await see(page, 'No build waits for a decision');

  await page.goto(world.base + '/measurements');
  await page.getByRole('link', { name: /> 1\.4$/ }).click();
  await see(page, 'rebuilt from the tag; equal');
  await page.getByRole('region', { name: 'Nodes that run it' }).getByRole('link', { name: /^node_/ }).first().waitFor();
  expect((await page.title()) !== 'taken', 'a build’s name is text and never markup');
}

export async function provider_story(page, world) {
  await sign_in(page, world, world.provider_key);
  await desk_page(page, 'Nodes');
  await page.getByRole('button', { name: 'Enrol a node' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Make a token' }).click();
  await page.getByRole('dialog').getByText("echo 'ce_").waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.getByRole('link', { name: 'node-b' }).click();
  await see(page, 'Evidence, check by check');

  await desk_page(page, 'Offers');
  await page.locator('main tbody tr', { hasText: '0.025' }).getByRole('link').first().click();
  await see(page, 'Why am I not matched?');
  await see(page, 'free slots are cheaper');
  await page.getByRole('button', { name: 'Change', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Prompt, coins / 1M tokens', { exact: true }).fill('0.019');
  await dialog.getByLabel('Output, coins / 1M tokens').fill('0.055');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await see(page, 'this offer is first in its market');
  await page.getByRole('button', { name: 'Pause', exact: true }).click();
  await see(page, 'The offer is paused');
  await page.getByRole('button', { name: 'Resume', exact: true }).click();
  await see(page, 'this offer is first in its market');
  await page.getByRole('button', { name: 'Change', exact: true }).click();
  await dialog.getByLabel('Prompt, coins / 1M tokens', { exact: true }).fill('0.025');
  await dialog.getByLabel('Output, coins / 1M tokens').fill('0.075');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await see(page, 'free slots are cheaper');

  await desk_page(page, 'Earnings');
  await page.getByRole('region', { name: 'Earnings' }).locator('tbody tr').first().waitFor();
  await see(page, 'Estimator');
  await desk_page(page, 'Webhooks');
  await page.getByRole('button', { name: 'New webhook' }).click();
  await dialog.getByLabel('URL').fill('https://example.org/hook');
  await dialog.getByRole('button', { name: 'New webhook' }).click();
  await dialog.getByText('whsec_').waitFor();
  await dialog.getByRole('button', { name: 'I have saved them, continue' }).click();
  await see(page, 'https://example.org/hook');
  await page.getByRole('button', { name: 'Remove' }).click();
  await dialog.getByRole('button', { name: 'Remove' }).click();
  await see(page, 'No webhook yet');
}

export async function admin_story(page, world) {
  await sign_in(page, world, world.admin_key);
  await see(page, 'All buckets sum to zero');
  await desk_page(page, 'Accounts');
  await see(page, 'Demo Developer');
  expect((await page.title()) !== 'taken', 'a stranger’s name is text for the operator, too');
  await desk_page(page, 'Markets');
  await page.getByRole('button', { name: 'Pause' }).first().click();
  await page.getByRole('dialog').getByLabel('Note').fill('a rehearsal');
  await page.getByRole('dialog').getByRole('button', { name: 'Pause' }).click();
  await page.locator('main .badge', { hasText: 'paused' }).waitFor();
  await page.getByRole('button', { name: 'Resume' }).first().click();
  await page.getByRole('dialog').getByLabel('Note').fill('over');
  await page.getByRole('dialog').getByRole('button', { name: 'Resume' }).click();
  await page.locator('main .badge', { hasText: 'open' }).waitFor();
  await desk_page(page, 'Order book');
  await page.getByRole('button', { name: 'Explain' }).click();
  await see(page, 'Offers that fit');
  await page.getByLabel('Reliability at least, %').fill('100');
  await page.getByRole('button', { name: 'Explain' }).click();
  await see(page, 'reputation');
  await desk_page(page, 'Fee');
  await page.getByLabel('Basis points').fill('250');
  await see(page, 'Providers would get');
  await page.getByRole('cell', { name: '97.5 TON' }).waitFor();
  await desk_page(page, 'Denied hardware');
  await page.getByRole('button', { name: 'Deny hardware' }).click();
  const deny = page.getByRole('dialog');
  await deny.getByLabel('Kind').selectOption('simulated');
  await deny.getByLabel('Identity').fill('nobody-has-this');
  await deny.getByLabel('Reason').fill('a rehearsal of denying');
  await deny.getByRole('button', { name: 'Deny hardware' }).click();
  await see(page, 'a rehearsal of denying');
  await page.getByRole('button', { name: 'Lift' }).click();
  await deny.getByLabel('Reason, for everybody').fill('over');
  await deny.getByRole('button', { name: 'Lift' }).click();
  await see(page, 'Nothing is denied');
  await desk_page(page, 'Health');
  await page.getByRole('region', { name: 'Database statements' }).locator('tbody tr').first().waitFor();
  await desk_page(page, 'Settlement');
  await see(page, 'Books against chain');
  await page.getByRole('button', { name: 'Pause payouts' }).click();
  await deny.getByLabel('Note').fill('the key is being changed');
  await deny.getByRole('button', { name: 'Pause payouts' }).click();
  await see(page, 'Payouts are paused by an operator');
  await page.getByRole('button', { name: 'Resume payouts' }).click();
  await deny.getByLabel('Note').fill('the key was changed');
  await deny.getByRole('button', { name: 'Resume payouts' }).click();
  await see(page, 'Payouts run');
  await desk_page(page, 'Payouts');
  await see(page, 'No payout here');
  await desk_page(page, 'Deposits on hold');
  await see(page, 'Every transfer found its account');
  await desk_page(page, 'Timeline');
  await see(page, 'a rehearsal');
  await see(page, 'lift_denial');
  await desk_page(page, 'Audit');
  await see(page, 'a rehearsal');
}

/** A key that nobody has, and a way back that leads elsewhere. */
export async function stranger_story(page, world) {
  await page.goto(world.base + '/provider/offers');
  await page.waitForURL('**/sign-in');
  await main_button(page, 'API key').click();
  await page.getByLabel('API key', { exact: true }).fill('nonsense');
  await main_button(page, 'Sign in').click();
  await see(page, 'The key has the form');
  await page.getByLabel('API key', { exact: true }).fill('ck_' + 'A'.repeat(43));
  await main_button(page, 'Sign in').click();
  await page.getByRole('alert').waitFor();
  await main_button(page, 'Password').click();
  await page.getByLabel('Account or name').fill(script);
  await page.getByLabel('Password', { exact: true }).fill(script);
  await main_button(page, 'Sign in').click();
  await see(page, 'do not fit together');
  expect((await page.title()) !== 'taken', 'what is typed is text');
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
  expect(!/ck_|cs_|signed_in/.test(kept), `nothing refused is kept: ${kept}`);
  // A way back that leads elsewhere is not taken.
  for (const back of ['https://evil.example/', '//evil.example/', '/\\evil.example', 'javascript:alert(1)']) {
    await sign_in(page, world, world.provider_key, back);
    expect(page.url().startsWith(world.base + '/provider'), `after signing in: ${page.url()}`);
    await main_button(page, 'Sign out').click();
    await page.waitForURL('**/sign-in');
  }
}

/** An account's owner proves a wallet and signs in with it; no page but that wallet's may reach its bridge. */
export async function wallet_story(page, world) {
  const manifest = await (await fetch(world.base + '/tonconnect-manifest.json')).json();
  expect(manifest.url === world.base, `wallets are told where we are: ${manifest.url}`);
  expect((await fetch(manifest.iconUrl)).headers.get('content-type') === 'image/png', 'and what we look like');
  for (const [path, reaches] of [
    ['/wallet/tonkeeper/sign-in', true],
    ['/wallet/tonhub/sign-in', false],
    ['/sign-in', false],
    ['/developer', false],
  ]) {
    const policy = (await fetch(world.base + path)).headers.get('content-security-policy');
    expect(policy.includes(bridge) === reaches, `${path}: ${policy}`);
  }

  const wallet = await new TestWallet().attach(page);
  await sign_in(page, world, world.developer_key);
  await page.goto(world.base + '/developer/profile');
  await main_button(page, 'Prove a wallet').click();
  await page.getByRole('dialog').getByRole('link', { name: 'Tonkeeper', exact: true }).click();
  await see(page, 'Prove your Tonkeeper');
  await page.getByLabel('Management key').fill(world.developer_key);
  await page.getByLabel('Send my payouts to this wallet').uncheck();
  await main_button(page, 'Continue').click();
  await wallet.refuse(page);
  await see(page, 'You refused it in the wallet');
  await main_button(page, 'Continue').click();
  await wallet.agree(page);
  await see(page, 'The wallet is proven to be yours');
  expect(wallet.heard.includes('disconnect'), 'the wallet is told goodbye');
  await main_button(page, 'Back').click();
  await page.waitForURL('**/developer/profile');
  await see(page, address);

  await main_button(page, 'Sign out').click();
  await page.goto(world.base + '/sign-in');
  await main_button(page, 'Wallet').click();
  await page.getByRole('link', { name: 'Tonkeeper', exact: true }).click();
  await see(page, 'Sign in with Tonkeeper');
  await wallet.refuse(page);
  await see(page, 'You refused it in the wallet');
  await main_button(page, 'Ask again').click();
  await wallet.agree(page);
  await page.waitForURL('**/developer');
  await page.locator('.desk').waitFor();
}
