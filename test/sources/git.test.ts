// `git` as a source: what an address and a ref may be, what is fetched of a commit, and what git says when it cannot.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Json } from '../../src/model/json.js';
import { createGitSource, gitSource } from '../../src/sources/git.js';
import { placesOf, repositoryName, submoduleAddress } from '../../src/sources/git-address.js';
import type { TreeEntry } from '../../src/sources/source.js';
import {
  type GitRepository,
  type GitServer,
  type GitServerOptions,
  gitRepository,
  gitServer,
} from '../rig/git.js';
import { runFolder } from '../rig/places.js';
import { bench, failure, tempDir } from './harness.js';

const source = createGitSource({ retries: 2, baseDelayMs: 1 });
const repositories: GitRepository[] = [];
const servers: GitServer[] = [];
afterEach(async () => {
  for (const one of repositories.splice(0)) one.remove();
  await Promise.all(servers.splice(0).map((one) => one.close()));
});

function repository(dir?: string): GitRepository {
  const made = gitRepository(dir);
  repositories.push(made);
  return made;
}

async function serve(options: GitServerOptions): Promise<GitServer> {
  const server = await gitServer(options);
  servers.push(server);
  return server;
}

/** A folder with the repository `images` in it, and a server of that folder. */
async function served(options: Omit<GitServerOptions, 'root'> = {}) {
  const root = realpathSync(mkdtempSync(join(runFolder(), 'gits-')));
  const images = repository(join(root, 'images'));
  const server = await serve({ root, ...options });
  return { images, server, url: `${server.url}/images` };
}

const recipe = (repo: string, ref = 'main', more: Record<string, Json> = {}) => ({
  git: { repo, ref, ...more },
});
const env = () => ({ PATH: process.env.PATH, HOME: tempDir() });

async function commitOf(repo: string, ref: string): Promise<string | undefined> {
  return (await source.resolve(recipe(repo, ref), bench().context(env()))).commit;
}

interface Taken {
  readonly tree: string;
  readonly bytes: number;
  /** By path: the content, `-> target`, or `/` of a folder; `*` before that of a program. */
  readonly files: Readonly<Record<string, string>>;
  readonly folder: string;
  readonly notices: readonly string[];
}

async function take(
  git: ReturnType<typeof recipe>,
  commit: string | undefined,
  options: {
    readonly folder?: string;
    readonly env?: Record<string, string | undefined>;
    readonly mirrors?: { from: string; to: string[] }[];
  } = {},
): Promise<Taken> {
  const notices: string[] = [];
  const folder = options.folder ?? join(tempDir(), 'fetching');
  const fetched = await source.tree?.fetch(
    git,
    { ...(commit === undefined ? {} : { commit }), files: [] },
    {
      ...bench().context({ ...env(), ...options.env }),
      mirrors: options.mirrors ?? [],
      folder,
      onPercent: () => undefined,
      onNotice: (message) => notices.push(message),
    },
  );
  if (!fetched) throw new Error('no tree');
  const files: Record<string, string> = {};
  for await (const entry of fetched.entries()) files[entry.name] = await shown(entry);
  return { tree: fetched.tree, bytes: fetched.downloadedBytes, files, folder, notices };
}

async function shown({ type, target, executable, content }: TreeEntry): Promise<string> {
  if (type === 'directory') return '/';
  if (type === 'symlink') return `-> ${target}`;
  const pieces: Uint8Array[] = [];
  for await (const piece of content()) pieces.push(piece);
  return `${executable ? '*' : ''}${Buffer.concat(pieces).toString('latin1')}`;
}

