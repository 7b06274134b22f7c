// Nothing of the user's is lost: what res did not make, or what was changed since, is neither replaced nor removed.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { evilImage, evilTars } from '../rig/evil.js';
import { compress } from '../rig/images.js';
import { runFolder } from '../rig/places.js';
import { seededBytes } from '../rig/random.js';
import { has, tool } from '../rig/tools.js';
import { atEnd, filesBelow, inode, openRelease, openScene, outcome, type Scene } from './engine-scene.js';

const MANIFEST = `res: 1
artifacts:
  words: { path: words.txt }
  other: { path: other.txt }
targets:
  one: { merge: [words, other], output: one.txt }
  two: { merge: [other, words], output: two.txt }
  both: { group: [one, two] }
default: [both]
`;
const open = (files: Readonly<Record<string, string>> = {}) =>
  openScene({ 'resources.yaml': MANIFEST, 'words.txt': 'words\n', 'other.txt': 'other\n', ...files });
const ONE = 'words\nother\n';
const TWO = 'other\nwords\n';

/** What a refused build must leave: no work was done. */
async function expectRefused(scene: Scene, name: string, args: readonly string[] = []): Promise<string> {
  const { status, stderr, stdout } = await scene.run(['build', ...args]);
  expect(status, stderr).toBe(1);
  expect(stderr).toContain(name);
  expect(stderr).toContain('error:');
  expect(stderr).not.toMatch(/^ {4}at /m);
  expect(`${stdout}${stderr}`).not.toMatch(/to run|: (made|restored|downloaded) /);
  return stderr;
}

describe('an output that was changed', () => {
  const changes: Readonly<Record<string, (path: string) => void>> = {
    'by content of another size': (path) => writeFileSync(path, 'mine'),
    'by content of the same size': (path) => writeFileSync(path, TWO),
    'by being cut': (path) => truncateSync(path, 3),
    'into a directory': (path) => {
      rmSync(path);
      mkdirSync(path);
      writeFileSync(join(path, 'inside'), 'mine');
    },
    'into a link': (path) => {
      rmSync(path);
      symlinkSync('../words.txt', path);
    },
  };
  it.each(Object.keys(changes))('%s is modified, and the build stops before any work', async (how) => {
    const scene = open();
    await scene.built();
    const one = scene.work.path('resources/one.txt');
    changes[how]?.(one);
    // There is other work to do, too.
    rmSync(scene.work.path('resources/two.txt'));
    const node = await scene.node('one');
    expect(node.state).toBe('modified');
    expect(node.reasons.map(({ code }) => code)).toEqual(['output-modified']);
    expect((await scene.run(['status', '--check'])).status).toBe(3);

    const stderr = await expectRefused(scene, 'resources/one.txt');
    expect(stderr).toContain('--overwrite');
    expect(scene.work.exists('resources/two.txt')).toBe(false);
    if (how === 'into a directory') expect(readFileSync(join(one, 'inside'), 'utf8')).toBe('mine');
    if (how === 'by content of another size') expect(readFileSync(one, 'utf8')).toBe('mine');
    if (how === 'into a link') expect(readFileSync(one, 'utf8')).toBe('words\n');

    await scene.built(['--overwrite']);
    expect(scene.work.text('resources/one.txt')).toBe(ONE);
    expect(scene.work.text('resources/two.txt')).toBe(TWO);
    expect(scene.work.text('words.txt')).toBe('words\n');
    expect((await scene.run(['build'])).stdout).toBe('up to date\n');
  });

  it('is left alone by a build that is not about it', async () => {
    const scene = open();
    await scene.built();
    scene.work.write('resources/one.txt', 'mine');
    rmSync(scene.work.path('resources/two.txt'));
    expect(outcome(await scene.built(['two'])).ran).toEqual(['two']);
    expect(scene.work.text('resources/one.txt')).toBe('mine');
  });

  it('and is asked for with -B is not lost either', async () => {
    const scene = open();
    await scene.built();
    scene.work.write('resources/one.txt', 'mine');
    await expectRefused(scene, 'resources/one.txt', ['-B']);
    expect(scene.work.text('resources/one.txt')).toBe('mine');
  });

  it('is not read as an input of another node', async () => {
    const scene = openScene({
      'resources.yaml': `res: 1
artifacts: { words: { path: words.txt } }
targets:
  one: { merge: [words, words], output: one.txt }
  two: { merge: [one, words], output: two.txt }
default: [two]
`,
      'words.txt': 'w\n',
    });
    await scene.built();
    scene.work.write('resources/one.txt', 'x\nx\n');
    rmSync(scene.work.path('resources/two.txt'));
    await scene.run(['build']);
    if (existsSync(scene.work.path('resources/two.txt')))
      expect(scene.work.text('resources/two.txt')).toBe('w\nw\nw\n');
    expect(scene.work.text('resources/one.txt')).toBe('x\nx\n');
  });

  it('stops the work on others too', async () => {
    const scene = open();
    await scene.built();
    scene.work.write('words.txt', 'new words\n');
    scene.work.write('resources/two.txt', 'mine');
    await expectRefused(scene, 'resources/two.txt');
    // Nothing was made for the node that was not in the way either.
    expect(scene.work.text('resources/one.txt')).toBe(ONE);
  });
});

