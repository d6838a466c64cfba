// Runs the stories on desktop and phone, then looks at every page in light and dark: axe for what a screen reader
// needs, a screenshot for people, faults of any kind as failures. Closes with "N passed, N failed".
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { open_browser, visit } from './browser.mjs';
import * as stories from './stories.mjs';
import { bridge } from './wallet.mjs';

const world = JSON.parse(process.env.COCOON_WORLD);
const pictures = process.env.COCOON_SCREENSHOTS;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const only = process.argv[2];
mkdirSync(pictures, { recursive: true });

let passed = 0;
let failed = 0;

async function test(name, run) {
  if (only && !new RegExp(only).test(name)) return;
  const begin = Date.now();
  try {
    await run();
    passed += 1;
    console.log(`ok      ${name} (${((Date.now() - begin) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}: ${error.message}`);
  }
}

const browser = await open_browser();

async function story(name, tell, size, more = {}) {
  await test(`${name}, ${size}`, async () => {
    const visitor = await visit(browser, world.base, { size, ...more });
    visitor.page.setDefaultTimeout(20_000);
    try {
      await tell(visitor.page, world);
    } catch (error) {
      await visitor.page.screenshot({ path: `${pictures}/FAILED ${name} ${size}.png` });
      throw error;
    } finally {
      await visitor.close();
    }
    if (visitor.faults.length > 0) throw new Error(visitor.faults.join('\n        '));
  });
}

for (const size of ['desktop', 'phone']) {
  await story('public', stories.public_story, size);
  await story('developer', stories.developer_story, size);
  await story('buyer', stories.buyer_story, size);
  await story('provider', stories.provider_story, size);
}
await story('live', stories.live_story, 'desktop');
await story('verify', stories.verify_story, 'desktop');
await story('verify', stories.verify_story, 'phone');
await story('solvency', stories.solvency_story, 'desktop');
await story('register', stories.register_story, 'desktop');
await story('admin', stories.admin_story, 'desktop');
await story('wallet', stories.wallet_story, 'desktop', { bridge });
await story('wallet', stories.wallet_story, 'phone', { bridge });
await story('stranger', stories.stranger_story, 'desktop');
await story('missing page', stories.missing_story, 'desktop');
await story('weight', stories.weight_story, 'desktop');

// ---- Every page, looked at ---------------------------------------------------------------------------------------

const market = `/markets/${encodeURIComponent('inference:' + world.model)}`;
const desks = {
  '': [
    '/',
    market,
    '/nodes',
    `/nodes/${world.node}`,
    '/join',
    '/measurements',
    '/measurements/meas_1',
    '/verify',
    '/solvency',
    '/sign-in',
    '/sign-up/developer',
    '/sign-up/provider',
    '/nothing-here',
  ],
  developer: [
    '',
    '/requests',
    '/jobs',
    `/jobs/${world.job}`,
    '/usage',
    '/keys',
    '/statement',
    '/payouts',
    '/webhooks',
    '/activity',
    '/profile',
    `/../verify?job=${world.job}`,
    '/../wallet/tonkeeper/proof',
    '/../wallet/tonkeeper/deposit',
  ],
  provider: [
    '',
    '/nodes',
    `/nodes/${world.node}`,
    '/offers',
    `/offers/${world.offer}`,
    '/earnings',
    '/jobs',
    '/payouts',
    '/statement',
    '/profile',
  ],
  admin: [
    '',
    '/timeline',
    '/health',
    '/markets',
    '/book',
    '/fee',
    '/nodes',
    '/measurements',
    '/denials',
    '/accounts',
    '/applications',
    '/ledger',
    '/deposits',
    '/payouts',
    '/settlement',
    '/audit',
  ],
};

async function look(page, where, name, heard) {
  await page.goto(world.base + where);
  await page.locator('main h1').first().waitFor();
  await page.locator('.skeleton').first().waitFor({ state: 'detached' });
  await page.evaluate(() => document.fonts.ready);
  await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true });
  const wide = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  if (wide > 0) throw new Error(`${where} is ${wide} px wider than the screen`);
  if (!heard) return;
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  const serious = found.violations.filter((one) => one.impact === 'serious' || one.impact === 'critical');
  if (serious.length > 0)
    throw new Error(
      `${where}: ` +
        serious
          .map(
            (one) =>
              `${one.id} ${one.nodes
                .slice(0, 3)
                .map((node) => node.target.join(' ') + ' ' + (node.any[0]?.message ?? ''))
                .join(' | ')}`,
          )
          .join('; '),
    );
}

for (const size of ['desktop', 'phone'])
  for (const light of ['light', 'dark'])
    for (const [desk, paths] of Object.entries(desks))
      await test(`looks: ${desk || 'public'}, ${size}, ${light}`, async () => {
        const visitor = await visit(browser, world.base, { size, light });
        const problems = [];
        try {
          if (desk) await stories.sign_in(visitor.page, world, world[`${desk}_key`]);
          for (const path of paths) {
            const where = desk ? `/${desk}${path}` : path;
            const name = `${desk || 'public'}${path.replace(/[^a-z0-9_]+/gi, '-').replace(/-$/, '')}`;
            // On the phone the light changes nothing that desktop has not shown.
            const heard = size === 'desktop' || light === 'light';
            await look(visitor.page, where, `${name} ${size} ${light}`, heard).catch((error) =>
              problems.push(error.message),
            );
          }
        } finally {
          await visitor.close();
        }
        problems.push(...visitor.faults);
        if (problems.length > 0) throw new Error(problems.join('\n        '));
      });

await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
