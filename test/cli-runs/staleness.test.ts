// What is done again after a change, and why: by content, never by time; each case names all that runs.
import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fakeTool } from '../rig/fake-tool.js';
import { convertImage, splitFile, type VswarmRelease } from '../rig/images.js';
import { runFolder } from '../rig/places.js';
import { seededBytes } from '../rig/random.js';
import { has, tool } from '../rig/tools.js';
import {
  atEnd,
  filesBelow,
  inode,
  openRelease,
  openScene,
  outcome,
  REPO,
  type Scene,
} from './engine-scene.js';

const images = describe.skipIf(!has('qemu-img', 'mke2fs', 'tar'));
const OUTPUTS = ['kernel', 'client', 'disk-image.qcow2', 'disk-image.raw'];

const inodes = ({ work }: Scene) => OUTPUTS.map((name) => inode(work.path('resources', name)));
const edit = ({ work }: Scene, from: string | RegExp, to: string) => {
  const text = work.text('resources.yaml');
  const changed = text.replace(from, to);
  if (changed === text) throw new Error(`the manifest has no ${from}`);
  work.write('resources.yaml', changed);
};
const codes = async (scene: Scene, name: string) => (await scene.node(name)).reasons.map(({ code }) => code);

/** Assets of the same release with a few bytes of a file in the image changed; the tar is not compressed, so that one part differs. */
async function editedRelease(of: VswarmRelease) {
  const dir = mkdtempSync(join(runFolder(), 'edited-'));
  atEnd(() => rmSync(dir, { recursive: true, force: true }));
  const variant = async (name: string, change: (raw: Buffer) => void) => {
    const raw = readFileSync(of.raw);
    change(raw);
    writeFileSync(join(dir, `${name}.raw`), raw);
    await tool(['mkdir', '-p', join(dir, name, 'temp')]);
    const qcow2 = join(dir, name, 'temp/disk-image.qcow2');
    await convertImage({ path: join(dir, `${name}.raw`), format: 'raw' }, { path: qcow2, format: 'qcow2' });
    await tool([
      'tar',
      '-C',
      join(dir, name),
      '--mtime=@0',
      '-cf',
      join(dir, `${name}.tar`),
      'temp/disk-image.qcow2',
    ]);
    const parts = await splitFile(
      join(dir, `${name}.tar`),
      1 << 20,
      join(dir, name, of.sums.replace('.sums', '.tar.gz')),
    );
    writeFileSync(
      join(dir, name, of.sums),
      await tool(['sha256sum', 'temp/disk-image.qcow2'], { cwd: join(dir, name) }),
    );
    const others = Object.entries(of.assets).filter(([asset]) => !asset.startsWith('disk-image'));
    return {
      raw: join(dir, `${name}.raw`),
      parts: parts.map((path) => ({
        name: path.slice(path.lastIndexOf('/') + 1),
        bytes: readFileSync(path),
      })),
      assets: {
        ...Object.fromEntries(others),
        [of.sums]: { path: join(dir, name, of.sums) },
        ...Object.fromEntries(parts.map((path) => [path.slice(path.lastIndexOf('/') + 1), { path }])),
      },
    };
  };
  const data = seededBytes(`${of.version} ${of.os} ${of.arch} 0`, 4096);
  const before = await variant('before', () => undefined);
  const after = await variant('after', (raw) => {
    const at = raw.indexOf(data.subarray(0, 512));
    if (at < 0) throw new Error('the content is not in the image');
    raw.fill(0x55, at + 1024, at + 2048);
  });
  return { before, after };
}