describe('a file that res did not make', () => {
  it('stops the build before any work, and is replaced with --overwrite', async () => {
    const scene = open({ 'resources/two.txt': 'a thesis' });
    expect((await scene.node('two')).state).toBe('modified');
    await expectRefused(scene, 'resources/two.txt');
    expect(scene.work.text('resources/two.txt')).toBe('a thesis');
    expect(scene.work.exists('resources/one.txt')).toBe(false);
    await scene.built(['--overwrite']);
    expect(scene.work.text('resources/two.txt')).toBe(TWO);
  });

  it('several are named at once', async () => {
    const scene = open({ 'resources/one.txt': 'a', 'resources/two.txt': 'b' });
    const stderr = await expectRefused(scene, 'resources/one.txt');
    expect(stderr).toContain('resources/two.txt');
  });

  it('of the very content expected is taken over', async () => {
    const scene = await openRelease();
    const kernel = readFileSync(scene.amd64.assets[scene.amd64.kernel]?.path ?? '');
    scene.work.write('resources/kernel', kernel);
    const before = inode(scene.work.path('resources/kernel'));
    const result = await scene.built(['kernel']);
    expect(result.ok).toBe(true);
    expect(result.downloaded_bytes).toBe(0);
    expect(inode(scene.work.path('resources/kernel'))).toBe(before);
    expect((await scene.node('kernel')).state).toBe('fresh');
  });

  it('a directory at an output path is kept', async () => {
    const scene = open({ 'resources/one.txt/precious': 'mine' });
    await expectRefused(scene, 'resources/one.txt');
    expect(scene.work.text('resources/one.txt/precious')).toBe('mine');
    expect(scene.work.exists('resources/two.txt')).toBe(false);
  });

  it('a file where the folder of an output should be is kept', async () => {
    const scene = open({ resources: 'a file' });
    const { status, stderr } = await scene.run(['build']);
    expect(status).toBe(1);
    expect(stderr).toMatch(/resources.*a file is in the way|resources.*not a (folder|directory)/);
    expect(stderr).not.toMatch(/^ {4}at /m);
    expect(scene.work.text('resources')).toBe('a file');
  });

  it('comes into being while the build runs, and is not overwritten', async () => {
    const scene = openScene({
      'resources.yaml': `res: 1
artifacts: { slow: { url: SERVER } }
targets: { one: { merge: [slow, slow], output: one.txt } }
default: [one]
`,
    });
    const { startReleaseServer } = await import('../rig/release-server.js');
    const server = await startReleaseServer();
    atEnd(() => server.close());
    const file = await server.file('slow', Buffer.from('slow\n'));
    scene.work.write('resources.yaml', scene.work.text('resources.yaml').replace('SERVER', file.url));
    let go: () => void = () => undefined;
    const until = new Promise<void>((resolve) => {
      go = resolve;
    });
    server.faultAlways(file, { stall: { after: 0, until } });
    const run = scene.start(['build']);
    await server.until(({ state }) => state === 'stalled');
    scene.work.write('resources/one.txt', 'mine');
    go();
    const { status, stderr } = await run.result;
    expect(status, stderr).toBe(1);
    expect(stderr).toContain('one.txt');
    expect(scene.work.text('resources/one.txt')).toBe('mine');
    expect(scene.temporaries()).toEqual([]);
  });
});

