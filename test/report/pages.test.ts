// Pages that are files, in a real browser.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chromium, expectAccessible, type Opened, openPage } from '../rig/browser.js';
import { runRes } from '../rig/cli.js';
import { makeWorkspace, removeWorkspaces, type Workspace } from '../rig/workspace.js';

afterAll(removeWorkspaces);

const SMALL = `res: 1
name: small <b>images</b>
artifacts:
  first: { path: in/first.txt }
  second: { path: in/second.txt }
targets:
  joined: { merge: [first, second], output: joined.txt, description: 'both, <i>one</i> after the other' }
  copied: { copy: joined, output: copied.txt }
default: [copied]
`;

/** 225 files, a copy of each, each five of them merged, and all of that. */
function large(): string {
  const numbers = Array.from({ length: 225 }, (_, i) => String(i).padStart(3, '0'));
  const fives = numbers.filter((_, i) => i % 5 === 0);
  const copies = (first: string) => numbers.slice(Number(first), Number(first) + 5).map((n) => `copy-${n}`);
  return [
    'res: 1\nartifacts:',
    ...numbers.map((n) => `  part-${n}: { path: in.txt }`),
    'targets:',
    ...numbers.map((n) => `  copy-${n}: { copy: part-${n}, output: copies/${n} }`),
    ...fives.map((n) => `  joined-${n}: { merge: [${copies(n).join(', ')}], output: joined/${n} }`),
    `  all: { merge: [${fives.map((n) => `joined-${n}`).join(', ')}], output: all }`,
    'default: [all]\n',
  ].join('\n');
}

async function print(work: Workspace, args: readonly string[], file: string): Promise<string> {
  const { stdout, stderr, status } = await runRes(args, { cwd: work.dir });
  expect(status, stderr).toBe(0);
  const path = join(work.dir, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, stdout);
  return pathToFileURL(path).href;
}

describe.skipIf(chromium === undefined)('the page of a graph', () => {
  let small: Workspace;
  let shown: Opened;
  let many: Opened;
  beforeAll(async () => {
    small = makeWorkspace({
      'resources.yaml': SMALL,
      'in/first.txt': 'first\n',
      'in/second.txt': 'second\n',
    });
    const work = makeWorkspace({ 'resources.yaml': large(), 'in.txt': 'part\n' });
    shown = await openPage(await print(small, ['graph', '--format', 'html'], 'page/graph.html'));
    many = await openPage(await print(work, ['graph', '--format', 'html'], 'page/graph.html'), {
      colorScheme: 'dark',
    });
  });

  it('shows every node with its state, and what is known of one that is chosen', async () => {
    const { page, complaints } = shown;
    expect(await page.locator('h1').textContent()).toBe('Graph of small <b>images</b>');
    expect(await page.locator('svg#folded g.box').count()).toBe(4);
    await page.locator('g.box', { hasText: 'joined' }).click();
    const details = page.locator('.details');
    expect(await details.textContent()).toContain('never built');
    expect(await details.textContent()).toContain('both, <i>one</i> after the other');
    await details.getByRole('button', { name: 'first (fresh)' }).click();
    expect(await details.locator('h3').textContent()).toBe('first');
    expect(complaints).toEqual([]);
  });

  it('is gone through with the keyboard alone', async () => {
    const { page } = shown;
    await page.locator('g.box', { hasText: 'joined' }).focus();
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Enter');
    expect(await page.locator('.details h3').textContent()).toBe('copied');
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press(' ');
    expect(['first', 'second']).toContain(await page.locator('.details h3').textContent());
  });

  it('moves and zooms', async () => {
    const { page } = shown;
    const view = () => page.locator('svg#folded').getAttribute('viewBox');
    const before = await view();
    await page.getByRole('button', { name: 'Zoom in' }).click();
    const zoomed = await view();
    expect(zoomed).not.toBe(before);
    const stage = await page.locator('.stage').boundingBox();
    await page.mouse.move((stage?.x ?? 0) + 10, (stage?.y ?? 0) + 10);
    await page.mouse.down();
    await page.mouse.move((stage?.x ?? 0) + 90, (stage?.y ?? 0) + 50, { steps: 3 });
    await page.mouse.up();
    expect(await view()).not.toBe(zoomed);
    await page.getByRole('button', { name: 'Fit' }).click();
    expect(await view()).toBe(before);
  });

  it('folds 500 nodes to a few boxes, names all in one, and unfolds', async () => {
    const { page, complaints } = many;
    expect(await page.locator('.stage g.box').count()).toBe(4);
    await page.locator('g.box', { hasText: '225 nodes: copy' }).click();
    expect(await page.locator('.details li').count()).toBe(225);
    await page.getByRole('button', { name: /^Unfold/ }).click();
    expect(await page.locator('.stage g.box').count()).toBe(496);
    await page.getByRole('searchbox').fill('joined-105');
    expect(await page.locator('.found').textContent()).toBe('1 found');
    await page.getByRole('searchbox').press('Enter');
    const box = await page.locator('.stage g.box.chosen').boundingBox();
    const stage = await page.locator('.stage').boundingBox();
    expect(box && stage && box.y >= stage.y && box.y + box.height <= stage.y + stage.height).toBe(true);
    expect(await page.locator('.details h3').textContent()).toBe('joined-105');
    expect(complaints).toEqual([]);
  });

  it('is accessible, light and dark', async () => {
    await expectAccessible(shown.page);
    await page500();
  });

  async function page500() {
    await many.page.getByRole('searchbox').fill('');
    await many.page.getByRole('button', { name: /^Unfold/ }).click();
    await expectAccessible(many.page);
  }

  it('as an SVG file is drawn by the browser, with readable boxes', async () => {
    const { page, complaints } = await openPage(
      await print(small, ['graph', '--format', 'svg'], 'page/graph.svg'),
    );
    expect(await page.locator('svg > title').textContent()).toBe('Graph of small <b>images</b>');
    // No line of text is wider than its box.
    const wide = await page.evaluate(
      `[...document.querySelectorAll('g.box')].filter((box) => [...box.querySelectorAll('text')].some((text) => text.getBBox().width > box.querySelector('rect.face').getBBox().width - 4)).length`,
    );
    expect(wide).toBe(0);
    expect(complaints).toEqual([]);
  });
});
