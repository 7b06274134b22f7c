// A source tree from a git repository through the whole of res: locked, built, updated, lost and found again.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type GitRepository,
  type GitServer,
  type GitServerOptions,
  gitRepository,
  gitServer,
} from '../rig/git.js';
import { runFolder } from '../rig/places.js';
import { makeWorkspace } from '../rig/workspace.js';
import { atEnd, filesBelow, outcome, type Scene, sceneIn } from './engine-scene.js';
import { expectDone, expectFailed, filesWith } from './site.js';

const MANIFEST = `res: 1
params:
  ref: { default: main }
artifacts:
  src: { git: { repo: REPO, ref: "\${ref}" }, output: src }
targets:
  readme: { copy: src, member: README, output: readme.txt }
  script: { template: set-up, values: { ROOT: /data }, output: set-up.sh }
  set-up: { copy: src, member: "**/set-up.tmpl" }
`;

const FILES = {
  README: 'read me\n',
  'scripts/set-up.tmpl': { program: `#!/bin/sh\necho <__ROOT__> \${HOME}\n` },
  'scripts/link': { link: '../README' },
};

interface GitScene extends Scene {
  readonly up: GitRepository;
}

/** A repository `up` beside the workspace, or what another address leads to. */
function scene(options: { repo?: string; manifest?: string; env?: Record<string, string> } = {}): GitScene {
  const up = gitRepository();
  atEnd(() => up.remove());
  up.commit(FILES);
  const repo = options.repo ?? up.dir;
  const work = makeWorkspace((options.manifest ?? MANIFEST).replaceAll('REPO', repo));
  atEnd(() => work.remove());
  return { ...sceneIn(work, { HOME: work.dir, ...options.env }), up };
}

/** The repository `images` behind a socket, and a workspace that has it from there. */
async function served(options: Omit<GitServerOptions, 'root'> & { login?: string } = {}) {
  const root = realpathSync(mkdtempSync(join(runFolder(), 'gits-')));
  const images = gitRepository(join(root, 'images'));
  images.commit(FILES);
  const server: GitServer = await gitServer({ root, ...options });
  atEnd(() => server.close());
  const host = options.login === undefined ? server.url : server.url.replace('//', `//${options.login}@`);
  return { images, server, scene: scene({ repo: `${host}/images` }) };
}

