// Overlays on real images, by the real qemu-img, written to as a virtual machine does: what they stand on is never changed under
// them, and what was written is never lost.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findSandbox } from '../../src/execute/sandbox.js';
import { runFolder } from '../rig/places.js';
import { has } from '../rig/tools.js';
import { makeWorkspace } from '../rig/workspace.js';
import { openScene, outcome, type Scene, sceneIn } from './engine-scene.js';
import { expectDone, expectFailed } from './site.js';

const hasSandbox = (await findSandbox(process.env)) !== undefined;

const MANIFEST = `res: 1
artifacts:
  base: { path: base.raw }
targets:
  disk: { convert: base, to: qcow2, output: disk.qcow2 }
  exp: { overlay: disk, output: exp/one.qcow2 }
  flat: { convert: exp, to: raw, output: flat.raw }
  upper: { overlay: exp, output: exp/upper.qcow2, size: +1M }
  on-file: { overlay: base, output: on-file.qcow2 }
`;

/** `fill` is the byte of the first 64 KiB; the rest of 4 MiB is zeros. */
function raw(fill: number): Buffer {
  return Buffer.concat([Buffer.alloc(64 * 1024, fill), Buffer.alloc(4 * 1024 * 1024 - 64 * 1024)]);
}

function scene(manifest = MANIFEST): Scene {
  return openScene({ 'resources.yaml': manifest, 'base.raw': raw(1) });
}

/** As a guest does: a byte for 64 KiB at an offset in KiB. */
function write(path: string, offset: number, fill: number): void {
  qemuIo(path, `write -P ${fill} ${offset}k 64k`);
}

function qemuIo(path: string, command: string): void {
  execFileSync('qemu-io', ['-f', path.endsWith('.raw') ? 'raw' : 'qcow2', '-c', command, path], {
    stdio: 'pipe',
  });
}

/** Throws unless the disk in the image has just that byte there. */
function holdsAt(path: string, offset: number, fill: number): boolean {
  const said = execFileSync(
    'qemu-io',
    ['-f', path.endsWith('.raw') ? 'raw' : 'qcow2', '-c', `read -P ${fill} ${offset}k 64k`, path],
    { encoding: 'utf8' },
  );
  return !said.includes('verification failed');
}

function info(path: string): Record<string, unknown> {
  return JSON.parse(execFileSync('qemu-img', ['info', '--output=json', path], { encoding: 'utf8' }));
}