describe('the address of a repository', () => {
  it.each([
    ['https://github.com/a/linux.git', 'git:https://github.com/a/linux.git@v1'],
    ['https://me:secret@host.org/a/b', 'git:https://host.org/a/b@v1'],
    ['ssh://git@host.org:22/a/b.git', 'git:ssh://git@host.org:22/a/b.git@v1'],
    ['git@host.org:a/b.git', 'git:git@host.org:a/b.git@v1'],
    ['git://host.org/a', 'git:git://host.org/a@v1'],
    ['../up', 'git:file:../up@v1'],
    ['/srv/git/x', 'git:file:///srv/git/x@v1'],
    ['file:///srv/git/x', 'git:file:///srv/git/x@v1'],
  ])('%s is known as %s', (repo, identity) => {
    expect(gitSource.identity(recipe(repo, 'v1'))).toBe(identity);
  });

  it.each([
    'ext::sh -c touch% /tmp/x',
    'ext::sh',
    'fd::17',
    'ftp://a/b',
    '--upload-pack=touch',
    'ssh://-oProxyCommand=touch/x',
    '-oProxyCommand=x@host:y',
    'a/b',
    'ssh://me:secret@host/x',
    'https://',
  ])('may not be %s', (repo) => {
    const error = thrown(() => gitSource.check?.(recipe(repo)));
    expect(error).toMatchObject({ code: 'manifest-invalid' });
    expect(String(error)).not.toContain('secret');
  });

  it('as OWNER/NAME gets a hint', () => {
    expect(thrown(() => gitSource.check?.(recipe('a/b')))).toMatchObject({
      hint: "For GitHub's: https://github.com/a/b. For a folder: ./a/b.",
    });
  });

  it.each(['--all', 'a b', 'a..b', 'a^{tree}', 'main:refs/x', 'a*', 'x.lock', '/a', 'a//b', 'main~1'])(
    'a ref may not be %s',
    (ref) => {
      expect(thrown(() => gitSource.check?.(recipe('https://a.org/b', ref)))).toMatchObject({
        code: 'manifest-invalid',
      });
    },
  );

  it('gives the directory its name', () => {
    expect(
      ['https://a.org/x/linux-stable.git/', 'git@a.org:linux.git', 'file:../up', 'https://a.org/r?x=1'].map(
        repositoryName,
      ),
    ).toEqual(['linux-stable', 'linux', 'up', 'r']);
  });

  it('is asked after its mirrors', () => {
    const mirrors = [{ from: 'https://github.com/', to: ['https://m.org/gh/', 'file:///srv/'] }];
    expect(placesOf('https://github.com/a/b', mirrors)).toEqual([
      'https://m.org/gh/a/b',
      'file:///srv/a/b',
      'https://github.com/a/b',
    ]);
  });
});

describe('a submodule’s address', () => {
  it.each([
    ['https://a.org/x/top.git', '../lib.git', 'https://a.org/x/lib.git'],
    ['https://a.org/x/top', './lib', 'https://a.org/x/top/lib'],
    ['git@a.org:x/top.git', '../../y/lib', 'git@a.org:y/lib'],
    ['file:///srv/top', '../lib', 'file:///srv/lib'],
    ['file:///srv/top', '/srv/lib', 'file:///srv/lib'],
    ['https://a.org/top', 'https://b.org/lib', 'https://b.org/lib'],
    ['https://a.org/top', 'git@b.org:lib', 'git@b.org:lib'],
  ])('below %s, %s is %s', (parent, url, expected) => {
    expect(submoduleAddress(url, parent, 'sub')).toBe(expected);
  });

  it.each([
    ['https://a.org/top', 'ext::sh -c evil'],
    ['https://a.org/top', '/etc'],
    ['https://a.org/top', 'file:///etc'],
    ['https://a.org/top', '-u./evil'],
    ['https://a.org/top', 'ssh://-oProxyCommand=evil/x'],
    ['https://a.org/top', '../../../../x'],
    ['https://a.org/top', 'lib'],
  ])('below %s may not be %s', (parent, url) => {
    expect(thrown(() => submoduleAddress(url, parent, 'sub'))).toMatchObject({ code: 'unsafe-archive' });
  });
});