describe('a git artifact', () => {
  it('is a directory as it is in the repository, without .git, and locked by commit, tree and content', async () => {
    const { up, work, built, run, node } = scene();
    expect(outcome(await built(['src', 'readme', 'script']))).toEqual({
      ran: ['readme', 'script', 'set-up', 'src'],
    });
    expect(readdirSync(work.path('resources/src')).sort()).toEqual(['README', 'scripts']);
    expect(lstatSync(work.path('resources/src/scripts/set-up.tmpl')).mode & 0o777).toBe(0o755);
    expect(readlinkSync(work.path('resources/src/scripts/link'))).toBe('../README');
    expect(work.text('resources/readme.txt')).toBe('read me\n');
    expect(work.text('resources/set-up.sh')).toBe(`#!/bin/sh\necho /data \${HOME}\n`);
    expect(lstatSync(work.path('resources/set-up.sh')).mode & 0o777).toBe(0o755);
    const lock = work.text('resources.lock.yaml');
    expect(lock).toContain(`commit: ${up.id('main')}`);
    expect(lock).toContain(`tree: ${up.id('main^{tree}')}`);
    expect(lock).toMatch(/directory: "?[0-9a-f]{64}"?\n {8}size: 42\n/);
    expect(await node('src')).toMatchObject({ state: 'fresh' });
    const again = await run(['build']);
    expectDone(again);
    expect(again.stdout + again.stderr).toContain('up to date');
    expect(filesBelow(work.path('.res/partial'))).toEqual([]);
  });

  it('stays at its commit until `update`, which says what it was and is', async () => {
    const { up, work, built, run, node } = scene();
    const first = up.id('main');
    await built(['readme']);
    const second = up.commit({ ...FILES, README: 'new\n' });
    expect(outcome(await built(['readme'])).fresh).toContain('readme');
    const updated = await run(['update']);
    expectDone(updated);
    expect(updated.stdout).toContain(`commit ${first.slice(0, 12)} -> ${second.slice(0, 12)}`);
    expect(await node('readme')).toMatchObject({ state: 'stale' });
    expect(outcome(await built(['readme']))).toEqual({ ran: ['readme'], restored: ['src'] });
    expect(work.text('resources/readme.txt')).toBe('new\n');
    const unchanged = await run(['update', '--json']);
    expect(JSON.parse(unchanged.stdout).sources[0]).toMatchObject({ change: 'unchanged', details: [] });
  });

  it('of another ref with the same tree is not written down again, and nothing above it is made anew', async () => {
    const { up, work, built, node } = scene();
    await built(['src', 'readme']);
    up.commit(FILES);
    up.git('tag', 'v2');
    const result = await built(['src', 'readme', '--ref', 'v2']);
    expect(outcome(result)).toEqual({ ran: ['src'], fresh: ['readme'] });
    expect(work.text('resources.lock.yaml').match(/tree: /g)).toHaveLength(2);
    expect(await node('readme', ['--ref', 'v2'])).toMatchObject({ state: 'fresh' });
  });

  it('of another ref takes its place, and the old one comes back without a fetch', async () => {
    const { up, work, built } = scene();
    up.git('tag', 'v1');
    await built(['src', '--ref', 'v1']);
    up.commit({ README: 'two\n' });
    await built(['src']);
    expect(readdirSync(work.path('resources/src'))).toEqual(['README']);
    up.remove();
    expect(outcome(await built(['src', '--ref', 'v1']))).toEqual({ restored: ['src'] });
    expect(readdirSync(work.path('resources/src')).sort()).toEqual(['README', 'scripts']);
  });

  it('of a commit that was taken away is an error that says what to do', async () => {
    const { up, built, run, work } = scene();
    await built(['src']);
    up.git('checkout', '-q', '--orphan', 'other');
    up.commit({ README: 'forced\n' });
    up.git('branch', '-D', 'main');
    up.git('branch', '-m', 'main');
    up.git('reflog', 'expire', '--expire=now', '--all');
    up.git('gc', '-q', '--prune=now');
    execFileSync('rm', ['-rf', work.path('resources'), work.path('.res')]);
    expectFailed(await run(['build', 'src']), [/does not have the commit [0-9a-f]{40}/, /res update/]);
    expectDone(await run(['update']));
    expectDone(await run(['build', 'src']));
    expect(work.text('resources/src/README')).toBe('forced\n');
  });

  it('that was changed by hand is not overwritten; one that rotted is told by verify and put right', async () => {
    const { work, built, run, node } = scene();
    await built(['src']);
    writeFileSync(work.path('resources/src/README'), 'mine');
    expect(await node('src')).toMatchObject({ state: 'modified' });
    expectFailed(await run(['build', 'src']), [/resources\/src was changed by hand/]);
    expectDone(await run(['build', 'src', '--overwrite']));
    expect(work.text('resources/src/README')).toBe('read me\n');
    expectDone(await run(['verify']));
  });

  it('with a link that leads out of it is refused, and nothing of it is left', async () => {
    const { up, work, run, temporaries } = scene();
    up.commit({ evil: { link: '../../../etc/passwd' } });
    expectFailed(await run(['build', 'src']), [/"evil" is a symbolic link to ".*", outside/]);
    expect(existsSync(work.path('resources/src'))).toBe(false);
    expect(temporaries()).toEqual([]);
  });

  it('that a file is wanted of is named where a file is needed', async () => {
    const { run } = scene({
      manifest: `${MANIFEST}  wrong: { template: src, output: x }\n  none: { copy: src, member: READ*X, output: y }\n  file: { copy: readme, member: x, output: z }\n  many: { copy: src, member: "**", output: u }\n`,
    });
    expectFailed(await run(['build', 'wrong']), [/src is a directory, where a file is needed/, /copy: src/]);
    expectFailed(await run(['build', 'none']), [/has no file that matches "READ\*X"/, / {2}README/]);
    expectFailed(await run(['build', 'many']), [/matches more than one file/]);
    expectFailed(await run(['build', 'file']), [/is no directory/]);
  });

  it('is asked for by no network with --offline, and locked before with --frozen', async () => {
    const { images, server, scene: at } = await served();
    expectFailed(await at.run(['build', 'src', '--frozen']), [/--frozen/]);
    expectFailed(await at.run(['build', 'src', '--offline']), [/--offline/]);
    expect(server.requests).toEqual([]);
    await at.built(['src']);
    await at.built(['src', '--frozen', '--offline']);
    await at.run(['clean', '--all']);
    execFileSync('rm', ['-rf', at.work.path('resources'), at.work.path('.res')]);
    const asked = server.requests.length;
    expectFailed(await at.run(['build', 'src', '--offline']), [/--offline/]);
    expect(server.requests.length).toBe(asked);
    await at.built(['src', '--frozen']);
    expect(at.work.text('resources.lock.yaml')).toContain(images.id('main'));
  });

  it('of a repository on this machine needs no network', async () => {
    const { built } = scene();
    await built(['src', '--offline']);
  });

  it('is found at a path from the manifest’s folder, wherever that is', async () => {
    const at = scene({ manifest: MANIFEST.replace('REPO', './sub/repo') });
    const inside = gitRepository(at.work.path('sub/repo'));
    inside.commit({ README: 'inside\n' });
    await at.built(['readme']);
    expect(at.work.text('resources/readme.txt')).toBe('inside\n');
    expect(at.work.text('resources.lock.yaml')).toContain('url: file:./sub/repo');
  });
});