images('of the vSwarm-u resources', () => {
  it('a new tag with the same bytes downloads nothing and runs nothing', async () => {
    const scene = await openRelease();
    const { server, amd64, built } = scene;
    await built();
    await server.release(REPO, 'v0.3.1', amd64.assets);
    const before = inodes(scene);
    server.reset();
    const result = await built(['--version', 'v0.3.1']);
    expect(outcome(result).ran).toBeUndefined();
    expect(outcome(result).restored).toBeUndefined();
    expect(result.downloaded_bytes).toBe(0);
    expect(inodes(scene)).toEqual(before);
    // The release was asked for, once, and nothing else.
    expect(server.requests().map(({ path }) => path)).toEqual([`/repos/${REPO}/releases/tags/v0.3.1`]);
  });

  it('a tag with the same bytes under other names of parts runs nothing', async () => {
    const scene = await openRelease();
    const { server, amd64, built } = scene;
    await built();
    const renamed = Object.entries(amd64.assets).map(([name, bytes]) => [
      name.replace(/\.tar\.gz\.a(.)$/, '.tar.gz.x$1'),
      bytes,
    ]);
    await server.release(REPO, 'v0.3.1', Object.fromEntries(renamed));
    const result = await built(['--version', 'v0.3.1']);
    expect(outcome(result).ran).toBeUndefined();
    expect(result.downloaded_bytes).toBe(0);
  });

  it('one changed part is downloaded alone; what is made of it is made again, the rest is left', async () => {
    const scene = await openRelease();
    const { server, amd64, built, work } = scene;
    const { before, after } = await editedRelease(amd64);
    await server.release(REPO, 'v0.4.0', before.assets);
    const next = await server.release(REPO, 'v0.4.1', after.assets);
    await built(['--version', 'v0.4.0']);
    const changed = after.parts.filter(({ bytes }, i) => !before.parts[i]?.bytes.equals(bytes));
    expect(changed).toHaveLength(1);
    expect(after.parts.length).toBeGreaterThan(2);
    const [kernel, client] = inodes(scene);
    server.reset();
    const result = await built(['--version', 'v0.4.1']);
    expect(outcome(result)).toEqual({
      ran: ['disk-parts', 'disk-sums', 'merged', 'qcow2', 'raw-disk'],
      fresh: ['client', 'kernel'],
    });
    expect(result.downloaded_bytes).toBe((changed[0]?.bytes.length ?? 0) + next.asset(amd64.sums).size);
    for (const { name } of after.parts) {
      const asked = server.requests(next.asset(name)).length;
      expect(asked > 0, name).toBe(name === changed[0]?.name);
    }
    expect(inodes(scene).slice(0, 2)).toEqual([kernel, client]);
    expect(work.read('resources/disk-image.raw').equals(readFileSync(after.raw))).toBe(true);
  });

  it('a changed recipe runs its node alone, and back again runs nothing', async () => {
    const scene = await openRelease();
    const { server, built, work, node } = scene;
    await built();
    const raw = work.read('resources/disk-image.raw');
    server.reset();
    edit(scene, 'to: raw', 'to: vdi');
    const { state, reasons } = await node('raw-disk');
    expect(state).toBe('stale');
    expect(reasons).toEqual([{ code: 'recipe-changed', detail: 'to: raw -> vdi' }]);
    expect(outcome(await built()).ran).toEqual(['raw-disk']);
    expect(work.read('resources/disk-image.raw').equals(raw)).toBe(false);
    edit(scene, 'to: vdi', 'to: raw');
    expect((await node('raw-disk')).state).toBe('cached');
    expect(outcome(await built())).toMatchObject({ restored: ['raw-disk'] });
    expect(work.read('resources/disk-image.raw').equals(raw)).toBe(true);
    expect(server.requests()).toEqual([]);
  });

  it('a changed option of the recipe runs its node alone', async () => {
    const scene = await openRelease();
    await scene.built();
    edit(scene, 'to: raw', 'to: qcow2\n    options: { cluster_size: 4096 }');
    await scene.built();
    edit(scene, 'cluster_size: 4096', 'cluster_size: 8192');
    const { reasons } = await scene.node('raw-disk');
    expect(reasons).toEqual([{ code: 'recipe-changed', detail: 'options.cluster_size: 4096 -> 8192' }]);
    expect(outcome(await scene.built()).ran).toEqual(['raw-disk']);
  });

  it('another version of qemu-img converts again; the same result leaves what is below alone', async () => {
    const scene = await openRelease();
    edit(scene, '\n  all:', '\n  below: { merge: raw-disk, output: below.raw }\n\n  all:');
    await scene.built(['raw-disk', 'below']);
    const below = inode(scene.work.path('resources/below.raw'));
    const qemu = fakeTool({ version: '9.9.9' });
    atEnd(() => qemu.remove());
    const env = { PATH: qemu.path };
    const { state, reasons } = await scene.node('raw-disk', [], { env });
    expect(state).toBe('stale');
    expect(reasons.map(({ code }) => code)).toEqual(['tool-changed']);
    expect(reasons[0]?.detail).toContain('9.9.9');
    const result = await scene.built(['raw-disk', 'below'], { env });
    expect(outcome(result)).toMatchObject({ ran: ['raw-disk'] });
    expect(result.fresh).toContain('below');
    expect(inode(scene.work.path('resources/below.raw'))).toBe(below);
    const { stdout } = await scene.run(['build', 'raw-disk', 'below'], { env });
    expect(stdout).toBe('up to date\n');
    // The one that was used before is known too.
    expect((await scene.run(['build', 'raw-disk', 'below'])).stdout).toBe('up to date\n');
    qemu.setVersion('9.9.10');
    expect((await scene.node('raw-disk', [], { env })).reasons[0]?.code).toBe('tool-changed');
  });

  it('a node that is renamed is as it was', async () => {
    const scene = await openRelease();
    await scene.built();
    const before = inodes(scene);
    scene.server.reset();
    scene.work.write(
      'resources.yaml',
      scene.work
        .text('resources.yaml')
        .replace(/raw-disk/g, 'gem5-disk')
        .replace(/merged/g, 'joined'),
    );
    expect((await scene.node('gem5-disk')).state).toBe('fresh');
    const { stdout } = await scene.run(['build']);
    expect(stdout).toBe('up to date\n');
    expect(inodes(scene)).toEqual(before);
    expect(scene.server.requests()).toEqual([]);
  });

  it('an output that is moved is not made again', async () => {
    const scene = await openRelease();
    await scene.built();
    const raw = scene.work.read('resources/disk-image.raw');
    scene.server.reset();
    edit(scene, 'output: disk-image.raw', 'output: disks/gem5.raw');
    const result = await scene.built();
    expect(outcome(result)).toMatchObject({ restored: ['raw-disk'] });
    expect(outcome(result).ran).toBeUndefined();
    expect(scene.work.read('resources/disks/gem5.raw').equals(raw)).toBe(true);
    expect(scene.server.requests()).toEqual([]);
  });

  it('descriptions and variants change nothing', async () => {
    const scene = await openRelease();
    await scene.built();
    edit(scene, 'description: the same disk image as raw, for gem5', 'description: other words');
    edit(scene, 'label: v5.4.84, state: stable', 'label: the kernel, state: stable');
    expect((await scene.run(['build'])).stdout).toBe('up to date\n');
  });

  it('intermediates and downloads that are deleted make nothing stale', async () => {
    const scene = await openRelease();
    await scene.built();
    await scene.built(['merged']);
    expect(scene.objects().length).toBeGreaterThan(3);
    for (const path of scene.objects()) rmSync(path);
    const states = [...(await scene.status()).values()].map(({ name, state }) => [name, state]);
    expect(Object.fromEntries(states)).toEqual({
      kernel: 'fresh',
      client: 'fresh',
      'disk-parts': 'fresh',
      'disk-sums': 'fresh',
      merged: 'fresh',
      qcow2: 'fresh',
      'raw-disk': 'fresh',
    });
    expect((await scene.run(['status', '--check'])).status).toBe(0);
    scene.server.reset();
    expect((await scene.run(['build'])).stdout).toBe('up to date\n');
    expect(scene.server.requests()).toEqual([]);
  });

  it('a deleted output is made again from what is nearest', async () => {
    const scene = await openRelease();
    const { work, built, server, release, amd64 } = scene;
    await built();
    const raw = work.read('resources/disk-image.raw');
    const remove = (name: string) => rmSync(work.path('resources', name));

    remove('disk-image.raw');
    for (const path of scene.objects()) rmSync(path);
    server.reset();
    expect(await codes(scene, 'raw-disk')).toEqual(['output-missing']);
    // The qcow2 is in place: neither the parts nor the archive are needed.
    expect(outcome(await built()).ran).toEqual(['raw-disk']);
    expect(server.requests()).toEqual([]);
    expect(work.read('resources/disk-image.raw').equals(raw)).toBe(true);

    // Nobody needs the qcow2 while the raw one is there.
    remove('disk-image.qcow2');
    expect((await scene.run(['build'])).stdout).toBe('up to date\n');
    server.reset();
    expect(outcome(await built(['qcow2'])).ran).toEqual(['disk-parts', 'disk-sums', 'merged', 'qcow2']);

    // The parts are back in the store.
    remove('disk-image.qcow2');
    server.reset();
    expect(outcome(await built(['qcow2'])).ran).toEqual(['merged', 'qcow2']);
    expect(server.requests()).toEqual([]);

    remove('kernel');
    expect(outcome(await built()).ran).toEqual(['kernel']);
    expect(server.bytesSent()).toBe(release.asset(amd64.kernel).size);
    expect(work.exists('resources/kernel')).toBe(true);
  });
});