describe.skipIf(!has('qemu-img', 'qemu-io'))('an overlay', () => {
  it('reads as what it stands on, is small, and names it by the way from its own place', async () => {
    const { work, built, run } = scene();
    await built(['exp', 'on-file']);
    const path = work.path('resources/exp/one.qcow2');
    expect(info(path)).toMatchObject({
      'backing-filename': '../disk.qcow2',
      'backing-filename-format': 'qcow2',
      'virtual-size': 4 * 1024 * 1024,
    });
    expect(info(work.path('resources/on-file.qcow2'))).toMatchObject({
      'backing-filename': '../base.raw',
      'backing-filename-format': 'raw',
    });
    expect(holdsAt(path, 0, 1)).toBe(true);
    expect((await run(['build', 'exp', 'on-file'])).stdout).toContain('up to date');
  });

  it('of an overlay works, with a larger disk', async () => {
    const { work, built } = scene();
    await built(['upper']);
    const path = work.path('resources/exp/upper.qcow2');
    expect(info(path)).toMatchObject({ 'backing-filename': 'one.qcow2', 'virtual-size': 5 * 1024 * 1024 });
    expect(holdsAt(path, 0, 1)).toBe(true);
    expect(holdsAt(path, 4 * 1024, 0)).toBe(true);
  });

  it('moves with its workspace', async () => {
    const { work, built } = scene();
    await built(['exp', 'flat']);
    const there = join(mkdtempSync(join(runFolder(), 'moved-')), 'work');
    renameSync(work.dir, there);
    mkdirSync(work.dir);
    expect(holdsAt(join(there, 'resources/exp/one.qcow2'), 0, 1)).toBe(true);
  });

  it('finds a file of the workspace from a folder of outputs that is a link to another disk', async () => {
    const { work, built } = scene();
    const far = mkdtempSync(join(runFolder(), 'far-'));
    mkdirSync(join(far, 'a/b'), { recursive: true });
    symlinkSync(join(far, 'a/b'), work.path('resources'));
    await built(['on-file']);
    expect(holdsAt(work.path('resources/on-file.qcow2'), 0, 1)).toBe(true);
  });

  it('that was written to is modified, and neither replaced nor taken for what it was', async () => {
    const { work, node, run, built } = scene();
    await built(['flat']);
    const path = work.path('resources/exp/one.qcow2');
    write(path, 64, 2);
    expect(await node('exp')).toMatchObject({ state: 'modified' });
    expectFailed(await run(['build', 'exp']), [/one\.qcow2 was changed by hand: not overwritten/]);
    expect(holdsAt(path, 64, 2)).toBe(true);
    expect(outcome(await built(['flat', '--as-is']))).toMatchObject({ ran: ['flat'] });
    expect(holdsAt(work.path('resources/flat.raw'), 64, 2)).toBe(true);
    expect(holdsAt(work.path('resources/flat.raw'), 0, 1)).toBe(true);
    expect(holdsAt(path, 64, 2)).toBe(true);
    await built(['exp', '--overwrite', '--force']);
    expect(holdsAt(path, 64, 0)).toBe(true);
  });

  it('that nothing was written to follows what it stands on, and so does what is made of it', async () => {
    const { work, node, built } = scene();
    await built(['flat']);
    work.write('base.raw', raw(3));
    expect(await node('exp')).toMatchObject({ state: 'stale' });
    expect(outcome(await built(['flat']))).toMatchObject({ ran: ['disk', 'exp', 'flat'] });
    expect(holdsAt(work.path('resources/flat.raw'), 0, 3)).toBe(true);
    expect(holdsAt(work.path('resources/exp/one.qcow2'), 0, 3)).toBe(true);
  });

  it.each([
    ['as it was written to', false],
    ['once it was accepted as it is', true],
  ])('%s is not left standing on something else, whoever is built', async (_, accept) => {
    const { work, run, built } = scene();
    await built(['exp']);
    const path = work.path('resources/exp/one.qcow2');
    write(path, 64, 2);
    if (accept) await built(['exp', '--as-is']);
    work.write('base.raw', raw(3));
    for (const args of [['disk'], ['exp'], ['disk', '--overwrite']]) {
      const failed = await run(['build', ...args]);
      expectFailed(failed, [/exp\/one\.qcow2 was (?:written to|changed by hand)/, /--overwrite/]);
    }
    expect(holdsAt(work.path('resources/disk.qcow2'), 0, 1)).toBe(true);
    expect(holdsAt(path, 64, 2)).toBe(true);
    expectDone(await run(['build', 'exp', '--overwrite']));
    expect(holdsAt(path, 64, 0)).toBe(true);
    expect(holdsAt(path, 0, 3)).toBe(true);
  });

  it('that a machine runs on is not left without its disk', async () => {
    const { work, run, built } = scene();
    await built(['exp']);
    const machine = openSync(work.path('resources/exp/one.qcow2'), 'r+');
    work.write('base.raw', raw(3));
    expectFailed(await run(['build', 'disk']), [/exp\/one\.qcow2 is open for writing/]);
    closeSync(machine);
    expectDone(await run(['build', 'disk']));
  });

  it('on a disk that comes back as it was stays as it is', async () => {
    const { work, run, built } = scene();
    await built(['exp']);
    write(work.path('resources/exp/one.qcow2'), 64, 2);
    renameSync(work.path('resources/disk.qcow2'), work.path('gone'));
    expectDone(await run(['build', 'disk']));
    expect(holdsAt(work.path('resources/exp/one.qcow2'), 64, 2)).toBe(true);
    expect(holdsAt(work.path('resources/exp/one.qcow2'), 0, 1)).toBe(true);
  });

  it('has what it stands on put back in its place', async () => {
    const { work, run, built, node } = scene();
    await built(['exp']);
    renameSync(work.path('resources/disk.qcow2'), work.path('gone'));
    expect(outcome(await built(['exp']))).toMatchObject({ ran: ['disk'], fresh: ['base', 'exp'] });
    expect(holdsAt(work.path('resources/exp/one.qcow2'), 0, 1)).toBe(true);
    write(work.path('resources/disk.qcow2'), 128, 9);
    expect(await node('exp')).toMatchObject({ state: 'stale', reasons: [{ detail: 'disk is modified' }] });
    expectFailed(await run(['build', 'exp']), [/disk\.qcow2 was changed by hand/]);
  });

  it('that is gone is made again, or taken from the store, in its place', async () => {
    const { work, built } = scene();
    await built(['exp', 'flat']);
    execFileSync('rm', [work.path('resources/exp/one.qcow2'), work.path('resources/flat.raw')]);
    await built(['flat']);
    expect(holdsAt(work.path('resources/flat.raw'), 0, 1)).toBe(true);
  });

  it('is read in its own place also when a shared store has the same', async () => {
    const store = mkdtempSync(join(runFolder(), 'store-'));
    const files = { 'resources.yaml': MANIFEST, 'base.raw': raw(1) };
    for (let i = 0; i < 2; i++) {
      const work = makeWorkspace(files);
      const { built } = sceneIn(work, { RES_STORE: store });
      await built(['exp', '--force']);
      await built(['flat', 'upper']);
      expect(holdsAt(work.path('resources/flat.raw'), 0, 1)).toBe(true);
      execFileSync('rm', [work.path('resources/exp/one.qcow2')]);
      await built(['flat', 'exp', '--force']);
      expect(holdsAt(work.path('resources/exp/one.qcow2'), 0, 1)).toBe(true);
      work.remove();
    }
  });
});

