// A real browser for tests of pages: the system's Chromium, headless, one a test file.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, expect } from 'vitest';
import { findProgram } from '../../src/plan/tools.js';

/** Undefined where there is none: its tests are left out then. */
export const chromium = ['chromium', 'chromium-browser', 'google-chrome']
  .map((name) => findProgram(name, process.env))
  .find((path) => path !== undefined);

let browser: Promise<Browser> | undefined;

afterAll(async () => {
  await (await browser)?.close();
  browser = undefined;
});

export interface Opened {
  readonly page: Page;
  /** What the page complained of so far: messages of the console, exceptions, requests to elsewhere. */
  readonly complaints: readonly string[];
}

/** A page in a window of its own. @param home what requests may begin with beside the address itself */
export async function openPage(
  url: string,
  options: BrowserContextOptions = {},
  home: readonly string[] = [],
): Promise<Opened> {
  browser ??= launch();
  const context = await (await browser).newContext({ viewport: { width: 1200, height: 800 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    if (![url, ...home].some((known) => request.url().startsWith(known)))
      complaints.push(`asks for ${request.url()}`);
  });
  await page.goto(url);
  return { page, complaints };
}

async function launch(): Promise<Browser> {
  if (chromium === undefined) throw new Error('there is no Chromium');
  const { chromium: driver } = await import('playwright-core');
  return driver.launch({ executablePath: chromium, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/**
 * Holds a page to the rules of WCAG 2.1, levels A and AA, as far as axe can.
 * @param part a selector: of a large page, all of it takes long
 */
export async function expectAccessible(page: Page, part = 'html'): Promise<void> {
  // By the debugger, which the page's own policy does not bind.
  await page.evaluate(axe);
  const found: unknown = await page.evaluate(
    `axe.run('${part}', { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] }).then(({ violations }) =>
      violations.map(({ id, help, nodes }) => id + ': ' + help + ' ' + nodes.slice(0, 3).map(({ html }) => html.slice(0, 160)).join(' | ')))`,
  );
  expect(found).toEqual([]);
}