describe('places that cannot be written', () => {
  it.skipIf(process.getuid?.() === 0)('a read-only output folder is an error that names it', async () => {
    const scene = open();
    mkdirSync(scene.work.path('resources'));
    chmodSync(scene.work.path('resources'), 0o555);
    const { status, stderr } = await scene.run(['build']);
    chmodSync(scene.work.path('resources'), 0o755);
    expect(status).toBe(1);
    expect(stderr).toMatch(/resources.*permission|permission.*resources/i);
    expect(stderr).not.toMatch(/^ {4}at /m);
  });

  it('an output folder that cannot be made is an error that names it', async () => {
    const scene = open();
    // Nobody may make a folder here, root included.
    scene.work.write('resources.yaml', `${MANIFEST}output-dir: /proc/res-test\n`);
    const { status, stderr } = await scene.run(['build']);
    expect(status).toBe(1);
    expect(stderr).toContain('/proc/res-test');
    expect(stderr).not.toMatch(/^ {4}at /m);
  });
});

describe('content from outside', () => {
  const archive = `res: 1
artifacts: { archive: { path: archive.tar } }
targets: { tree: { extract: archive, output: tree } }
default: [tree]
`;
  const outside = join(mkdtempSync(join(runFolder(), 'outside-')), 'target.txt');

  it.each([...evilTars(outside)])(
    'a tar that reaches outside (%s) is refused and leaves nothing',
    async (_, bytes) => {
      const scene = openScene({ 'resources.yaml': archive, 'archive.tar': bytes });
      const { status, stderr } = await scene.run(['build']);
      expect(status, stderr).toBe(1);
      expect(stderr).toMatch(/failed: tree: /);
      expect(stderr).not.toMatch(/^ {4}at /m);
      expect(existsSync(outside)).toBe(false);
      expect(scene.work.exists('resources/tree')).toBe(false);
      expect(scene.temporaries()).toEqual([]);
      expect((await scene.node('tree')).state).toBe('failed');
    },
  );

  it.skipIf(!has('qemu-img'))('an image that names a file of the host is refused', async () => {
    const secret = seededBytes('secret', 1 << 20);
    const scene = openScene({
      'resources.yaml': `res: 1
artifacts: { image: { path: in/evil.qcow2 } }
targets: { disk: { convert: image, to: raw, output: disk.raw } }
default: [disk]
`,
      secret,
      'in/readme': '',
    });
    await evilImage(scene.work.path('in'), scene.work.path('secret'), 'backing file');
    const { status, stderr } = await scene.run(['build']);
    expect(status).toBe(1);
    expect(stderr).toMatch(/failed: disk: .*backing file/);
    for (const path of filesBelow(scene.work.path('resources')))
      expect(readFileSync(path).includes(secret.subarray(0, 64))).toBe(false);
    expect(scene.work.exists('resources/disk.raw')).toBe(false);
  });

  const chain = `res: 1
artifacts: { parts: { path: "parts/*" } }
targets:
  merged: { merge: parts }
  plain: { decompress: merged }
  file: { extract: plain, member: data, output: data }
default: [file]
`;

  it.skipIf(!has('gzip', 'tar', 'split'))(
    'a damaged part is an error of the node that finds it, within a chain',
    async () => {
      const scene = openScene({
        'resources.yaml': chain,
        data: seededBytes('data', 300_000),
        'parts/.keep': '',
      });
      const { work } = scene;
      await tool(['tar', '-cf', 'data.tar', 'data'], { cwd: work.dir });
      await compress(work.path('data.tar'), 'gzip', work.path('data.tar.gz'));
      await tool(['split', '-b', '100000', 'data.tar.gz', 'parts/data.'], { cwd: work.dir });
      const sound = work.read('parts/data.ab');
      const damaged = Buffer.from(sound);
      damaged.fill(0xff, 50_000, 50_100);
      work.write('parts/data.ab', damaged);

      const result = await scene.build();
      expect(result.failed).toEqual(['plain']);
      // What streamed into it is not known to be whole, and has to be made again.
      expect(result.skipped).toEqual(['merged', 'file']);
      const { stderr } = await scene.run(['build']);
      expect(stderr).toMatch(/failed: plain: .*is not whole gzip data/);
      expect(stderr).not.toMatch(/^ {4}at /m);
      expect(work.exists('resources/data')).toBe(false);
      expect(scene.temporaries()).toEqual([]);
      expect((await scene.node('plain')).state).toBe('failed');

      work.write('parts/data.ab', sound);
      await scene.built();
      expect(work.read('resources/data').equals(work.read('data'))).toBe(true);

      // A part that is missing at the end.
      rmSync(work.path('parts/data.ad'), { force: true });
      rmSync(work.path('parts/data.ac'));
      const cut = await scene.build();
      expect(cut.failed).toEqual(['plain']);
      // What was there before is there still.
      expect(work.read('resources/data').equals(work.read('data'))).toBe(true);
    },
  );
});