/** Bytes from which on inputs are mounted, where there is a sandbox. */
const LARGE = 17 * 1024 * 1024;

describe.skipIf(!has('qemu-img', 'qemu-io'))('a program that is given an overlay', () => {
  const modes = hasSandbox ? ['auto', 'off', 'require'] : ['auto', 'off'];
  const sizes = [
    ['small, and copied', 4 * 1024 * 1024],
    ['large, and mounted', LARGE],
  ] as const;
  const program = (overlay: string) =>
    `{ run: "qemu-img convert -O raw \${in.disk} \${out}", inputs: { disk: ${overlay} }, output: read.raw }`;

  it.each(modes.flatMap((mode) => sizes.map(([what, bytes]) => [what, mode, bytes] as const)))(
    'reads it with what it stands on: %s, --sandbox %s',
    async (_, mode, bytes) => {
      const { work, built, run } = scene(`${MANIFEST}  read: ${program('upper')}\n`);
      const base = Buffer.concat([raw(1), randomBytes(bytes - raw(1).length)]);
      work.write('base.raw', base);
      await built(['upper']);
      write(work.path('resources/exp/upper.qcow2'), 64, 2);
      await built(['read', '--as-is', '--sandbox', mode]);
      const read = work.read('resources/read.raw');
      const expected = Buffer.concat([base, Buffer.alloc(1024 * 1024)]).fill(2, 64 * 1024, 128 * 1024);
      expect(read.equals(expected)).toBe(true);
      expect((await run(['build', 'read', '--sandbox', mode])).stdout).toContain('up to date');
      // Nothing of it is left, and what it was taken from is as it was.
      expect(holdsAt(work.path('resources/exp/upper.qcow2'), 64, 2)).toBe(true);
      expect(work.read('base.raw').equals(base)).toBe(true);
      expect(readdirSync(work.path('.res/run')).filter((name) => !name.startsWith('.'))).toEqual([]);
    },
  );

  it.each(modes)('finds a file of the workspace beneath it, --sandbox %s', async (mode) => {
    const { work, built } = scene(`${MANIFEST}  read: ${program('on-file')}\n`);
    await built(['read', '--sandbox', mode]);
    expect(work.read('resources/read.raw').equals(raw(1))).toBe(true);
  });

  it('has what it stands on put back for it, and runs again when that changes', async () => {
    const { work, built } = scene(`${MANIFEST}  read: ${program('exp')}\n`);
    await built(['read']);
    execFileSync('rm', [work.path('resources/disk.qcow2'), work.path('resources/read.raw')]);
    await built(['read', '--force']);
    work.write('base.raw', raw(3));
    expect(outcome(await built(['read']))).toMatchObject({ ran: ['disk', 'exp', 'read'] });
    expect(work.read('resources/read.raw').equals(raw(3))).toBe(true);
  });

  it('makes the same of it a second time, wherever the overlay lies', async () => {
    const { work, built, run } = scene(
      `${MANIFEST}  read: { run: "realpath --relative-to=. \${in.disk} > \${out}", inputs: { disk: exp }, output: way }\n`,
    );
    await built(['read']);
    expectDone(await run(['check', 'read']));
    expect(work.text('resources/way')).toBe('in/disk/disk/disk\n');
    const manifest = work.text('resources.yaml').replace('exp/one.qcow2', 'other/two.qcow2');
    work.write('resources.yaml', manifest);
    expect(outcome(await built(['read'])).ran).toBeUndefined();
  });
});