describe('a login in the address', () => {
  it('is used, and is nowhere afterwards', async () => {
    const { scene: at } = await served({ login: 'me:s3cret' });
    const events = await at.events(['src']);
    expect(JSON.stringify(events)).not.toContain('s3cret');
    expect(at.work.exists('resources/src/README')).toBe(true);
    expect(filesWith(at.work.path('.res'), 's3cret')).toEqual([]);
    expect(at.work.text('resources.lock.yaml')).not.toContain('s3cret');
    for (const args of [['status'], ['show', 'src'], ['list', '--json'], ['plan', '--json'], ['graph']])
      expect((await at.run(args)).stdout).not.toContain('s3cret');
  });

  it('that is refused is not shown', async () => {
    const { scene: at } = await served({ status: () => 401, login: 'me:s3cret' });
    const result = await at.run(['build', 'src']);
    expectFailed(result, [/Authentication failed/, /credential helper/]);
    expect(result.stderr).not.toContain('s3cret');
    expect(filesWith(at.work.path('.res'), 's3cret')).toEqual([]);
  });
});

describe('a build that is stopped while git fetches', () => {
  const hanging = () => served({ hangs: /git-upload-pack$/, status: () => undefined });

  it('by Ctrl-C ends git with it', async () => {
    const { scene: at, server } = await hanging();
    const run = at.start(['build', 'src']);
    await until(() => server.requests.some((path) => path.endsWith('git-upload-pack')));
    run.signal('SIGINT');
    expect((await run.result).status).toBe(130);
    expect(gitProcesses(server.url)).toEqual([]);
    expect(at.temporaries()).toEqual([]);
    expect(at.work.exists('resources')).toBe(false);
  });

  it('by kill -9 leaves no git, and the next one does the work', async () => {
    const { images, server, scene: at } = await served({ hangs: /git-upload-pack$/ });
    at.work.write('resources.lock.yaml', '');
    at.work.remove();
    const work = makeWorkspace(
      MANIFEST.replaceAll('REPO', `${server.url}/images`).replace(
        'default: main',
        `default: ${images.id('main')}`,
      ),
    );
    atEnd(() => work.remove());
    const again = sceneIn(work, { HOME: work.dir });
    const run = again.start(['build', 'src']);
    await until(() => server.requests.some((path) => path.endsWith('git-upload-pack')));
    await run.kill();
    await until(() => gitProcesses(server.url).length === 0);
    expect(work.exists('resources/src')).toBe(false);
    const whole = await gitServer({ root: join(images.dir, '..') });
    atEnd(() => whole.close());
    const mirrors = { RES_MIRRORS: `${server.url}=${whole.url}` };
    await again.built(['src'], { env: mirrors });
    expect(work.text('resources/src/README')).toBe('read me\n');
    expect(again.temporaries()).toEqual([]);
    expect(filesBelow(work.path('.res/partial'))).toEqual([]);
  });
});

/** Processes that have the address in their environment or arguments. */
function gitProcesses(url: string): readonly string[] {
  const found = execFileSync('sh', ['-c', `grep -lsaF '${url}' /proc/[0-9]*/environ || true`], {
    encoding: 'utf8',
  });
  return found
    .split('\n')
    .filter((path) => path !== '' && !path.includes(`/${process.pid}/`))
    .filter((path) => {
      const pid = path.split('/')[2] ?? '';
      return execFileSync('sh', ['-c', `tr '\\0' ' ' < /proc/${pid}/cmdline 2>/dev/null || true`], {
        encoding: 'utf8',
      }).includes('git');
    });
}

async function until(holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 8000; !holds(); ) {
    if (Date.now() > end) throw new Error('waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
