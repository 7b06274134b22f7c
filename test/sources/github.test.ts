import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/model/json.js';
import { githubSource } from '../../src/sources/github.js';
import type { SourceContext } from '../../src/sources/source.js';
import type { ReleaseServer } from '../rig/release-server.js';
import { bench, content, failure, said, server, sha256 } from './harness.js';

const REPO = 'vhive/vSwarm-u';
const wanted = (asset: string, release = 'v0.3.0'): JsonObject => ({
  github: { repo: REPO, release, asset },
});
const env = (s: ReleaseServer, more: SourceContext['env'] = {}) => ({ GITHUB_API_URL: s.apiUrl, ...more });
const resolve = (s: ReleaseServer, recipe: JsonObject, more: SourceContext['env'] = {}) =>
  githubSource.resolve(recipe, bench().context(env(s, more)));

async function released(assets: readonly string[], options?: Parameters<typeof server>[0]) {
  const s = await server(options);
  const bytes = Object.fromEntries(assets.map((name) => [name, content(100)]));
  const release = await s.release(REPO, 'v0.3.0', bytes);
  return { s, release, bytes };
}

describe('a release asset', () => {
  it('is named by repository, release and pattern; by the server too when the manifest names one', () => {
    expect(githubSource.identity(wanted('vmlinux-focal-amd64'))).toBe(
      'github:vhive/vSwarm-u@v0.3.0/vmlinux-focal-amd64',
    );
    const github = { repo: REPO, release: 'latest', asset: 'a', 'api-url': 'https://ghe.example/api/v3' };
    expect(githubSource.identity({ github })).toBe(
      'github(https://ghe.example/api/v3):vhive/vSwarm-u@latest/a',
    );
  });

  it('is found by its exact name, with tag, address, digest and size', async () => {
    const { s, release } = await released(['kernel', 'kernel.sums']);
    const asset = release.asset('kernel');
    expect(await resolve(s, wanted('kernel'))).toEqual({
      tag: 'v0.3.0',
      files: [{ name: 'kernel', url: asset.url, sha256: asset.sha256, size: 100 }],
    });
  });

  it('without a digest has none in the entry', async () => {
    const { s } = await released(['kernel'], { digests: false });
    expect((await resolve(s, wanted('kernel'))).files[0]).not.toHaveProperty('sha256');
  });

  it('by a glob is many, in code-unit order', async () => {
    const { s } = await released(['d.gz.ac', 'd.gz.aa', 'd.gz.ab', 'd.sums', 'D.gz.aa']);
    const { files } = await resolve(s, wanted('[dD].gz.*'));
    expect(files.map(({ name }) => name)).toEqual(['D.gz.aa', 'd.gz.aa', 'd.gz.ab', 'd.gz.ac']);
  });

  it('whose name has glob characters is found by that name', async () => {
    const { s } = await released(['a[1].img', 'a1.img']);
    expect((await resolve(s, wanted('a[1].img'))).files.map(({ name }) => name)).toEqual(['a[1].img']);
  });

  it('of the latest release is locked with its tag', async () => {
    const { s } = await released(['kernel']);
    await s.release(REPO, 'v0.4.0', { kernel: content(5) });
    await s.release(REPO, 'v0.5.0-rc1', { kernel: content(5) }, { prerelease: true });
    expect((await resolve(s, wanted('kernel', 'latest'))).tag).toBe('v0.4.0');
  });

  it('among more than thirty is found as well', async () => {
    const names = Array.from({ length: 130 }, (_, i) => `asset-${String(i).padStart(3, '0')}`);
    const { s } = await released(names);
    expect((await resolve(s, wanted('asset-*'))).files).toHaveLength(130);
  });

  it('costs one call a release, however many want one', async () => {
    const { s } = await released(['a', 'b', 'c']);
    const context = bench().context(env(s));
    await Promise.all(['a', 'b', 'c'].map((name) => githubSource.resolve(wanted(name), context)));
    expect(s.requests()).toHaveLength(1);
  });

  it('is found in a tag with a slash', async () => {
    const s = await server();
    await s.release(REPO, 'images/v1', { a: content(1) });
    expect((await resolve(s, wanted('a', 'images/v1'))).tag).toBe('images/v1');
  });
});

