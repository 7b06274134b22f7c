// Pages that are files, in a real browser.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RecordedNode } from '../../src/model/build-record.js';
import { buildReport } from '../../src/report/build-report.js';
import { chromium, expectAccessible, type Opened, openPage } from '../rig/browser.js';
import { runRes } from '../rig/cli.js';
import { validator } from '../rig/schemas.js';
import { makeWorkspace, removeWorkspaces, type Workspace } from '../rig/workspace.js';
import { buildRecord, recorded } from './records.js';

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
    await expectAccessible(many.page, '.graph-view');
  });

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

describe.skipIf(chromium === undefined)('the report of a build', () => {
  let work: Workspace;
  let shown: Opened;
  beforeAll(async () => {
    work = makeWorkspace({ 'resources.yaml': SMALL, 'in/first.txt': 'first\n', 'in/second.txt': 'second\n' });
    await runRes(['build'], { cwd: work.dir });
    work.write('in/second.txt', 'second, otherwise\n');
    await runRes(['build'], { cwd: work.dir });
    shown = await openPage(await print(work, ['report'], 'page/report.html'));
  });

  it('has all its parts: graph, timeline, bytes, provenance, environment, changes', async () => {
    const { page, complaints } = shown;
    const titles = await page.locator('h2').allTextContents();
    expect(titles).toEqual([
      'Changes since the build before',
      'Graph',
      'Timeline',
      'Nodes',
      'Provenance of the outputs',
      'Sources',
      'Environment',
    ]);
    expect(await page.locator('.cards').textContent()).toMatch(/Nodes4.*Downloaded0 B.*Cache50 %/);
    const changes = page.locator('section[aria-labelledby=changes] tbody tr');
    expect(await changes.locator('td:nth-child(2)').allTextContents()).toEqual([
      'second',
      'joined',
      'copied',
    ]);
    expect(await page.locator('svg.timeline rect.critical').count()).toBe(2);
    expect(await page.locator('section[aria-labelledby=timeline] > p').textContent()).toMatch(
      /^Critical path: joined \(.*\) → copied \(.*\)$/,
    );
    const output = page.locator('details.node', { hasText: 'resources/joined.txt' });
    expect(await output.textContent()).toMatch(/sha256:[0-9a-f]{64}.*joined\.txt/);
    expect(await output.textContent()).toContain('both, <i>one</i> after the other');
    expect(await page.locator('section[aria-labelledby=sources] tbody tr').count()).toBe(2);
    expect(await page.locator('section[aria-labelledby=environment]').textContent()).toContain(
      process.version,
    );
    expect(complaints).toEqual([]);
  });

  it('leads from the name of a node to the node in the graph', async () => {
    const { page } = shown;
    await page.locator('section[aria-labelledby=nodes] a', { hasText: 'joined' }).click();
    expect(await page.locator('.details h3').textContent()).toBe('joined');
    await page.locator('svg.timeline g[data-node=copied]').click();
    expect(await page.locator('.details h3').textContent()).toBe('copied');
  });

  it('is accessible, light and dark', async () => {
    await expectAccessible(shown.page);
    await shown.page.emulateMedia({ colorScheme: 'dark' });
    await expectAccessible(shown.page);
    await shown.page.emulateMedia({ colorScheme: 'light' });
  });

  it('is printed whole: nothing closed, no tools of the screen', async () => {
    const { page } = shown;
    await page.evaluate(`dispatchEvent(new Event('beforeprint'))`);
    await page.emulateMedia({ media: 'print' });
    expect(await page.locator('details:not([open])').count()).toBe(0);
    expect(await page.locator('.toolbar').isVisible()).toBe(false);
    expect((await page.locator('svg#folded').getAttribute('viewBox'))?.startsWith('0 0 ')).toBe(true);
    // The width of A4 between its margins: nothing is cut off.
    await page.setViewportSize({ width: 680, height: 960 });
    const cut = `[...document.querySelectorAll('.scroll, main')].filter((part) => part.scrollWidth > part.clientWidth).length`;
    expect(await page.evaluate(cut)).toBe(0);
    expect((await page.pdf({ format: 'A4' })).length).toBeGreaterThan(10_000);
    await page.emulateMedia({ media: null });
    await page.setViewportSize({ width: 1200, height: 800 });
  });

  it('of a build that failed shows what the program said, and no time that it did not take', async () => {
    const bad = makeWorkspace({
      'resources.yaml':
        'res: 1\ntargets:\n  broken: { run: "echo trying; echo it cannot be >&2; exit 3", output: x }\n',
    });
    expect((await runRes(['build'], { cwd: bad.dir })).status).toBe(1);
    const { page, complaints } = await openPage(await print(bad, ['report'], 'page/report.html'));
    const wrong = await page.locator('section[aria-labelledby=errors]').textContent();
    expect(wrong).toMatch(/failed with exit status 3[\s\S]*\| trying\n\| it cannot be\n/);
    expect(await page.locator('section[aria-labelledby=nodes] tbody tr').first().textContent()).not.toContain(
      'ms',
    );
    expect(await page.locator('.stage g.box').first().textContent()).not.toContain('ms');
    expect(
      validator('build-record')(JSON.parse((await runRes(['report', '--json'], { cwd: bad.dir })).stdout)),
    ).toEqual([]);
    expect(
      validator('history')(JSON.parse((await runRes(['history', '--json'], { cwd: bad.dir })).stdout)),
    ).toEqual([]);
    expect(complaints).toEqual([]);
  });

  it('fits into a narrow window', async () => {
    const { page } = shown;
    await page.setViewportSize({ width: 400, height: 800 });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(400);
    // It is scrolled, and not pressed together until nobody can read it.
    expect(
      await page.locator('svg.timeline').evaluate((svg) => svg.getBoundingClientRect().width),
    ).toBeGreaterThan(600);
    await page.setViewportSize({ width: 1200, height: 800 });
  });

  it('lets no script run but its own, whatever is in it', async () => {
    const evil = '<img src=x onerror=alert(1)><script>alert(1)</script>';
    const bad = makeWorkspace({
      'resources.yaml': `res: 1\nname: ${JSON.stringify(evil)}\nartifacts:\n  a: { path: a.txt }\ntargets:\n  x: { copy: a, output: x, description: ${JSON.stringify(evil)}, verify: { sha256: "${'0'.repeat(64)}" } }\n`,
      'a.txt': evil,
    });
    expect((await runRes(['build'], { cwd: bad.dir })).status).toBe(1);
    const { page, complaints } = await openPage(await print(bad, ['report'], 'page/report.html'));
    expect(await page.locator('img, body script:not([type]):not(:last-of-type)').count()).toBe(0);
    expect(await page.locator('h1').textContent()).toContain(evil);
    expect(await page.locator('section[aria-labelledby=errors]').textContent()).toContain('checksum');
    expect(complaints).toEqual([]);
    // What is put in afterwards does not run either.
    await page.evaluate(
      `document.body.insertAdjacentHTML('beforeend', '<img src="data:," onerror="document.title = 1">')`,
    );
    await page.evaluate(`new Promise((done) => setTimeout(done, 50))`);
    expect(await page.title()).not.toBe('1');
  });

  it('of 500 nodes is there at once', async () => {
    const file = (i: number): RecordedNode => ({
      ...recorded(`file-${i}`, [], []),
      section: 'artifact',
      kind: 'path',
    });
    const made = (i: number): RecordedNode => ({
      ...recorded(`made-${i}`, [`file-${i}`], [[i, i + 7]]),
      output: `resources/${i}`,
      content: [{ name: String(i), digest: `sha256:${'0'.repeat(64)}`, size: i }],
    });
    const numbers = Array.from({ length: 250 }, (_, i) => i);
    const all = recorded(
      'all',
      numbers.map((i) => `made-${i}`),
      [[260, 300]],
    );
    const record = buildRecord([...numbers.map(file), ...numbers.map(made), all]);
    expect(validator('build-record')(record)).toEqual([]);
    work.write('page/large.html', await buildReport(record));
    const { page, complaints } = await openPage(pathToFileURL(work.path('page/large.html')).href);
    expect(await page.locator('.stage g.box').count()).toBe(3);
    expect(await page.locator('section[aria-labelledby=nodes] tbody tr').count()).toBe(501);
    expect(await page.locator('svg.timeline g[data-node]').count()).toBe(251);
    expect(await page.locator('details.node').count()).toBe(251);
    expect(complaints).toEqual([]);
  });
});