describe('a ref', () => {
  it('is a branch, a tag, an annotated tag’s commit, HEAD, refs/… or a full id', async () => {
    const one = repository();
    const first = one.commit({ a: '1' });
    one.git('tag', 'v1');
    one.git('tag', '-a', '-m', 'x', 'v1.1');
    const second = one.commit({ a: '2' });
    one.git('branch', 'side/v1', 'v1');
    expect(await commitOf(one.dir, 'main')).toBe(second);
    expect(await commitOf(one.dir, 'HEAD')).toBe(second);
    expect(await commitOf(one.dir, 'v1')).toBe(first);
    expect(one.id('v1.1')).not.toBe(first);
    expect(await commitOf(one.dir, 'v1.1')).toBe(first);
    expect(await commitOf(one.dir, 'refs/tags/v1.1')).toBe(first);
    expect(await commitOf(one.dir, 'refs/heads/side/v1')).toBe(first);
    expect(await commitOf('https://nobody.invalid/x', first.toUpperCase())).toBe(first);
    expect(source.asks?.(recipe('https://a.org/b', first))).toBe(false);
    expect(source.asks?.(recipe('https://a.org/b'))).toBe(true);
    expect(source.asks?.(recipe('../up'))).toBe(false);
  });

  it('that is both branch and tag is ambiguous, unless they are the same', async () => {
    const one = repository();
    one.commit({ a: '1' });
    one.git('tag', 'x');
    one.git('branch', 'x');
    expect(await commitOf(one.dir, 'x')).toBe(one.id('refs/tags/x'));
    one.git('checkout', '-q', 'refs/heads/x');
    one.git('checkout', '-q', '-B', 'x', 'refs/heads/x');
    one.commit({ a: '2' });
    const error = await failure(commitOf(one.dir, 'x'));
    expect(error).toMatchObject({ code: 'release-not-found' });
    expect(error.hint).toContain('refs/heads/x');
    expect(error.hint).toContain('refs/tags/x');
    expect(await commitOf(one.dir, 'refs/tags/x')).toBe(one.id('refs/tags/x'));
  });

  it('that is unknown, or a part of an id, is told with what could be meant', async () => {
    const one = repository();
    const commit = one.commit({ a: '1' });
    one.git('tag', 'v5.15.59');
    expect((await failure(commitOf(one.dir, 'v5.15.95'))).hint).toBe('Did you mean v5.15.59?');
    expect((await failure(commitOf(one.dir, 'zzzzzzzzz'))).hint).toBe('It has main, v5.15.59.');
    const short = await failure(commitOf(one.dir, commit.slice(0, 10)));
    expect(short.message).toContain('no full commit id');
    expect(short.hint).toContain(commit);
  });

  it('of what is no repository, is an error with its address', async () => {
    expect(await failure(commitOf(tempDir(), 'main'))).toMatchObject({ code: 'repo-not-found' });
  });

  it('needs git', async () => {
    const context = bench().context({ PATH: '/nowhere', HOME: '/nowhere' });
    const error = await failure(source.resolve(recipe('../x'), context));
    expect(error).toMatchObject({ code: 'tool-missing' });
    expect(error.hint).toContain('Install git');
  });
});

