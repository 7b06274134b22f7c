// What a user is told when GitHub says no, and where a token goes: to the host it is for, and into no file or line.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ReleaseServer, startReleaseServer } from '../rig/release-server.js';
import { makeWorkspace } from '../rig/workspace.js';
import {
  API_RELEASES,
  expectDone,
  expectFailed,
  filesWith,
  inFolder,
  KERNEL,
  MANIFEST,
  openServer,
  openSite,
  PART,
  REPO,
  type Site,
} from './site.js';

const TOKEN = 'ghp_0123456789SecretSecretSecret';

const kernelOf = (asset: string, release = 'v1', repo = REPO) =>
  `res: 1\nartifacts:\n  kernel: { github: { repo: ${repo}, release: ${release}, asset: "${asset}" }, output: kernel }\ndefault: [kernel]\n`;

function apiCalls(server: ReleaseServer): readonly string[] {
  return server.requests().flatMap(({ path }) => (path.startsWith('/repos/') ? [path] : []));
}

/** Nothing was made that the user did not have: no output, no lock. */
function expectUntouched({ work }: Pick<Site, 'work'>): void {
  expect(work.exists('resources')).toBe(false);
  expect(work.exists('resources.lock.yaml')).toBe(false);
}

describe('one API call', () => {
  it('finds all artifacts of a release', async () => {
    const site = await openSite();
    expectDone(await site.res('build data kernel'));
    expect(apiCalls(site.server)).toEqual([`${API_RELEASES}/tags/v1`]);
  });

  it('is not made when the lock has the answer', async () => {
    const site = await openSite();
    expectDone(await site.res('build kernel'));
    expectDone(await site.res('clean --all'));
    site.server.reset();
    expectDone(await site.res('build kernel'));
    expect(apiCalls(site.server)).toEqual([]);
  });
});

describe('the rate limit', () => {
  it('tells when it is lifted and how to get a higher one', async () => {
    const site = await openSite();
    const reset = new Date(Date.now() + 20 * 60_000);
    site.server.rateLimit({ remaining: 0, reset });
    const clock = `${String(reset.getHours()).padStart(2, '0')}:${String(reset.getMinutes()).padStart(2, '0')}`;
    const run = await site.res('build data kernel', { TZ: process.env.TZ });
    expectFailed(run, [
      /error: GitHub's limit of 60 requests an hour is used up/,
      `lifted at`,
      clock,
      /hint: .*GITHUB_TOKEN/,
    ]);
    // Said once, not once a node.
    expect(run.stderr.match(/used up/g)).toHaveLength(1);
    expectUntouched(site);
  });

  it('of the other sort tells how long to wait', async () => {
    const site = await openSite();
    site.server.rateLimit({ remaining: 0, kind: 'secondary', retryAfter: 45 });
    expectFailed(await site.res('build'), [/GitHub wants fewer requests/, /try again in 45 s/]);
    expectUntouched(site);
  });

  it('does not stand in the way of a token', async () => {
    const site = await openSite({ tokens: [TOKEN] });
    site.server.rateLimit({ remaining: 0, anonymousOnly: true });
    expectDone(await site.res('build', { GITHUB_TOKEN: TOKEN }));
  });

  it('does not stand in the way of a build whose sources are locked', async () => {
    const site = await openSite();
    expectDone(await site.res('build'));
    expectDone(await site.res('clean --all'));
    site.server.rateLimit({ remaining: 0 });
    expectDone(await site.res('build'));
  });
});

