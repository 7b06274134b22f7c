// `res ui`: who may talk to its server, and the live page in a real browser.
import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chromium, expectAccessible, type Opened, openPage } from '../rig/browser.js';
import { type Run, runRes, startRes } from '../rig/cli.js';
import { makeWorkspace, type Workspace } from '../rig/workspace.js';
import { openSite, PART_SIZE, type Site } from './site.js';

interface Ui {
  readonly run: Run;
  /** With the token. */
  readonly url: URL;
  readonly origin: string;
  readonly token: string;
}

interface Place {
  readonly work: Workspace;
  readonly env?: Site['env'];
}

const running = new Set<Run>();
afterAll(async () => {
  for (const run of running) await run.kill();
});

async function startUi({ work, env = {} }: Place, args: readonly string[] = []): Promise<Ui> {
  const run = startRes(['ui', ...args], { cwd: work.dir, env, timeoutMs: 120_000 });
  running.add(run);
  await run.printed(/token=\S+\n/, { on: 'stdout' });
  const url = new URL(run.stdout.trim());
  return { run, url, origin: url.origin, token: url.searchParams.get('token') ?? '' };
}

/** Ctrl-C. */
async function end({ run }: Ui) {
  run.signal('SIGINT');
  const result = await run.result;
  running.delete(run);
  return result;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** With any headers, as another program sends them. */
function ask(
  { url, token }: Ui,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  body?: string,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const all = { authorization: `Bearer ${token}`, ...headers };
    const request = httpRequest(
      { host: '127.0.0.1', port: url.port, path, method: body === undefined ? 'GET' : 'POST', headers: all },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

const MANIFEST = `res: 1
name: one file
artifacts:
  a: { path: a.txt }
targets:
  out: { merge: [a, a], output: out.txt }
`;

describe('the server of res ui', () => {
  let ui: Ui;
  beforeAll(async () => {
    ui = await startUi({ work: makeWorkspace({ 'resources.yaml': MANIFEST, 'a.txt': 'a\n' }) });
  });

  it('listens on this machine only, and its address has a token', () => {
    expect(ui.url.hostname).toBe('127.0.0.1');
    expect(ui.token.length).toBeGreaterThanOrEqual(32);
  });

  it.each([
    ['without the token', { authorization: '' }],
    ['with another token', { authorization: 'Bearer x' }],
    ['by a name that leads here', { host: 'evil.example' }],
    ['by the right name with another port', { host: '127.0.0.1:1' }],
    ['from a page of another site', { origin: 'https://evil.example' }],
    ['from another server on this machine', { origin: 'http://127.0.0.1:1' }],
    ['from a page without an origin', { origin: 'null' }],
    ['from a page of another site, as the browser says', { 'sec-fetch-site': 'cross-site' }],
  ])('refuses what comes %s', async (_, headers) => {
    for (const path of ['/', '/events', '/graph', '/report', '/why?node=out', '/log?node=out'])
      expect((await ask(ui, path, headers)).status).toBe(403);
    for (const path of ['/build', '/stop']) {
      const json = { 'content-type': 'application/json', ...headers };
      expect((await ask(ui, path, json, '{"nodes":[]}')).status).toBe(403);
    }
  });

  it('takes orders as JSON only, of a bearable size, about nodes that are there', async () => {
    expect((await ask(ui, '/build', {}, '{"nodes":[]}')).status).toBe(400);
    const json = { 'content-type': 'application/json' };
    expect((await ask(ui, '/build', json, 'nodes')).status).toBe(400);
    expect((await ask(ui, '/build', json, '[]')).text).toBe('the request names no nodes');
    expect((await ask(ui, '/build', json, `{"nodes":["${'x'.repeat(70_000)}"]}`)).status).toBe(400);
    expect((await ask(ui, '/build', json, '{"nodes":["nothing"]}')).text).toBe('no node is called `nothing`');
    expect((await ask(ui, '/why?node=../x')).status).toBe(400);
    expect((await ask(ui, '/log?node=../../state/traces')).status).toBe(400);
    expect((await ask(ui, '/etc/passwd')).status).toBe(404);
    expect(await ask(ui, '/report')).toMatchObject({ status: 400, text: 'no build has left a record here' });
    expect((await ask(ui, '/why?node=out')).text).toMatch(/^out is stale: .*\n\nnever built$/s);
  });

  it('ends with Ctrl-C, and leaves nothing that runs', async () => {
    const { status, stderr } = await end(ui);
    expect({ status, stderr }).toEqual({
      status: 0,
      stderr: 'Ctrl-C ends it; a build that is under way is stopped then.\n',
    });
    await expect(ask(ui, '/')).rejects.toThrow();
  });

  it('says of a port that another program has that it is taken', async () => {
    const work = makeWorkspace({ 'resources.yaml': MANIFEST, 'a.txt': 'a\n' });
    const first = await startUi({ work });
    const second = await runRes(['ui', '--port', first.url.port], { cwd: work.dir });
    expect(second).toMatchObject({ status: 1, stdout: '' });
    expect(second.stderr).toMatch(
      /^error: cannot listen on port \d+: another program has it\n {2}hint: Without --port/,
    );
    await end(first);
  });
});

describe.skipIf(chromium === undefined)('the live page', () => {
  let site: Site;
  let ui: Ui;
  let opened: Opened;
  beforeAll(async () => {
    site = await openSite();
    ui = await startUi(site);
    opened = await openPage(ui.url.href, {}, [ui.origin]);
  });
  const box = (name: string) => opened.page.locator('.stage g.box', { hasText: name });
  const status = () => opened.page.locator('#status');

  it('shows the graph as it is, and why a node is in its state', async () => {
    const { page } = opened;
    await status().filter({ hasText: 'nothing was built yet' }).waitFor();
    expect(await box('data').getAttribute('class')).toContain('s-stale');
    await box('data').click();
    await page.locator('.details pre', { hasText: 'never built' }).waitFor();
    expect(await page.getByRole('button', { name: 'Stop' }).isDisabled()).toBe(true);
    expect(await page.locator('#report').isVisible()).toBe(false);
    expect(await box('data').textContent()).not.toContain('3.8 MiB');
    await expectAccessible(page);
  });

  it('starts a build, lights up what runs, shows how far it is, and stops it', async () => {
    const { page } = opened;
    site.server.faultAlways(site.part(), { stall: { after: PART_SIZE / 2 } });
    await page.getByRole('button', { name: 'Build data', exact: true }).first().click();
    await page.locator('.stage g.box.s-running', { hasText: 'parts' }).waitFor();
    const row = page.locator('#runs tbody tr', {
      has: page.getByRole('button', { name: 'parts', exact: true }),
    });
    await row.filter({ hasText: /of 3\.8 MiB/ }).waitFor();
    expect(await row.textContent()).toContain('download 4 files');
    expect(await page.getByRole('button', { name: 'Make all anew' }).isDisabled()).toBe(true);
    await expectAccessible(page);
    // A second page comes in the middle and knows all.
    const other = await openPage(ui.url.href, { colorScheme: 'dark' }, [ui.origin]);
    await other.page.locator('.stage g.box.s-running', { hasText: 'parts' }).waitFor();
    await other.page.locator('#runs tbody tr', { hasText: 'download 4 files' }).waitFor();
    await expectAccessible(other.page);
    await other.page.close();
    await page.getByRole('button', { name: 'Stop' }).click();
    await status().filter({ hasText: 'stopped; what is done stays' }).waitFor();
    expect(await page.locator('#runs tbody tr').count()).toBe(0);
    site.server.heal(site.part());
  });

  it('tells the end of a build, with states and log', async () => {
    const { page } = opened;
    await page.getByRole('button', { name: 'Build data', exact: true }).first().click();
    await status()
      .filter({ hasText: /^done: 2 ran; .* downloaded; / })
      .waitFor();
    expect(await box('data').getAttribute('class')).toContain('s-ran');
    expect(await page.locator('#log').textContent()).toMatch(/data: made 3\.8 MiB in /);
    expect(site.work.read('resources/data.bin').equals(site.data)).toBe(true);
  });

  it('shows afterwards how large everything is and why it is as it is, where the reader was', async () => {
    const { page } = opened;
    await box('data').filter({ hasText: '3.8 MiB' }).waitFor();
    expect(await box('data').getAttribute('class')).toMatch(/s-ran.*chosen|chosen.*s-ran/);
    await page.locator('.details pre', { hasText: 'data is fresh' }).waitFor();
    expect(await page.locator('.details dl').textContent()).toContain('3.8 MiB');
    await page.getByRole('button', { name: 'Zoom in' }).click();
    const view = () => page.locator('svg#folded').getAttribute('viewBox');
    const zoomed = await view();
    await box('data').focus();
    await page.getByRole('button', { name: 'Build data', exact: true }).last().press('Enter');
    await status().filter({ hasText: 'up to date' }).waitFor();
    expect(await view()).toBe(zoomed);
    await page.getByRole('button', { name: 'Fit' }).click();
  });

  it('leads to the report of the last build', async () => {
    const { page } = opened;
    const [report] = await Promise.all([
      page.waitForEvent('popup'),
      page.getByRole('link', { name: 'Report of the last build' }).click(),
    ]);
    expect(await report.locator('h1').textContent()).toMatch(/^Build report: /);
    expect(await report.locator('svg.timeline g[data-node=data]').count()).toBe(1);
    await report.close();
  });

  it('shows what went wrong, and goes on with the next build', async () => {
    const { page } = opened;
    site.work.write('resources/data.bin', 'by hand');
    await page.getByRole('button', { name: 'Build data', exact: true }).first().click();
    await status()
      .filter({ hasText: /^failed: .*was changed by hand/ })
      .waitFor();
    expect(await page.locator('#log .bad').first().textContent()).toContain('changed by hand');
    await box('data').filter({ hasText: 'modified' }).waitFor();
  });

  it('is loaded again when the manifest is another one', async () => {
    const { page } = opened;
    site.work.write(
      'resources.yaml',
      site.work.text('resources.yaml').replaceAll('data:', 'joined:').replace('[data]', '[joined]'),
    );
    await page.getByRole('button', { name: 'Build data', exact: true }).first().click();
    await box('joined').waitFor();
    await status()
      .filter({ hasText: /^(done|failed): / })
      .waitFor();
    expect(opened.complaints).toEqual([]);
  });

  it('says when res has ended', async () => {
    const { page } = opened;
    const { status: exit } = await end(ui);
    expect(exit).toBe(0);
    await status().filter({ hasText: 'res does not answer' }).waitFor();
    expect(await page.locator('.toolbar button:enabled', { hasText: 'Build' }).count()).toBe(0);
  });
});

it.skipIf(chromium === undefined)('the live page is of use with 500 nodes', async () => {
  const numbers = Array.from({ length: 250 }, (_, i) => i);
  const manifest = [
    'res: 1\nartifacts:',
    ...numbers.map((i) => `  file-${i}: { path: a.txt }`),
    'targets:',
    ...numbers.map((i) => `  made-${i}: { merge: [file-${i}, file-${(i + 1) % 250}], output: made/${i} }`),
    'default: [made-7, made-8]\n',
  ].join('\n');
  const work = makeWorkspace({ 'resources.yaml': manifest, 'a.txt': 'a\n' });
  const ui = await startUi(
    { work },
    numbers.map((i) => `made-${i}`),
  );
  const { page, complaints } = await openPage(ui.url.href, {}, [ui.origin]);
  await page.locator('.stage g.box', { hasText: '250 nodes: merge' }).click();
  await page.locator('.details').getByRole('button', { name: 'made-33 (stale)' }).click();
  await page.getByRole('button', { name: 'Build made-33' }).click();
  await page.locator('#status', { hasText: /^done: 1 ran/ }).waitFor();
  // The others are the same bytes, which are known by now.
  await page.locator('.stage g.box', { hasText: '1 ran, 249 cached' }).waitFor();
  await page.getByRole('button', { name: /^Unfold/ }).click();
  expect(await page.locator('.stage g.box').count()).toBe(500);
  expect(await page.locator('.stage g.box.s-ran').count()).toBe(1);
  expect(work.text('resources/made/33')).toBe('a\na\n');
  expect(complaints).toEqual([]);
  await end(ui);
});

it('a build under way is stopped by Ctrl-C, and its downloads are kept', async () => {
  const site = await openSite();
  site.server.faultAlways(site.part(), { stall: { after: PART_SIZE / 2 } });
  const ui = await startUi(site);
  const json = { 'content-type': 'application/json' };
  expect(await ask(ui, '/build', json, '{"nodes":[]}')).toEqual({ status: 202, text: 'begun' });
  expect((await ask(ui, '/build', json, '{"nodes":[]}')).text).toBe('a build is under way');
  await site.server.until(({ state }) => state === 'stalled');
  const { status, stderr } = await end(ui);
  expect(status).toBe(0);
  expect(stderr).toMatch(/stopping the build…\n$/);
  expect(site.work.exists('.res/partial')).toBe(true);
  expect(site.work.exists('resources/data.bin')).toBe(false);
  site.server.heal(site.part());
  expect((await site.res('build')).status).toBe(0);
});