describe('an asset that cannot be had', () => {
  it('is compared with those that can', async () => {
    const { s } = await released(['vmlinux-focal-amd64', 'vmlinux-jammy-amd64', 'test-client-amd64']);
    const error = await failure(resolve(s, wanted('vmlinux-focal-amd46')));
    expect(error.code).toBe('asset-not-found');
    expect(error.hint).toContain('Did you mean vmlinux-focal-amd64?');
    expect(error.hint).toContain('test-client-amd64');
  });

  it('in a release of many lists twenty', async () => {
    const { s } = await released(Array.from({ length: 30 }, (_, i) => `asset-${i + 10}`));
    expect((await failure(resolve(s, wanted('zzzzzzzzzzzzzzz')))).hint).toContain('and 10 more');
  });

  it('is a missing part of a split file, by name', async () => {
    const { s } = await released(['d.gz.aa', 'd.gz.ac', 'd.gz.ad']);
    const error = await failure(resolve(s, wanted('d.gz.*')));
    expect(error.code).toBe('asset-not-found');
    expect(error.message).toContain('d.gz.ab');
  });

  it('is still being uploaded', async () => {
    const s = await server();
    await s.release(REPO, 'v0.3.0', { kernel: content(5) }, { unfinished: ['kernel'] });
    const error = await failure(resolve(s, wanted('kernel')));
    expect(error.code).toBe('asset-not-found');
    expect(error.message).toContain('still being uploaded');
  });

  it('has a tag that is not there: the nearest ones are named', async () => {
    const { s } = await released(['a']);
    for (const tag of ['v0.1.0', 'v0.2.0']) await s.release(REPO, tag, {});
    const error = await failure(resolve(s, wanted('a', 'v0.3.1')));
    expect(error.code).toBe('release-not-found');
    expect(error.hint).toContain('v0.3.0');
    expect(error.hint).toContain('v0.1.0');
    expect(s.requests()).toHaveLength(2);
  });

  it('is wanted of the latest release where all are pre-releases', async () => {
    const s = await server();
    await s.release(REPO, 'v1-rc', {}, { prerelease: true });
    const error = await failure(resolve(s, wanted('a', 'latest')));
    expect(error.code).toBe('release-not-found');
    expect(said(error)).toContain('v1-rc');
  });

  it('has no repository, or a private one: how to set a token is said', async () => {
    const { s } = await released(['a'], { tokens: ['good'] });
    s.makePrivate(REPO);
    const error = await failure(resolve(s, wanted('a')));
    expect(error.code).toBe('repo-not-found');
    expect(error.hint).toContain('GITHUB_TOKEN');
    expect(await resolve(s, wanted('a'), { GH_TOKEN: 'good' })).toMatchObject({ tag: 'v0.3.0' });
  });

  it('has a token that is wrong, which is not shown', async () => {
    const { s } = await released(['a'], { tokens: ['good'] });
    const error = await failure(resolve(s, wanted('a'), { GITHUB_TOKEN: 'ghp_bad' }));
    expect(error.code).toBe('unauthorized');
    expect(said(error)).toContain('GITHUB_TOKEN');
    expect(said(error)).not.toContain('ghp_bad');
  });

  it('is behind a rate limit: when it ends, and how to set a token', async () => {
    const { s } = await released(['a']);
    const reset = new Date(Date.now() + 1_800_000);
    s.rateLimit({ remaining: 0, reset });
    const error = await failure(resolve(s, wanted('a')));
    const two = (n: number) => String(n).padStart(2, '0');
    expect(error.code).toBe('rate-limited');
    expect(error.message).toContain(`${two(reset.getHours())}:${two(reset.getMinutes())}`);
    expect(error.message).toContain('60 requests');
    expect(error.hint).toContain('GITHUB_TOKEN');
    expect(s.requests()).toHaveLength(1);
  });

  it('is behind a second kind of limit', async () => {
    const { s } = await released(['a']);
    s.rateLimit({ remaining: 0, kind: 'secondary', retryAfter: 60 });
    const error = await failure(resolve(s, wanted('a')));
    expect(error.code).toBe('rate-limited');
    expect(error.message).toContain('60 s');
    expect(s.requests()).toHaveLength(1);
  });

  it('has an API address that is none', async () => {
    const context = bench().context({ GITHUB_API_URL: 'http://ann:hunter2@:80' });
    const error = await failure(githubSource.resolve(wanted('a'), context));
    expect(error.code).toBe('config-invalid');
    expect(error.message).not.toContain('hunter2');
    expect(error.hint).toContain('https://HOST/api/v3');
  });
});