describe('a commit', () => {
  it('is its files as they are in the repository, whatever its attributes and its user’s settings say', async () => {
    const one = repository();
    const commit = one.commit({
      '.gitattributes':
        '* text eol=crlf\n*.id ident\n*.skip export-ignore\n*.f filter=evil\n*.u working-tree-encoding=UTF-16\n',
      'crlf.txt': 'a\nb\n',
      'x.id': '$Id$\n',
      'y.skip': 's',
      'z.f': 'raw',
      'bin/tool': { program: '#!/bin/sh\n' },
      'bin/link': { link: 'tool' },
      'empty.txt': '',
      'na me/ü "x"\t.txt': 'n',
    });
    const marks = tempDir();
    const home = tempDir();
    const hooks = join(home, 'hooks');
    mkdirSync(hooks);
    for (const hook of ['reference-transaction', 'post-checkout', 'post-merge']) {
      writeFileSync(join(hooks, hook), `#!/bin/sh\ntouch ${marks}/hook\n`);
      chmodSync(join(hooks, hook), 0o755);
    }
    writeFileSync(
      join(home, '.gitconfig'),
      `[core]\n autocrlf = true\n hooksPath = ${hooks}\n[filter "evil"]\n smudge = touch ${marks}/filter; cat\n required = true\n[fetch]\n recurseSubmodules = true\n`,
    );
    const { files, tree, folder } = await take(recipe(one.dir), commit, { env: { HOME: home } });
    expect(files).toEqual({
      '.gitattributes': expect.stringContaining('eol=crlf'),
      'crlf.txt': 'a\nb\n',
      'x.id': '$Id$\n',
      'y.skip': 's',
      'z.f': 'raw',
      'bin/tool': '*#!/bin/sh\n',
      'bin/link': '-> tool',
      'empty.txt': '',
      'na me/ü "x"\t.txt': 'n',
    });
    expect(tree).toBe(one.id('HEAD^{tree}'));
    expect(existsSync(join(marks, 'hook')) || existsSync(join(marks, 'filter'))).toBe(false);
    expect(existsSync(folder)).toBe(true);
  });

  it('is fetched without its history, over a socket', async () => {
    const { images, url } = await served();
    images.commit({ big: randomText(300_000) });
    const commit = images.commit({ small: 'x' });
    const { files, bytes } = await take(recipe(url), await commitOf(url, 'main'));
    expect(files).toEqual({ small: 'x' });
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThan(10_000);
    expect(await commitOf(url, 'main')).toBe(commit);
  });

  it('that no branch names any more is fetched by its id; an old server that refuses that is asked for all', async () => {
    const { images, url, server } = await served();
    images.git('config', 'uploadpack.allowAnySHA1InWant', 'false');
    const first = images.commit({ a: '1' });
    images.commit({ a: '2' });
    expect((await take(recipe(url), first)).files).toEqual({ a: '1' });
    const old = await serve({ root: join(images.dir, '..'), old: true });
    expect((await take(recipe(`${old.url}/images`), first)).files).toEqual({ a: '1' });
    expect((await take(recipe(`${old.url}/images`), images.id('main'))).files).toEqual({ a: '2' });
    expect(server.requests.length).toBeGreaterThan(0);
  });

  it('that is not there is an error that says so', async () => {
    const { images, url } = await served();
    images.commit({ a: '1' });
    const error = await failure(take(recipe(url), 'ab'.repeat(20)));
    expect(error).toMatchObject({ code: 'lock-mismatch' });
    expect(error.message).toContain('ab'.repeat(20));
    expect(error.hint).toContain('res update');
  });

  it('that was fetched before, and not put in its place, is not fetched again; half a one is', async () => {
    const { images, url, server } = await served();
    const commit = images.commit({ a: '1' });
    const folder = join(tempDir(), 'fetching');
    await take(recipe(url), commit, { folder });
    const asked = server.requests.length;
    const again = await take(recipe(url), commit, { folder });
    expect(server.requests.length).toBe(asked);
    expect(again).toMatchObject({ files: { a: '1' }, bytes: 0 });
    const [name = ''] = readdirSync(folder);
    rmSync(join(folder, name, 'refs', 'res', 'done'));
    writeFileSync(join(folder, name, 'shallow.lock'), '');
    expect((await take(recipe(url), commit, { folder })).files).toEqual({ a: '1' });
    expect(server.requests.length).toBeGreaterThan(asked);
  });

  it('whose packs were damaged on the disk is told, and fetched anew the next time', async () => {
    const one = repository();
    const commit = one.commit({ a: randomText(5000) });
    const folder = join(tempDir(), 'fetching');
    await take(recipe(one.dir), commit, { folder });
    const [name = ''] = readdirSync(folder);
    const packs = join(folder, name, 'objects', 'pack');
    for (const pack of readdirSync(packs).filter((file) => file.endsWith('.pack'))) {
      const bytes = readFileSync(join(packs, pack));
      bytes.fill(0, bytes.length - 1000, bytes.length - 100);
      chmodSync(join(packs, pack), 0o644);
      writeFileSync(join(packs, pack), bytes);
    }
    expect(await failure(take(recipe(one.dir), commit, { folder }))).toMatchObject({ code: 'corrupt-input' });
    expect((await take(recipe(one.dir), commit, { folder })).files.a).toHaveLength(5000);
  });
});