describe.skipIf(!has('qemu-img', 'qemu-io'))('a manifest with an overlay', () => {
  const failed = async (targets: string, words: readonly RegExp[], exit = 2) => {
    const { run } = scene(`${MANIFEST}${targets}`);
    expectFailed(await run(['build', 'x']), words, exit);
  };

  it('that has no place, or stands on what has none, is told so', async () => {
    await failed('  x: { overlay: disk }\n', [/`overlay` needs an `output`/, /output: x/]);
    await failed('  m: { merge: base }\n  x: { overlay: m, output: x.qcow2 }\n', [
      /`m` has no `output`/,
      /give `m` an `output`/,
    ]);
  });

  it('that is to be copied is told that a copy would be of no use', async () => {
    await failed('  x: { copy: exp, output: x.qcow2 }\n', [
      /from another place, `exp` would not find `disk`/,
      /convert: exp/,
    ]);
  });

  it('with less room than the disk is refused', async () => {
    await failed('  x: { overlay: disk, output: x.qcow2, size: 1M }\n', [/1048576 bytes are less than/], 1);
  });

  it('and an image of elsewhere that names another file stays refused', async () => {
    const { work, run } = scene(
      `${MANIFEST}  x: { overlay: foreign, output: x.qcow2 }
  y: { convert: foreign, to: raw, output: y.raw }
  z: { convert: stranger, to: raw, output: z.raw }
  stranger: { copy: foreign, output: stranger.qcow2 }
`.replace('artifacts:\n', 'artifacts:\n  foreign: { path: foreign.qcow2 }\n'),
    );
    writeFileSync(work.path('secret.raw'), raw(7));
    execFileSync('qemu-img', [
      'create',
      '-q',
      '-f',
      'qcow2',
      '-b',
      work.path('secret.raw'),
      '-F',
      'raw',
      work.path('foreign.qcow2'),
    ]);
    for (const name of ['x', 'y', 'z'])
      expectFailed(await run(['build', name]), [/is not whole: .*secret\.raw/]);
  });

  it('whose backing file was exchanged by hand is refused, also when it was accepted as it is', async () => {
    const { work, run, built } = scene();
    await built(['exp']);
    writeFileSync(work.path('secret.raw'), raw(7));
    const path = work.path('resources/exp/one.qcow2');
    execFileSync('qemu-img', [
      'rebase',
      '-u',
      '-f',
      'qcow2',
      '-b',
      work.path('secret.raw'),
      '-F',
      'raw',
      path,
    ]);
    expectFailed(await run(['build', 'flat', '--as-is']), [/is not whole: .*secret\.raw/]);
    execFileSync('qemu-img', ['rebase', '-u', '-f', 'qcow2', '-b', '../disk.qcow2', '-F', 'qcow2', path]);
    write(path, 64, 5);
    expectDone(await run(['build', 'flat', '--as-is']));
    expect(holdsAt(work.path('resources/flat.raw'), 64, 5)).toBe(true);
  });
});