describe('the bytes of an asset', () => {
  it('come from the public address; a token costs no API call', async () => {
    const { s, release, bytes } = await released(['a'], { tokens: ['good'] });
    const entry = { tag: 'v0.3.0', files: [{ name: 'a', url: release.asset('a').url }] };
    const b = bench();
    const [location] = await githubSource.locate(
      wanted('a'),
      entry,
      b.context(env(s, { GITHUB_TOKEN: 'good' })),
    );
    if (location === undefined) throw new Error('no location');
    expect(await b.fetch(location)).toMatchObject({ sha256: sha256(bytes.a ?? content(0)) });
    expect(s.requests().map(({ path }) => path)).toEqual([
      release.asset('a').downloadPath,
      release.asset('a').contentPath,
    ]);
    expect(s.requests().every(({ headers }) => headers.authorization === undefined)).toBe(true);
  });

  it('of a private repository come through the API, and the token stays there', async () => {
    const { s, release, bytes } = await released(['a'], { tokens: ['good'] });
    s.makePrivate(REPO);
    const entry = { tag: 'v0.3.0', files: [{ name: 'a', url: release.asset('a').url }] };
    const b = bench();
    const [location] = await githubSource.locate(
      wanted('a'),
      entry,
      b.context(env(s, { GITHUB_TOKEN: 'good' })),
    );
    if (location === undefined) throw new Error('no location');
    expect(await b.fetch(location)).toMatchObject({ sha256: sha256(bytes.a ?? content(0)) });
    const api = s.requests(release.asset('a').apiPath);
    expect(api[0]?.headers).toMatchObject({
      authorization: 'Bearer good',
      accept: 'application/octet-stream',
    });
    const stored = s.requests(release.asset('a').contentPath);
    expect(stored[0]?.origin).toBe('storage');
    expect(stored[0]?.headers.authorization).toBeUndefined();
  });

  it('of a private repository without a token: how to set one is said', async () => {
    const { s, release } = await released(['a'], { tokens: ['good'] });
    s.makePrivate(REPO);
    const entry = { tag: 'v0.3.0', files: [{ name: 'a', url: release.asset('a').url }] };
    const b = bench();
    const [location] = await githubSource.locate(wanted('a'), entry, b.context(env(s)));
    if (location === undefined) throw new Error('no location');
    const error = await failure(b.fetch(location));
    expect(error.code).toBe('http-status');
    expect(error.hint).toContain('GITHUB_TOKEN');
  });
});

describe('a token', () => {
  const headersFor = async (apiUrl: string | undefined, more: SourceContext['env']) => {
    const seen: Readonly<Record<string, string>>[] = [];
    const context: SourceContext = {
      ...bench().context({ GITHUB_TOKEN: 'secret', ...more }),
      http: {
        async getJson(_url, headers = {}) {
          seen.push(headers);
          return { status: 401, headers: {}, body: null };
        },
      },
    };
    const github = {
      repo: REPO,
      release: 'v1',
      asset: 'a',
      ...(apiUrl === undefined ? {} : { 'api-url': apiUrl }),
    };
    await failure(githubSource.resolve({ github }, context));
    return seen[0]?.authorization;
  };

  it('goes to the public API and to the server that the environment names', async () => {
    expect(await headersFor(undefined, {})).toBe('Bearer secret');
    expect(await headersFor(undefined, { GITHUB_API_URL: 'https://ghe.example/api/v3' })).toBe(
      'Bearer secret',
    );
    expect(await headersFor('https://ghe.example/api/v3', { GITHUB_API_URL: 'https://ghe.example/' })).toBe(
      'Bearer secret',
    );
  });

  it('goes to the public API when the variable that names another server is empty', async () => {
    expect(await headersFor(undefined, { GITHUB_API_URL: '' })).toBe('Bearer secret');
  });

  it('goes nowhere that only a manifest names, and nowhere in clear', async () => {
    expect(await headersFor('https://collector.example', {})).toBeUndefined();
    expect(await headersFor(undefined, { GITHUB_API_URL: 'http://ghe.example/api/v3' })).toBeUndefined();
  });

  it('goes to this machine', async () => {
    expect(await headersFor('http://127.0.0.1:8080', {})).toBe('Bearer secret');
    expect(await headersFor('http://localhost:8080', {})).toBe('Bearer secret');
  });
});