describe('ssh', () => {
  it('is the user’s: the program that GIT_SSH_COMMAND names, with the agent’s socket', async () => {
    const one = repository();
    const commit = one.commit({ a: '1' });
    const home = tempDir();
    writeFileSync(
      join(home, 'ssh'),
      '#!/bin/sh\necho "$SSH_AUTH_SOCK $1" >> "$HOME/called"\nshift\nexec sh -c "$*"\n',
    );
    chmodSync(join(home, 'ssh'), 0o755);
    const ssh = {
      HOME: home,
      GIT_SSH_COMMAND: join(home, 'ssh'),
      GIT_SSH_VARIANT: 'simple',
      SSH_AUTH_SOCK: '/agent',
    };
    expect((await take(recipe(`git@host.invalid:${one.dir}`), commit, { env: ssh })).files).toEqual({
      a: '1',
    });
    expect(readFileSync(join(home, 'called'), 'utf8')).toBe('/agent git@host.invalid\n');
  });

  it('that the user’s settings name is used too, and a key that is not taken is an error that says so', async () => {
    const home = tempDir();
    writeFileSync(
      join(home, 'ssh'),
      '#!/bin/sh\necho "git@host: Permission denied (publickey)." >&2; exit 255\n',
    );
    chmodSync(join(home, 'ssh'), 0o755);
    writeFileSync(join(home, '.gitconfig'), `[core]\n sshCommand = ${join(home, 'ssh')}\n`);
    const context = bench().context({ PATH: process.env.PATH, HOME: home });
    expect(await failure(source.resolve(recipe('git@host.invalid:x'), context))).toMatchObject({
      code: 'unauthorized',
      hint: expect.stringContaining('ssh-agent'),
    });
  });
});

describe('submodules', () => {
  it('are at the commits that the tree names when asked for, empty folders otherwise', async () => {
    const root = realpathSync(mkdtempSync(join(runFolder(), 'gits-')));
    const inner = repository(join(root, 'inner'));
    inner.commit({ deep: 'd' });
    const lib = repository(join(root, 'lib'));
    lib.commit({ l: '1' });
    lib.git('submodule', 'add', '-q', '../inner', 'in');
    lib.git('commit', '-qm', 's');
    const top = repository(join(root, 'top'));
    top.commit({ t: '1' });
    top.git('submodule', 'add', '-q', '../lib', 'third party/lib');
    top.git('commit', '-qm', 's');
    // Newer than what the tree names.
    lib.git('rm', '-q', 'l');
    lib.git('commit', '-qm', 'later');
    const server = await serve({ root });
    const url = `${server.url}/top`;
    const commit = top.id('HEAD');
    const gitmodules = expect.stringContaining('[submodule');
    expect(await take(recipe(url), commit)).toMatchObject({
      tree: top.id('HEAD^{tree}'),
      files: { '.gitmodules': gitmodules, t: '1', 'third party/lib': '/' },
    });
    const whole = await take(recipe(url, 'main', { submodules: true }), commit);
    expect(whole.tree).toBe(`${top.id('HEAD^{tree}')}+submodules`);
    expect(whole.files).toEqual({
      '.gitmodules': gitmodules,
      t: '1',
      'third party/lib': '/',
      'third party/lib/.gitmodules': gitmodules,
      'third party/lib/in': '/',
      'third party/lib/l': '1',
      'third party/lib/in/deep': 'd',
    });
    expect(gitSource.identity(recipe(url, 'main', { submodules: true }))).toBe(`git:${url}@main+submodules`);
  });

  it('that name a program or a folder of this machine are refused', async () => {
    const root = realpathSync(mkdtempSync(join(runFolder(), 'gits-')));
    const lib = repository(join(root, 'lib'));
    lib.commit({ l: '1' });
    const top = repository(join(root, 'top'));
    top.commit({ t: '1' });
    top.git('submodule', 'add', '-q', lib.dir, 'lib');
    top.git('commit', '-qm', 's');
    const server = await serve({ root });
    const wanted = recipe(`${server.url}/top`, 'main', { submodules: true });
    expect(await failure(take(wanted, top.id('HEAD')))).toMatchObject({ code: 'unsafe-archive' });
    top.git('config', '-f', '.gitmodules', 'submodule.lib.url', 'ext::sh -c touch% x');
    top.git('commit', '-qam', 'evil');
    expect((await failure(take(wanted, top.id('HEAD')))).hint).toContain('ext::sh');
    top.git('config', '-f', '.gitmodules', '--unset', 'submodule.lib.url');
    top.git('commit', '-qam', 'none');
    expect(await failure(take(wanted, top.id('HEAD')))).toMatchObject({ code: 'bad-format' });
  });
});