describe('of files in the workspace', () => {
  const manifest = `res: 1
artifacts:
  words: { path: words.txt }
  more: { path: more/*.txt }
targets:
  text: { merge: [words, more], output: text }
  again: { copy: text, output: again }
default: [again]
`;
  const open = () =>
    openScene({
      'resources.yaml': manifest,
      'words.txt': 'one\n',
      'more/a.txt': 'two\n',
      'more/b.txt': 'three\n',
    });

  it('a touch does nothing', async () => {
    const scene = open();
    await scene.built();
    for (const name of ['words.txt', 'more/a.txt']) utimesSync(scene.work.path(name), new Date(), new Date());
    expect((await scene.run(['build'])).stdout).toBe('up to date\n');
    expect((await scene.run(['status', '--check'])).status).toBe(0);
  });

  it('a file replaced by one with the same content does nothing', async () => {
    const scene = open();
    await scene.built();
    copyFileSync(scene.work.path('words.txt'), scene.work.path('copy'));
    renameSync(scene.work.path('copy'), scene.work.path('words.txt'));
    expect((await scene.run(['build'])).stdout).toBe('up to date\n');
  });

  it('changed content is built, and says which file it was', async () => {
    const scene = open();
    await scene.built();
    scene.work.write('words.txt', 'other\n');
    const { state, reasons } = await scene.node('text');
    expect(state).toBe('stale');
    expect(reasons).toMatchObject([{ code: 'input-changed', detail: expect.stringMatching(/^words: /) }]);
    expect(outcome(await scene.built()).ran).toEqual(['again', 'text']);
    expect(scene.work.text('resources/again')).toBe('other\ntwo\nthree\n');
    // What it was before is known still, and at hand.
    scene.work.write('words.txt', 'one\n');
    const back = await scene.built();
    expect(outcome(back).ran ?? []).not.toContain('text');
    expect(scene.work.text('resources/again')).toBe('one\ntwo\nthree\n');
    expect(scene.work.text('resources/text')).toBe('one\ntwo\nthree\n');
  });

  it('a file that joins or leaves a glob is noticed', async () => {
    const scene = open();
    await scene.built();
    scene.work.write('more/c.txt', 'four\n');
    await scene.built();
    expect(scene.work.text('resources/again')).toBe('one\ntwo\nthree\nfour\n');
    rmSync(scene.work.path('more/a.txt'));
    await scene.built();
    expect(scene.work.text('resources/again')).toBe('one\nthree\nfour\n');
  });

  it('an edit right after a build is noticed, with the same size and even the same mtime', async () => {
    const scene = open();
    for (const word of ['aaa\n', 'bbb\n', 'ccc\n', 'ddd\n', 'eee\n']) {
      const { mtime, atime } = statSync(scene.work.path('words.txt'));
      scene.work.write('words.txt', word);
      utimesSync(scene.work.path('words.txt'), atime, mtime);
      await scene.built();
      expect(scene.work.text('resources/again')).toBe(`${word}two\nthree\n`);
    }
  });

  it('an input that changes while it is used leaves no false record', async () => {
    const image = `res: 1
artifacts: { source: { path: source.img } }
targets: { disk: { convert: source, from: raw, to: qcow2, output: disk.qcow2 } }
default: [disk]
`;
    const first = Buffer.alloc(1 << 20, 'first ');
    const second = Buffer.alloc(1 << 20, 'second ');
    const scene = openScene({ 'resources.yaml': image, 'source.img': first, 'other.img': second });
    const { work } = scene;
    const meddler = fakeTool({
      before: `[ "$1" = convert ] && cp '${work.path('other.img')}' '${work.path('source.img')}'`,
    });
    atEnd(() => meddler.remove());
    const result = await scene.build([], { env: { PATH: meddler.path } });
    expect(result.ok).toBe(false);
    expect(result.failed).toEqual(['disk']);
    // Whatever was made then is not taken for the image of the first content.
    work.write('source.img', first);
    const honest = fakeTool();
    atEnd(() => honest.remove());
    await scene.built([], { env: { PATH: honest.path } });
    await tool([
      'qemu-img',
      'convert',
      '-f',
      'qcow2',
      '-O',
      'raw',
      work.path('resources/disk.qcow2'),
      work.path('check.raw'),
    ]);
    expect(work.read('check.raw').equals(first)).toBe(true);
  });

  it('a copy of a file in the workspace leaves that file where it is', async () => {
    const scene = openScene({
      'resources.yaml': `res: 1
artifacts: { words: { path: words.txt } }
targets: { again: { copy: words, output: again, executable: true } }
default: [again]
`,
      'words.txt': 'one\n',
    });
    await scene.built();
    expect(scene.work.text('resources/again')).toBe('one\n');
    expect(scene.work.text('words.txt')).toBe('one\n');
    expect(inode(scene.work.path('resources/again'))).not.toBe(inode(scene.work.path('words.txt')));
    expect(statSync(scene.work.path('resources/again')).mode & 0o111).not.toBe(0);
    expect((await scene.run(['build'])).stdout).toBe('up to date\n');
  });

  it('a workspace that is moved is as it was', async () => {
    const scene = open();
    await scene.built();
    const moved = openScene({});
    rmSync(moved.work.dir, { recursive: true });
    renameSync(scene.work.dir, moved.work.dir);
    const result = await moved.built();
    expect(outcome(result).ran).toBeUndefined();
    expect(filesBelow(moved.work.path('resources')).length).toBe(2);
  });
});
