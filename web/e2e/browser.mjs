// A browser that watches while the stories run: whatever leaves the origin, breaks the page's policy or throws is a
// failure of the story that was running. Standard library and playwright-core, with the system's own Chromium.
import { chromium } from 'playwright-core';

export const sizes = { desktop: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };

export async function open_browser() {
  return chromium.launch({
    executablePath: process.env.COCOON_CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  });
}

/** A visitor with a screen, a light and a language of their own. `bridge`: of the wallet that they choose. */
export async function visit(browser, base, { size = 'desktop', light = 'light', bridge = null } = {}) {
  const context = await browser.newContext({
    viewport: sizes[size],
    colorScheme: light,
    locale: 'en-GB',
    isMobile: size === 'phone',
    hasTouch: size === 'phone',
    reducedMotion: 'reduce',
  });
  const faults = [];
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) =>
      console.error(
        `policy violated: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`,
      ),
    );
  });
  const page = await context.newPage();
  page.on('request', (request) => {
    const url = request.url();
    const chosen = bridge !== null && url.startsWith(bridge);
    if (!url.startsWith(base) && !url.startsWith('data:') && !url.startsWith('blob:') && !chosen)
      faults.push(`left the origin: ${url}`);
  });
  page.on('pageerror', (error) => faults.push(`threw: ${error.message}`));
  page.on('console', (message) => {
    // A refused request is in the console, too; the stories look for those themselves.
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text()))
      faults.push(`console: ${message.text()}`);
  });
  return { page, context, faults, close: () => context.close() };
}

export function expect(condition, what) {
  if (!condition) throw new Error(what);
}

/** Waits for text in the main part. */
export async function see(page, text) {
  await page.locator('main').getByText(text, { exact: false }).first().waitFor({ timeout: 15_000 });
}
