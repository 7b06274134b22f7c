// Strange surroundings: folders that may not be written to, file systems with other manners, clocks that go wrong, names
// that nobody expects, a process with little to live on. A build ends well, or in an error that says what is the matter.
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { RunResult } from '../rig/cli.js';
import { MAIN, RIG, runFolder } from '../rig/places.js';
import { seededBytes } from '../rig/random.js';
import { startReleaseServer } from '../rig/release-server.js';
import { canMount, mountSmallDisk } from '../rig/small-disk.js';
import { paxEntry, tarBytes } from '../rig/tar.js';
import { has, tool } from '../rig/tools.js';
import { atEnd, filesBelow, openScene, type Scene } from './engine-scene.js';
import { expectDone, expectFailed } from './site.js';

const isRoot = process.getuid?.() === 0;
const mounts = await canMount();
const isLong = process.env.RES_TEST_LONG === '1';

/** A long run takes all of them, a short one every so-manieth. */
function some<T>(all: readonly T[], every: number): readonly T[] {
  return isLong ? all : all.filter((_, i) => i % every === every - 1);
}

const MANIFEST = `res: 1
params: { v: { default: a, enum: [a, b] } }
artifacts:
  packed: { url: "file:in/\${v}.tar.gz" }
  text: { path: "in/\${v}.txt" }
targets:
  tree: { extract: packed, output: tree }
  file: { merge: [text, text], output: sub/file.txt }
default: [tree, file]
`;

const tar = (v: string) =>
  gzipSync(
    tarBytes([
      { name: 'top/', type: '5', mode: 0o755 },
      { name: 'top/one', body: `one ${v}` },
      { name: 'top/two', body: seededBytes(v, 5000), mode: 0o755 },
    ]),
  );

const FILES = {
  'resources.yaml': MANIFEST,
  'in/a.tar.gz': tar('a'),
  'in/b.tar.gz': tar('b'),
  'in/a.txt': 'text a\n',
  'in/b.txt': 'text b\n',
};

function expectVariant({ work }: Scene, v: string, outputs = 'resources'): void {
  expect(work.text(`${outputs}/sub/file.txt`)).toBe(`text ${v}\ntext ${v}\n`);
  expect(work.text(`${outputs}/tree/top/one`)).toBe(`one ${v}`);
  expect(work.read(`${outputs}/tree/top/two`).equals(seededBytes(v, 5000))).toBe(true);
}

/** What happens in the life of a workspace: built, switched, switched back, written to, given up, verified, cleaned. */
async function live(scene: Scene, env: Readonly<Record<string, string | undefined>> = {}): Promise<void> {
  const res = (line: string) => scene.run(line.split(' '), { env });
  expectDone(await res('build'));
  expectVariant(scene, 'a');
  expectDone(await res('build --v b'));
  expectVariant(scene, 'b');
  const back = await res('build --v a --json');
  expectDone(back);
  expect(JSON.parse(back.stdout).ran).toEqual([]);
  expectVariant(scene, 'a');
  expect((await res('build')).stdout).toBe('up to date\n');
  // At once after the build, and of the same size.
  scene.work.write('resources/sub/file.txt', 'TEXT A\nTEXT A\n');
  expectFailed(await res('build'), [/changed by hand/]);
  expectDone(await res('build --overwrite'));
  expectVariant(scene, 'a');
  expectDone(await res('verify'));
  expectDone(await res('clean --all'));
  expect(scene.work.exists('resources/tree')).toBe(false);
  expectDone(await res('build'));
  expectVariant(scene, 'a');
}