describe('a server', () => {
  it('that stumbles is asked again', async () => {
    const { images, url } = await served({ status: (request) => (request <= 2 ? 503 : undefined) });
    const commit = images.commit({ a: '1' });
    expect(await commitOf(url, 'main')).toBe(commit);
  });

  it('that goes on failing is a network error without end of patience', async () => {
    const { server, url } = await served({ status: () => 502 });
    const error = await failure(commitOf(url, 'main'));
    expect(error).toMatchObject({ code: 'network' });
    expect(error.message).toContain(url);
    expect(server.requests).toHaveLength(3);
  });

  it('that fails while it is fetched from is no server without the commit', async () => {
    const { images, server, url } = await served({ status: () => 503 });
    const error = await failure(take(recipe(url), images.commit({ a: '1' })));
    expect(error).toMatchObject({ code: 'network', message: expect.stringContaining('503') });
    expect(server.requests).toHaveLength(3);
  });

  it('that falls silent is given up after a while, whatever its protocol', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const address = silent.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    const once = createGitSource({ retries: 0, baseDelayMs: 1 });
    const context = bench().context({ ...env(), RES_STALL_TIMEOUT: '0.05' });
    const error = await failure(once.resolve(recipe(`git://127.0.0.1:${port}/x`), context));
    silent.close();
    expect(error).toMatchObject({ code: 'network', message: expect.stringContaining('stalled') });
  });

  it('that wants a login gets that of the address or of the user’s helper, and is never asked for at the terminal', async () => {
    const { images, server, url } = await served({ login: 'me:s3cret' });
    const commit = images.commit({ a: '1' });
    const refused = await failure(commitOf(url, 'main'));
    expect(refused).toMatchObject({ code: 'unauthorized' });
    expect(refused.hint).toContain('credential helper');
    const withLogin = url.replace('http://', 'http://me:s3cret@');
    const entry = await source.resolve(recipe(withLogin), bench().context(env()));
    expect(JSON.stringify(entry)).not.toContain('s3cret');
    expect(entry.commit).toBe(commit);
    const wrong = await failure(commitOf(url.replace('http://', 'http://me:wr0ng@'), 'main'));
    expect(JSON.stringify([wrong.message, wrong.hint, wrong.command])).not.toContain('wr0ng');
    const home = tempDir();
    writeFileSync(
      join(home, '.gitconfig'),
      '[credential]\n helper = "!f() { echo username=me; echo password=$TOKEN; }; f"\n',
    );
    const context = bench().context({ PATH: process.env.PATH, HOME: home, TOKEN: 's3cret' });
    expect((await source.resolve(recipe(url), context)).commit).toBe(commit);
    expect(server.requests.length).toBeGreaterThan(0);
  });

  it('that is a mirror is asked first, and the next one when it fails', async () => {
    const { images, server, url } = await served();
    const commit = images.commit({ a: '1' });
    const other = await serve({ root: join(images.dir, '..', 'nothing') });
    const mirrors = [{ from: 'https://upstream.invalid', to: [other.url, server.url] }];
    const taken = await take(recipe('https://upstream.invalid/images'), commit, { mirrors });
    expect(taken.files).toEqual({ a: '1' });
    expect(taken.notices.join('\n')).toContain('taking the next address');
    expect(other.requests.length).toBeGreaterThan(0);
    expect(url).toContain(server.url);
  });
});

/** Characters that compress badly, always the same. */
function randomText(length: number): string {
  let state = 1;
  return Array.from({ length }, () => {
    state = (state * 48271) % 2147483647;
    return String.fromCharCode(33 + (state % 90));
  }).join('');
}

function thrown(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}