describe('names that GitHub does not know', () => {
  it('a tag: which ones there are, the nearest first', async () => {
    const site = await openSite();
    await site.server.release(REPO, 'v0.9', {});
    expectFailed(await site.res('build --version v11'), [
      /error: repository lab\/images has no release v11/,
      /hint: Did you mean v1\? There are: v1, v0\.9\./,
    ]);
    expectUntouched(site);
  });

  it('`latest` of a repository that has pre-releases only', async () => {
    const server = await openServer();
    await server.release(REPO, 'v1-rc1', { vmlinux: KERNEL }, { prerelease: true });
    const work = makeWorkspace(kernelOf('vmlinux', 'latest'));
    const { res } = inFolder(work, { GITHUB_API_URL: server.apiUrl });
    expectFailed(await res('build'), [/has no latest release/, /v1-rc1/]);
  });

  it('an asset: which ones there are, and which was meant', async () => {
    const site = await openSite({ manifest: kernelOf('vmlinuz') });
    expectFailed(await site.res('build'), [
      /error: no asset vmlinuz in release v1 of lab\/images/,
      /hint: Did you mean vmlinux\? It has: vmlinux, data\.bin\.aa/,
    ]);
    expectUntouched(site);
  });

  it('a pattern that no asset matches', async () => {
    const site = await openSite({ manifest: kernelOf('kernel-*') });
    expectFailed(await site.res('build'), [/no asset kernel-\* in release v1/, /It has: .*vmlinux/]);
  });

  it('a part in the middle that is missing, before gigabytes are merged in vain', async () => {
    const site = await openSite();
    site.release.remove(PART);
    expectFailed(await site.res('build'), [/a part seems to be missing in lab\/images v1: data\.bin\.ab/]);
    expect(site.server.requests().every(({ path }) => path.startsWith('/repos/'))).toBe(true);
  });

  it('an asset whose upload never ended', async () => {
    const server = await openServer();
    await server.release(REPO, 'v1', { vmlinux: KERNEL }, { unfinished: ['vmlinux'] });
    const { res } = inFolder(makeWorkspace(kernelOf('vmlinux')), { GITHUB_API_URL: server.apiUrl });
    expectFailed(await res('build'), [/asset vmlinux of lab\/images v1 is still being uploaded/]);
  });

  it('a repository', async () => {
    const site = await openSite({ manifest: kernelOf('vmlinux', 'v1', 'lab/imagse') });
    expectFailed(await site.res('build'), [
      /error: repository lab\/imagse was not found, or is private/,
      /GITHUB_TOKEN/,
    ]);
    expectUntouched(site);
  });

  it('several at once are all told', async () => {
    const site = await openSite({
      manifest: `res: 1\nartifacts:\n  a: { github: { repo: ${REPO}, release: v1, asset: aaa }, output: a }\n  b: { github: { repo: ${REPO}, release: v7, asset: vmlinux }, output: b }\ndefault: [a, b]\n`,
    });
    expectFailed(await site.res('build'), [/no asset aaa in release v1/, /no release v7/]);
  });
});

describe('a private repository', () => {
  it('without a token: how to set one', async () => {
    const site = await openSite({ tokens: [TOKEN] });
    site.server.makePrivate(REPO);
    expectFailed(await site.res('build'), [
      /repository lab\/images was not found, or is private/,
      /export GITHUB_TOKEN=/,
    ]);
    expectUntouched(site);
  });

  it.each(['GITHUB_TOKEN', 'GH_TOKEN'])('with %s: works, through the API', async (name) => {
    const site = await openSite({ tokens: [TOKEN] });
    site.server.makePrivate(REPO);
    expectDone(await site.res('build data kernel', { [name]: TOKEN }));
    expect(site.work.read('resources/data.bin').equals(site.data)).toBe(true);
    // What the API redirects to is another host: it gets the signed address and no token.
    const stored = site.server.requests().filter(({ origin }) => origin === 'storage');
    expect(stored).toHaveLength(5);
    for (const { headers } of stored) expect(headers.authorization).toBeUndefined();
  });

  it('that was locked with a token says so when the token is gone', async () => {
    const site = await openSite({ tokens: [TOKEN] });
    site.server.makePrivate(REPO);
    expectDone(await site.res('build kernel', { GITHUB_TOKEN: TOKEN }));
    expectDone(await site.res('clean --all'));
    expectFailed(await site.res('build kernel'), [
      /failed: kernel: .*not found, or not public/,
      /GITHUB_TOKEN/,
    ]);
  });

  it('with a bad token: that it is refused', async () => {
    const site = await openSite({ tokens: [TOKEN] });
    expectFailed(await site.res('build', { GITHUB_TOKEN: 'ghp_wrong' }), [
      /error: GitHub refuses the token \(status 401: Bad credentials\)/,
      /GITHUB_TOKEN or GH_TOKEN is wrong or has expired/,
    ]);
    expectUntouched(site);
  });
});