describe('a file system', () => {
  const strange = (scene: Scene, words: string) => ({
    NODE_OPTIONS: `--require=${join(RIG, 'strange-fs.cjs')}`,
    RES_STRANGE: words,
    RES_STRANGE_ROOT: scene.work.dir,
  });

  const kinds = [
    ['whose time stamps count in seconds', 'coarse=1'],
    ['like FAT: two seconds, no links, no syncing of folders', 'coarse=2,no-links,no-dir-sync'],
    ['like SMB: no open file is replaced', 'busy-open,no-links'],
    ['like NFS: a removed file holds its folder for a moment', 'silly=once'],
    ['like NFS: a removed file holds its folder for long', 'silly=always'],
  ] as const;
  // A file system with coarse time stamps takes its time.
  const coarse = isLong || !mounts;
  it.each(kinds.filter(([, words]) => coarse || !words.startsWith('coarse')))(
    '%s, works',
    { timeout: 60_000 },
    async (_name, words) => {
      const scene = openScene(FILES);
      await live(scene, strange(scene, words));
    },
  );

  it.each([
    ['where no file can be renamed onto another', 'no-replace=EEXIST'],
    ['where files that are there count as busy', 'no-replace=EBUSY'],
    ['where programs count as busy', 'no-replace=ETXTBSY'],
    ['whose handles have gone stale', 'stale'],
  ])('%s, works or says so, and spoils nothing', async (_name, words) => {
    const scene = openScene(FILES);
    const env = strange(scene, words);
    for (const v of ['a', 'b', 'a']) {
      const run = await scene.run(['build', '--v', v], { env });
      if (run.status === 0) expectVariant(scene, v);
      else expectFailed(run, [/EEXIST|ESTALE|in use|the way/]);
    }
    await scene.built();
    expectVariant(scene, 'a');
    expect((await scene.run(['verify'])).status).toBe(0);
  });

  it.skipIf(!mounts || !has('mkfs.ext3'))(
    'ext3, whose time stamps count in seconds',
    { timeout: 60_000 },
    async () => {
      const folder = mkdtempSync(join(runFolder(), 'ext3-'));
      const image = join(folder, 'image');
      const dir = join(folder, 'disk');
      mkdirSync(dir);
      spawnSync('truncate', ['-s', '24M', image]);
      await tool(['mkfs.ext3', '-q', '-F', '-I', '128', image]);
      await tool(['mount', '-o', 'loop', image, dir]);
      atEnd(async () => {
        await tool(['umount', dir]);
        rmSync(folder, { recursive: true });
      });
      await live(sceneAt(dir, FILES));
    },
  );
});

/** A scene in a folder that somebody else removes. */
function sceneAt(dir: string, files: Readonly<Record<string, string | Uint8Array>>): Scene {
  const scene = openScene({});
  const path = (...parts: readonly string[]) => join(dir, ...parts);
  const work: Scene['work'] = {
    dir,
    path,
    write(name, content) {
      mkdirSync(join(path(name), '..'), { recursive: true });
      writeFileSync(path(name), content);
    },
    read: (name) => readFileSync(path(name)),
    text: (name) => readFileSync(path(name), 'utf8'),
    exists: (name) => existsSync(path(name)),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
  for (const [name, content] of Object.entries(files)) work.write(name, content);
  return { ...scene, work, run: (args, o) => scene.run(['-C', dir, ...args], o) };
}

/** `res ARGS` as another user, who owns nothing. */
function asNobody(scene: Scene, args: readonly string[]): RunResult {
  const { status, signal, stdout, stderr } = spawnSync(
    'setpriv',
    ['--reuid', '65534', '--regid', '65534', '--clear-groups', '--', process.execPath, MAIN, ...args],
    {
      cwd: scene.work.dir,
      env: { PATH: process.env.PATH, HOME: '/nonexistent', NO_COLOR: '1', LANG: 'C.UTF-8' },
      encoding: 'utf8',
    },
  );
  return { status, signal, stdout, stderr, durationMs: 0 };
}

const canBeNobody =
  isRoot &&
  has('setpriv') &&
  spawnSync('setpriv', ['--reuid', '65534', '--clear-groups', '--', process.execPath, MAIN, '--version'], {
    cwd: '/',
  }).status === 0;

describe.skipIf(!canBeNobody)('a folder that may only be read', () => {
  /** Everything is the other user's own, but what is given. */
  function openOthers(...mine: readonly string[]) {
    // The folder of the test run is its user's alone.
    const dir = mkdtempSync(join(tmpdir(), 'res-others-'));
    chmodSync(dir, 0o755);
    atEnd(() => rmSync(dir, { recursive: true }));
    const scene = sceneAt(dir, FILES);
    for (const path of [dir, ...filesBelow(dir, true)]) chownSync(path, 65534, 65534);
    for (const name of mine) {
      mkdirSync(scene.work.path(name), { recursive: true });
      chownSync(scene.work.path(name), 0, 0);
      chmodSync(scene.work.path(name), 0o755);
    }
    return scene;
  }

  it('that of the outputs: an error that names it, before any work', async () => {
    const scene = openOthers('resources');
    expectFailed(asNobody(scene, ['build']), [/resources: permission denied/, /hint: .*owner and mode/]);
    chownSync(scene.work.path('resources'), 65534, 65534);
    expectDone(asNobody(scene, ['build']));
    expectVariant(scene, 'a');
  });

  it('`.res`: an error that names it; an up-to-date build, status and plan do without', async () => {
    const scene = openOthers('.res');
    expectFailed(asNobody(scene, ['build']), [/\.res.*: permission denied/, /hint: .*\.res/]);
    chownSync(scene.work.path('.res'), 65534, 65534);
    expectDone(asNobody(scene, ['build']));
    for (const path of [scene.work.path('.res'), ...filesBelow(scene.work.path('.res'), true)])
      chownSync(path, 0, 0);
    const again = asNobody(scene, ['build']);
    expectDone(again);
    expect(again.stdout).toBe('up to date\n');
    expectDone(asNobody(scene, ['status']));
    expectDone(asNobody(scene, ['plan']));
    expectFailed(asNobody(scene, ['build', '--v', 'b']), [/permission denied/, /hint: /]);
    expectFailed(asNobody(scene, ['clean']), [/permission denied/, /hint: /]);
    expectVariant(scene, 'a');
  });

  it('the whole: an error that names `.res`', async () => {
    const scene = openOthers();
    chownSync(scene.work.dir, 0, 0);
    chmodSync(scene.work.dir, 0o755);
    expectFailed(asNobody(scene, ['build']), [
      /cannot create the folder .*\.res: permission denied/,
      /hint: .*copy/,
    ]);
    expectDone(asNobody(scene, ['list']));
    expectDone(asNobody(scene, ['plan', '--offline']));
    expect(existsSync(scene.work.path('.res'))).toBe(false);
  });

  it.skipIf(!mounts)('on a file system that is read-only', async () => {
    const dir = mkdtempSync(join(runFolder(), 'ro-'));
    const scene = sceneAt(dir, FILES);
    expectDone(await scene.run(['build']));
    await tool(['mount', '--bind', dir, dir]);
    atEnd(async () => {
      await tool(['umount', dir]);
      scene.work.remove();
    });
    await tool(['mount', '-o', 'remount,bind,ro', dir]);
    expect((await scene.run(['build'])).stdout).toBe('up to date\n');
    expectFailed(await scene.run(['build', '--v', 'b']), [/read-only/, /hint: /]);
    expectFailed(await scene.run(['clean']), [/read-only/, /hint: /]);
    expectDone(await scene.run(['verify']));
  });
});

describe('an output path', () => {
  const one = (scene: Scene) => scene.work.path('resources/sub/file.txt');

  it.each([
    ['a directory', (path: string) => mkdirSync(path)],
    ['a link to elsewhere', (path: string) => symlinkSync('../../in/b.txt', path)],
    ['a link to nothing', (path: string) => symlinkSync('nothing', path)],
    ['a link to itself', (path: string) => symlinkSync('file.txt', path)],
    ['a FIFO', (path: string) => void spawnSync('mkfifo', [path])],
  ])('that is %s is not touched, and is replaced when that is asked for', async (_name, make) => {
    const scene = openScene(FILES);
    mkdirSync(scene.work.path('resources/sub'), { recursive: true });
    make(one(scene));
    const before = lstatSync(one(scene));
    const run = await scene.run(['build']);
    expectFailed(run, [/sub\/file\.txt was not made by res/, /--overwrite/]);
    expect(lstatSync(one(scene)).ino).toBe(before.ino);
    expectDone(await scene.run(['status']));
    expectDone(await scene.run(['build', '--overwrite']));
    expect(lstatSync(one(scene)).isFile()).toBe(true);
    expectVariant(scene, 'a');
    expect(scene.work.text('in/b.txt')).toBe('text b\n');
  });

  it('that is a socket is not touched, and is replaced when that is asked for', async () => {
    const scene = openScene(FILES);
    mkdirSync(scene.work.path('resources/sub'), { recursive: true });
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(one(scene), resolve));
    atEnd(() => void server.close());
    expectFailed(await scene.run(['build']), [/sub\/file\.txt was not made by res/]);
    expectDone(await scene.run(['build', '--overwrite']));
    expectVariant(scene, 'a');
  });

  it('below a file is an error that names the file', async () => {
    const scene = openScene({ ...FILES, 'resources/sub': 'a file' });
    expectFailed(await scene.run(['build']), [/resources\/sub/, /is a file|in the way/, /hint: /]);
    expect(scene.work.text('resources/sub')).toBe('a file');
    rmSync(scene.work.path('resources/sub'));
    expectDone(await scene.run(['build']));
  });

  it('below a link to nothing is an error, or is made', async () => {
    const scene = openScene(FILES);
    symlinkSync('nowhere', scene.work.path('resources'));
    expectFailed(await scene.run(['build']), [/resources/, /hint: /]);
    mkdirSync(scene.work.path('nowhere'));
    expectDone(await scene.run(['build']));
    expectVariant(scene, 'a');
  });

  it.skipIf(!mounts)(
    'on another file system, behind a link, lives as any other',
    { timeout: 60_000 },
    async () => {
      const folder = mkdtempSync(join(runFolder(), 'other-'));
      const disk = await mountSmallDisk(join(folder, 'disk'), 'tmpfs', 16 * 1024 * 1024);
      atEnd(async () => {
        await disk.close();
        rmSync(folder, { recursive: true });
      });
      mkdirSync(join(disk.dir, 'out'));
      const scene = openScene(FILES);
      symlinkSync(join(disk.dir, 'out'), scene.work.path('resources'));
      await live(scene);
      expect(filesBelow(disk.dir, true).filter((path) => path.includes('res-tmp'))).toEqual([]);
    },
  );
});