describe('a network that is not there', () => {
  it.concurrent('a port where nobody listens: which one, and that it was tried again', async () => {
    const gone = await startReleaseServer();
    const { apiUrl } = gone;
    await gone.close();
    const work = makeWorkspace(MANIFEST);
    const { res } = inFolder(work, { GITHUB_API_URL: apiUrl });
    expectFailed(await res('build'), [`error: ${apiUrl}/repos`, /refused the connection/, /hint: /]);
    expectUntouched({ work });
  });

  it.concurrent('a host that has no address', async () => {
    const work = makeWorkspace(MANIFEST);
    const { res } = inFolder(work, { GITHUB_API_URL: 'http://no-such-host.invalid' });
    expectFailed(await res('build'), [
      /could not resolve host no-such-host\.invalid/,
      /hint: Check the name/,
    ]);
    expectUntouched({ work });
  });

  it.concurrent('an API that answers with a page', async () => {
    const server = await openServer();
    const page = await server.file('login', Buffer.from('<html>Log in</html>'));
    await server.release(REPO, 'v1', {});
    server.faultAlways(`${API_RELEASES}/tags/v1`, { redirect: { url: page.url } });
    const { res } = inFolder(makeWorkspace(MANIFEST), { GITHUB_API_URL: server.apiUrl });
    expectFailed(await res('build'), [/the answer is not JSON/, /proxy or login page/]);
  });

  it.concurrent('an API with trouble of its own is asked again, and the user is told', async () => {
    const site = await openSite();
    site.server.fault(
      `${API_RELEASES}/tags/v1`,
      { status: 502, retryAfter: 0 },
      { status: 503, retryAfter: 0 },
    );
    const run = await site.res('build');
    expectDone(run);
    expect(run.stderr).toMatch(/status 502; again in/);
    expect(run.stderr).toMatch(/status 503; again in/);
  });

  it.concurrent('an API address that is none', async () => {
    const { res } = inFolder(makeWorkspace(MANIFEST), { GITHUB_API_URL: 'github.example' });
    expectFailed(await res('build'), [/GITHUB_API_URL is not an http or https URL: github\.example/], 2);
  });
});