describe('time', () => {
  const shifted = (days: number) => ({
    NODE_OPTIONS: `--require=${join(RIG, 'strange-fs.cjs')}`,
    RES_STRANGE: `shift=${days * 86_400}`,
  });

  it.each(some([365, -365, 40_000, -20_000], 2))(
    'a clock that is off by %i days between two builds changes nothing',
    async (days) => {
      const scene = openScene(FILES);
      await scene.built();
      expect((await scene.run(['build'], { env: shifted(days) })).stdout).toBe('up to date\n');
      await scene.built(['--v', 'b'], { env: shifted(days) });
      expectVariant(scene, 'b');
      expect((await scene.built(['--v', 'a'])).ran).toEqual([]);
      expectVariant(scene, 'a');
      expect((await scene.run(['verify'], { env: shifted(days) })).status).toBe(0);
      expect((await scene.run(['build'])).stdout).toBe('up to date\n');
    },
  );

  it.each(['1970-01-01T00:00:00Z', '2037-12-31T00:00:00Z', '2105-01-01T00:00:00Z'])(
    'files from %s are judged by their content',
    async (date) => {
      const scene = openScene(FILES);
      const at = new Date(date);
      const touch = (name: string) => utimesSync(scene.work.path(name), at, at);
      for (const name of Object.keys(FILES)) touch(name);
      await scene.built();
      expectVariant(scene, 'a');
      touch('resources/sub/file.txt');
      touch('resources/tree/top/one');
      expect((await scene.run(['build'])).stdout).toBe('up to date\n');
      // As large as before, and of the same time.
      scene.work.write('in/a.txt', 'TEXT a\n');
      touch('in/a.txt');
      expect((await scene.built()).ran).toContain('file');
      expect(scene.work.text('resources/sub/file.txt')).toBe('TEXT a\nTEXT a\n');
      scene.work.write('resources/sub/file.txt', 'text A\ntext A\n');
      touch('resources/sub/file.txt');
      expectFailed(await scene.run(['build']), [/changed by hand/]);
    },
  );

  it('a state from the future is no lock that is never free', async () => {
    const scene = openScene(FILES);
    await scene.built();
    const future = new Date(Date.now() + 10 * 365 * 86_400_000);
    for (const path of filesBelow(scene.work.path('.res'))) utimesSync(path, future, future);
    await scene.built(['--v', 'b']);
    expectVariant(scene, 'b');
  });
});

const LONG = 'n'.repeat(200);
const NAMES: readonly (readonly [string, string])[] = [
  ['a space', 'with space'],
  ['spaces around', ' around '],
  ['a newline', 'new\nline'],
  ['a tab', 'a\ttab'],
  ['quotes', `it's "quoted" \`so\``],
  ['a leading dash', '-rf'],
  ['two leading dashes', '--help'],
  ['a percent sign', '100%41'],
  ['a colon', 'nbd:localhost:1'],
  ['braces of JSON', 'json:{"driver":"x"}'],
  ['an equals sign', 'json={}'],
  ['commas', 'a,file.driver=x,,b'],
  ['shell words', '$(touch x); & | > *?[a]'],
  ['a hash and a question mark', 'a#b?c'],
  ['a backslash', 'back\\slash'],
  ['composed letters', 'gr\u00fcn \u65e5\u672c'],
  ['decomposed letters', 'gru\u0308n'],
  ['a smile', '\u{1F600}'],
  ['a tilde', '~'],
  ['a leading dot', '.hidden'],
  ['200 bytes', LONG],
];

describe.skipIf(!has('qemu-img', 'mke2fs'))('a name with', () => {
  const text = (value: string) => JSON.stringify(value);

  it.each(some(NAMES, 3))('%s, of the folder and of outputs, members and the store', async (_what, name) => {
    const outer = openScene({});
    const folder = mkdtempSync(join(runFolder(), 'names-'));
    atEnd(() => rmSync(folder, { recursive: true, force: true }));
    const dir = join(folder, name);
    mkdirSync(dir);
    const image = Buffer.alloc(1024 * 1024);
    image.write('content');
    // An archive that has one in a name is refused.
    const inside = name.includes('\\') ? 'other' : name;
    const member = `top/${inside}/file`;
    const packed = gzipSync(tarBytes([paxEntry({ path: member }), { name: 'short', body: image }]));
    // Interpolation is the manifest's own; a name with a dollar is written as such.
    const quoted = (value: string) => text(value.replaceAll('$', '$$'));
    writeFileSync(
      join(dir, 'resources.yaml'),
      `res: 1
output-dir: ${quoted(`./${name}.out`.slice(0, 240))}
artifacts:
  packed: { path: packed.tar.gz }
  plain: { path: ${quoted(name === '~' || name === '--help' ? `./${name}` : name)} }
targets:
  raw: { extract: packed, member: "top/*/file", output: ${quoted(`${name}/raw`)} }
  qcow2: { convert: raw, from: raw, to: qcow2, output: ${quoted(`${name}/qcow2`)} }
  back: { convert: qcow2, to: raw, output: back }
  all-of-it: { extract: packed, output: tree }
  copy: { merge: [plain], output: copy }
default: [raw, back, all-of-it, copy]
`,
    );
    writeFileSync(join(dir, 'packed.tar.gz'), packed);
    writeFileSync(join(dir, name), 'plain');
    const store = join(folder, `store ${name}`.slice(0, 250));
    const run = (...args: string[]) => outer.run(args, { env: { RES_STORE: store, PWD: dir } });
    const at = ['-C', dir];
    expectDone(await run(...at, 'build'));
    const out = join(dir, `./${name}.out`.slice(0, 240));
    expect(readFileSync(join(out, name, 'raw')).equals(image)).toBe(true);
    expect(readFileSync(join(out, 'back')).equals(image)).toBe(true);
    expect(readFileSync(join(out, 'tree', 'top', inside, 'file')).equals(image)).toBe(true);
    expect(readFileSync(join(out, 'copy'), 'utf8')).toBe('plain');
    expect((await run(...at, 'build')).stdout).toBe('up to date\n');
    expectDone(await run(...at, 'verify'));
    const { stdout } = await run(...at, 'env');
    const shown = spawnSync('sh', ['-c', `${stdout}\nprintf %s "$RES_BACK"`], { encoding: 'utf8' });
    expect(shown.stdout).toBe(join(out, 'back'));
    expectDone(await run(...at, 'clean', '--all'));
    expect(filesBelow(out)).toEqual([]);
    expect(readFileSync(join(dir, name), 'utf8')).toBe('plain');
  });

  it.each(
    some(
      NAMES.filter(([, name]) => !/[\\/\n]/.test(name)),
      5,
    ),
  )('%s, of an asset', async (_what, name) => {
    const server = await startReleaseServer();
    atEnd(() => server.close());
    await server.release('lab/names', 'v1', { [name]: Buffer.from('asset') });
    const scene = openScene(
      {
        'resources.yaml': `res: 1\nartifacts: { one: { github: { repo: lab/names, release: v1, asset: "*" }, output: got/ } }\ndefault: [one]\n`,
      },
      { GITHUB_API_URL: server.apiUrl },
    );
    const run = await scene.run(['build']);
    expectDone(run);
    expect(filesBelow(scene.work.path('resources')).map((path) => readFileSync(path, 'utf8'))).toEqual([
      'asset',
    ]);
    expect((await scene.run(['build'])).stdout).toBe('up to date\n');
    expectDone(await scene.run(['verify']));
  });
});