describe('secrets', () => {
  /** Folders of a workspace whose every file is looked through. */
  const leaks = (site: Site, secret: string) => filesWith(site.work.dir, secret);

  it('a token, in whatever goes well or wrong, is in no line and in no file', async () => {
    const site = await openSite({ tokens: [TOKEN] });
    site.server.makePrivate(REPO);
    const env = { GITHUB_TOKEN: TOKEN };
    site.server.fault(site.part(), { cut: { after: 1000 } }, { status: 503, retryAfter: 0 });
    const runs = [await site.res('build -v data kernel', env)];
    site.server.fault(site.part('data.bin.aa'), { status: 404 });
    runs.push(await site.res('clean --all', env), await site.res('build -v --progress json', env));
    site.server.rateLimit({ remaining: 0 });
    for (const args of [
      'update -v',
      'show data --json',
      'why data',
      'list --json',
      'status --json',
      'env',
      'doctor --offline',
      'log data',
    ])
      runs.push(await site.res(args, env));
    for (const { stdout, stderr } of runs) {
      expect(stdout).not.toContain(TOKEN);
      expect(stderr).not.toContain(TOKEN);
    }
    expect(runs.map(({ status }) => status).slice(0, 2)).toEqual([0, 0]);
    expect(leaks(site, TOKEN)).toEqual([]);
    expect(readdirSync(join(site.work.dir, '.res')).length).toBeGreaterThan(4);
  });

  it('a refused token is not shown', async () => {
    const site = await openSite({ tokens: [TOKEN] });
    const { stdout, stderr } = await site.res('build -v', { GITHUB_TOKEN: 'ghp_NotTheRightOne' });
    expect(stdout + stderr).not.toContain('ghp_NotTheRightOne');
    expect(leaks(site, 'ghp_NotTheRightOne')).toEqual([]);
  });

  it('a token is not sent to a server that only the manifest names', async () => {
    const foreign = await openServer();
    await foreign.release(REPO, 'v1', { vmlinux: KERNEL });
    // Not this machine by its name: loopback addresses are the user's own.
    const api = foreign.apiUrl.replace('127.0.0.1', 'api.foreign.test');
    const work = makeWorkspace(
      `res: 1\nartifacts:\n  kernel: { github: { repo: ${REPO}, release: v1, asset: vmlinux, api-url: "${api}" }, output: kernel }\ndefault: [kernel]\n`,
    );
    // The server of the rig answers as the proxy that leads there.
    const { res } = inFolder(work, { GITHUB_TOKEN: TOKEN, HTTP_PROXY: foreign.url });
    const run = await res('build');
    expect(run.stdout + run.stderr).not.toContain(TOKEN);
    for (const { headers } of foreign.requests()) expect(JSON.stringify(headers)).not.toContain(TOKEN);
    expect(foreign.requests().length).toBeGreaterThan(0);
  });

  it('user info and signed queries of a URL are neither shown nor kept', async () => {
    const server = await openServer();
    const file = await server.file('tool.bin', KERNEL);
    const url = `${file.url.replace('http://', 'http://alice:Pa55word@')}?X-Amz-Signature=5ecret&X-Amz-Date=1`;
    const work = makeWorkspace(
      `res: 1\nartifacts:\n  tool: { url: "${url}", output: tool }\ndefault: [tool]\n`,
    );
    const { res } = inFolder(work, {});
    server.fault(file, { cut: { after: 500 } }, { status: 503, retryAfter: 0 });
    const runs = [await res('build -v')];
    expect(server.requests(file)[0]).toMatchObject({
      query: 'X-Amz-Signature=5ecret&X-Amz-Date=1',
      headers: { authorization: `Basic ${Buffer.from('alice:Pa55word').toString('base64')}` },
    });
    expectDone(await res('clean --all'));
    server.faultAlways(file, { status: 404 });
    for (const args of [
      'build -v',
      'update -v',
      'plan',
      'plan --json',
      'show tool',
      'show tool --json',
      'why tool',
      'status --json',
      'graph --json',
      'list --json',
      'build --progress json',
    ])
      runs.push(await res(args));
    expect(runs[0]?.status).toBe(0);
    expect(runs[1]?.status).toBe(1);
    for (const { stdout, stderr } of runs)
      for (const secret of ['Pa55word', '5ecret']) expect(`${stdout}\n${stderr}`).not.toContain(secret);
    for (const secret of ['Pa55word', '5ecret'])
      expect(filesWith(work.dir, secret)).toEqual([work.path('resources.yaml')]);
  });

  it('user info is not sent along a redirect to another host', async () => {
    const server = await openServer();
    const file = await server.file('tool.bin', KERNEL);
    server.faultAlways(file, { redirect: 'other-host' });
    const url = file.url.replace('http://', 'http://alice:Pa55word@');
    const { res } = inFolder(
      makeWorkspace(`res: 1\nartifacts:\n  tool: { url: "${url}", output: tool }\ndefault: [tool]\n`),
      {},
    );
    expectDone(await res('build'));
    const [first, second] = server.requests(file);
    expect(first?.headers.authorization).toBeDefined();
    expect(second?.origin).toBe('storage');
    expect(second?.headers.authorization).toBeUndefined();
  });
});