describe('a path', () => {
  it.skipIf(!isLong)('that is very long works, or is an error that says so', async () => {
    const top = mkdtempSync(join(runFolder(), 'long-'));
    atEnd(() => rmSync(top, { recursive: true, force: true }));
    // The system's limit is 4096 bytes.
    let dir = top;
    while (dir.length + 201 < 3600) dir = join(dir, 'd'.repeat(200));
    mkdirSync(dir, { recursive: true });
    const scene = sceneAt(dir, FILES);
    await live(scene);
  });

  it('that is too long is an error that says so', async () => {
    const scene = openScene({
      ...FILES,
      'resources.yaml': MANIFEST.replace('sub/file.txt', 'x'.repeat(300)),
    });
    expectFailed(await scene.run(['build']), [/too long|name/i, /hint: /]);
  });
});

describe('a process', () => {
  const shell = (scene: Scene, line: string, env: Readonly<Record<string, string>> = {}): RunResult => {
    const { status, signal, stdout, stderr } = spawnSync('sh', ['-c', line, process.execPath, MAIN], {
      cwd: scene.work.dir,
      env: { PATH: process.env.PATH, HOME: scene.work.dir, NO_COLOR: '1', ...env },
      encoding: 'utf8',
      timeout: 20_000,
    });
    return { status, signal, stdout, stderr, durationMs: 0 };
  };

  it('with the umask 077 makes files for its user alone, and works', async () => {
    const scene = openScene(FILES);
    expectDone(shell(scene, 'umask 077; exec "$0" "$1" build'));
    expectVariant(scene, 'a');
    expect(lstatSync(scene.work.path('resources/sub/file.txt')).mode & 0o777).toBe(0o600);
    expect(shell(scene, 'umask 022; exec "$0" "$1" build').stdout).toMatch(/up to date|sub\/file\.txt/);
  });

  it('with the umask 777 fails with a reason, or works as root does', async () => {
    const scene = openScene(FILES);
    const run = shell(scene, 'umask 777; exec "$0" "$1" build');
    if (run.status === 0) expectVariant(scene, 'a');
    else expectFailed(run, [/hint: /]);
  });

  it.each(
    some(
      [
        ['HOME', { HOME: undefined }],
        ['PATH', { PATH: undefined }],
        ['a folder for temporary files', { TMPDIR: '/nonexistent/tmp' }],
        ['any environment', { HOME: undefined, PATH: undefined, TMPDIR: undefined, LANG: undefined }],
      ],
      4,
    ),
  )('without %s works', async (_what, env) => {
    await live(openScene(FILES), env);
  });

  it.each([
    ['standard input', '<&-'],
    ['standard output', '>&-'],
    ['standard error', '2>&-'],
    ['any of the three', '<&- >&- 2>&-'],
  ])('without %s works', async (_what, closed) => {
    const scene = openScene(FILES);
    expect(shell(scene, `exec "$0" "$1" build ${closed}`).status).toBe(0);
    expectVariant(scene, 'a');
    expect((await scene.run(['build'])).stdout).toBe('up to date\n');
    expectDone(await scene.run(['verify']));
  });

  it('whose standard output is full says so', async () => {
    const scene = openScene(FILES);
    const run = shell(scene, 'exec "$0" "$1" list > /dev/full');
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/what res prints cannot be written/);
  });

  it('whose reader goes away builds to the end', async () => {
    const scene = openScene(FILES);
    shell(scene, '"$0" "$1" build 2>&1 | true');
    expect((await scene.run(['build'])).status).toBe(0);
    expectVariant(scene, 'a');
  });

  it('with few open files allowed fetches and joins many parts', async () => {
    const server = await startReleaseServer();
    atEnd(() => server.close());
    const names = Array.from({ length: 120 }, (_, i) => `part.${String(i).padStart(3, '0')}`);
    const assets = Object.fromEntries(names.map((name) => [name, seededBytes(name, 3000)]));
    await server.release('lab/many', 'v1', assets);
    const scene = openScene({
      'resources.yaml':
        'res: 1\nartifacts: { parts: { github: { repo: lab/many, release: v1, asset: "part.*" } } }\ntargets: { whole: { merge: parts, output: whole } }\ndefault: [whole]\n',
    });
    const env = { GITHUB_API_URL: server.apiUrl };
    const run = await shellAsync(scene, 'ulimit -n 64; exec "$0" "$1" build', env);
    expectDone(run);
    expect(
      scene.work
        .read('resources/whole')
        .equals(Buffer.concat(names.map((name) => assets[name] ?? Buffer.alloc(0)))),
    ).toBe(true);
  });

  it.each(some([48, 64, 40], 3))(
    'with next to no open files (%i) works, or says that there are too few',
    async (limit) => {
      const scene = openScene(FILES);
      const run = shell(scene, `ulimit -n ${limit}; exec "$0" "$1" build`);
      if (run.status === 0) expectVariant(scene, 'a');
      else expectFailed(run, [/too many open files/, /ulimit -n/]);
      await scene.built();
      expectVariant(scene, 'a');
      expect(scene.temporaries()).toEqual([]);
    },
  );

  it('that may only write small files says so, and leaves nothing half-made', async () => {
    const big = seededBytes('file size', 3 * 1024 * 1024);
    const scene = openScene({
      'resources.yaml':
        'res: 1\nartifacts: { text: { path: big } }\ntargets: { twice: { merge: [text, text], output: twice } }\ndefault: [twice]\n',
      big,
    });
    // In blocks of 512 bytes: 1 MiB.
    const run = shell(scene, 'ulimit -f 2048; exec "$0" "$1" build');
    expectFailed(run, [/too large/i, /ulimit -f/]);
    expect(scene.work.exists('resources/twice')).toBe(false);
    await scene.built();
    expect(scene.work.read('resources/twice').equals(Buffer.concat([big, big]))).toBe(true);
    expect(scene.temporaries()).toEqual([]);
  });

  it('whose folder is gone says so', async () => {
    const scene = openScene(FILES);
    const run = shell(scene, 'mkdir gone && cd gone && rmdir ../gone && exec "$0" "$1" build');
    expectFailed(run, [/folder/, /hint: /]);
  });

  it('through a link to its folder works as in the folder', async () => {
    const scene = openScene(FILES);
    await scene.built();
    const link = `${scene.work.dir}-link`;
    symlinkSync(scene.work.dir, link);
    atEnd(() => rmSync(link));
    const run = await scene.run(['-C', link, 'build']);
    expect(run.stdout).toBe('up to date\n');
    renameSync(scene.work.path('in'), scene.work.path('in.real'));
    symlinkSync('in.real', scene.work.path('in'));
    expect((await scene.run(['build'])).stdout).toBe('up to date\n');
  });
});

/** As `shell`, for what needs a server of this process. */
function shellAsync(scene: Scene, line: string, env: Readonly<Record<string, string>>): Promise<RunResult> {
  const child = spawn('sh', ['-c', line, process.execPath, MAIN], {
    cwd: scene.work.dir,
    env: { PATH: process.env.PATH, HOME: scene.work.dir, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => {
      printed[name] += text;
    });
  return new Promise((resolve) => {
    child.on('close', (status, signal) => resolve({ status, signal, ...printed, durationMs: 0 }));
  });
}
