import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ArchiveEntry } from '../../src/kinds/archive.js';
import { readTar } from '../../src/kinds/tar.js';
import { damagedTars } from '../rig/evil.js';
import { seededBytes } from '../rig/random.js';
import { paxEntry, tarBytes } from '../rig/tar.js';
import { collect, failureOf, freshDir, removeTemporary, Source } from './context.js';

afterAll(removeTemporary);

interface Read extends Omit<ArchiveEntry, 'content'> {
  readonly bytes: Buffer;
}

async function readAll(bytes: Uint8Array, step?: number): Promise<Read[]> {
  const entries: Read[] = [];
  for await (const { content, ...rest } of readTar(new Source(bytes, step).stream(), 'thing')) {
    entries.push({ ...rest, bytes: await collect(content()) });
  }
  return entries;
}

const LONG = `${'long/'.repeat(40)}${'name'.repeat(50)}`;
let dir: string;

/** Archives the tree in `dir` as GNU tar does it with these flags. */
function tar(...flags: string[]): Buffer {
  return execFileSync('tar', ['-C', dir, '--sort=name', ...flags, '-cf', '-', '.'], { maxBuffer: 1 << 28 });
}

const sparseData = seededBytes('sparse', 8192);
/** Runs of data at these places, MiB: more than the header and one more block of the old format hold. */
const places = Array.from({ length: 40 }, (_, i) => i);

beforeAll(async () => {
  dir = await freshDir();
  writeFileSync(join(dir, 'file'), 'content\n');
  writeFileSync(join(dir, 'empty'), '');
  writeFileSync(join(dir, 'program'), '#!/bin/sh\n');
  chmodSync(join(dir, 'program'), 0o4755);
  writeFileSync(join(dir, 'grün'), seededBytes('big', 100_000));
  mkdirSync(join(dir, LONG, '..'), { recursive: true });
  writeFileSync(join(dir, LONG), 'long\n');
  symlinkSync('file', join(dir, 'soft'));
  symlinkSync(LONG, join(dir, 'softlong'));
  linkSync(join(dir, 'file'), join(dir, 'hard'));
  const fd = openSync(join(dir, 'sparse'), 'w');
  for (const place of places) writeSync(fd, sparseData, 0, sparseData.length, place * 1024 * 1024 + 4096);
  closeSync(fd);
  truncateSync(join(dir, 'sparse'), 50 * 1024 * 1024 + 123);
});

function expectTree(entries: readonly Read[]): void {
  const found = new Map(entries.map((entry) => [entry.name, entry]));
  expect(found.get('./file')).toMatchObject({ type: 'file', size: 8, executable: false });
  expect(found.get('./file')?.bytes.toString()).toBe('content\n');
  expect(found.get('./empty')).toMatchObject({ type: 'file', size: 0 });
  expect(found.get('./program')).toMatchObject({ type: 'file', executable: true });
  expect(found.get('./grün')?.bytes.equals(seededBytes('big', 100_000))).toBe(true);
  expect(found.get(`./${LONG}`)?.bytes.toString()).toBe('long\n');
  expect(found.get('./soft')).toMatchObject({ type: 'symlink', target: 'file' });
  expect(found.get('./softlong')).toMatchObject({ type: 'symlink', target: LONG });
  expect(found.get('./hard')).toMatchObject({ type: 'hardlink', target: './file' });
  expect(found.get('./long/')).toMatchObject({ type: 'directory' });
  expectSparse(found.get('./sparse'));
}

function expectSparse(entry: Read | undefined): void {
  const expected = Buffer.alloc(50 * 1024 * 1024 + 123);
  for (const place of places) expected.set(sparseData, place * 1024 * 1024 + 4096);
  expect(entry?.size).toBe(expected.length);
  expect(entry?.bytes.equals(expected)).toBe(true);
}

describe('what GNU tar writes', () => {
  it.each([
    ['gnu', []],
    ['posix', []],
    ['gnu', ['--sparse']],
    ['oldgnu', ['--sparse']],
    ['posix', ['--sparse']],
    ['posix', ['--sparse', '--sparse-version=0.1']],
    ['posix', ['--sparse', '--sparse-version=0.0']],
    ['gnu', ['--label=disk', '--blocking-factor=1']],
  ])('in the format %s %j is read', async (format, flags) => {
    const archive = tar(`--format=${format}`, ...flags);
    if (flags.includes('--sparse')) expect(archive.length).toBeLessThan(5 * 1024 * 1024);
    expectTree(await readAll(archive));
  });

  it('in the format ustar and v7 is read', async () => {
    for (const format of ['ustar', 'v7']) {
      const archive = execFileSync('tar', [
        '-C',
        dir,
        `--format=${format}`,
        '-cf',
        '-',
        'file',
        'program',
        'soft',
      ]);
      expect((await readAll(archive)).map(({ name, executable }) => [name, executable])).toEqual([
        ['file', false],
        ['program', true],
        ['soft', false],
      ]);
    }
  });

  it('may be padded or followed by anything after its end mark', async () => {
    const archive = execFileSync('tar', ['-C', dir, '-cf', '-', 'file']);
    expect(await readAll(Buffer.concat([archive, Buffer.from('left over from another tape')]))).toHaveLength(
      1,
    );
  });

  it('that is followed by another one is not taken for all there is', async () => {
    const archive = execFileSync('tar', ['-C', dir, '-cf', '-', 'file']);
    const both = readAll(Buffer.concat([archive, archive]));
    await expect(both).rejects.toMatchObject({ code: 'bad-format' });
    await expect(both).rejects.toThrow(
      `a second tar archive follows the first (at byte ${archive.length.toLocaleString('en')})`,
    );
  });
});

it('the same entries come however the stream is cut', async () => {
  const archive = execFileSync('tar', [
    '-C',
    dir,
    '--format=posix',
    '-cf',
    '-',
    'file',
    'program',
    'soft',
    LONG,
  ]);
  const whole = await readAll(archive);
  const check = async (step: number) => {
    expect(await readAll(archive, step)).toEqual(whole);
  };
  await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: archive.length }), check), {
    numRuns: 50,
    examples: [[1], [511], [512], [513]],
  });
});

it('content that is not read, or not all of it, is skipped', async () => {
  const archive = tarBytes([
    { name: 'a', body: Buffer.alloc(5000, 1) },
    { name: 'b', body: Buffer.alloc(5000, 2) },
    { name: 'c', body: 'c' },
  ]);
  const names: string[] = [];
  for await (const entry of readTar(new Source(archive, 100).stream(), 'thing')) {
    names.push(entry.name);
    if (entry.name !== 'b') continue;
    for await (const piece of entry.content()) {
      expect(piece[0]).toBe(2);
      break;
    }
  }
  expect(names).toEqual(['a', 'b', 'c']);
});

describe('what is not whole', () => {
  it('is never taken, wherever it was cut', async () => {
    const archive = tarBytes([
      { name: 'dir/', type: '5' },
      paxEntry({ path: 'with a pax header' }),
      { name: 'x', body: Buffer.alloc(700, 7) },
      { name: 'zeros', body: Buffer.alloc(1024) },
    ]);
    // One block of zeros at the end is enough, as for tar.
    for (
      let length = 0;
      length <= archive.length - 1024;
      length += length % 512 < 3 || length % 512 > 508 ? 1 : 101
    ) {
      const error = await failureOf(readAll(archive.subarray(0, length)));
      expect(error.code).toBe('corrupt-input');
      expect(error.message).toContain('thing');
    }
    expect(await readAll(archive.subarray(0, archive.length - 512))).toHaveLength(3);
  });

  it.each([...damagedTars()])('%s', async (_title, archive) => {
    expect((await failureOf(readAll(archive))).code).toBe('corrupt-input');
  });

  it('is a block of zeros between entries', async () => {
    const one = tarBytes([{ name: 'a', body: 'a' }]).subarray(0, 1024);
    const error = await failureOf(
      readAll(Buffer.concat([one, Buffer.alloc(512), tarBytes([{ name: 'b' }])])),
    );
    expect(error.message).toContain('a block of zeros stands between its entries (at byte 2,048)');
  });

  it('is a malformed pax header', async () => {
    for (const body of ['no length=x\n', '5 a=b\n\n', '999 path=x\n', '10 path=xyz', '7 nokey\n']) {
      expect((await failureOf(readAll(tarBytes([{ name: 'p', type: 'x', body }, { name: 'a' }])))).code).toBe(
        'corrupt-input',
      );
    }
  });

  it('is a sparse file whose map does not fit its content', async () => {
    const maps = ['0,5', '0,4,2,4', '100,8', '0,9', '0', '8,4,0,4', 'a,b'];
    for (const map of maps) {
      const header = paxEntry({ 'GNU.sparse.size': '50', 'GNU.sparse.map': map });
      expect((await failureOf(readAll(tarBytes([header, { name: 'a', body: '12345678' }])))).code, map).toBe(
        'corrupt-input',
      );
    }
    const header = paxEntry({ 'GNU.sparse.size': '12', 'GNU.sparse.map': '0,4,8,4' });
    const [entry] = await readAll(tarBytes([header, { name: 'a', body: '12345678' }]));
    expect(entry?.bytes.toString()).toBe('1234\0\0\0\x005678');
  });

  it('is a link or folder with content: readers disagree on where the next entry is', async () => {
    for (const type of ['1', '2', '5'] as const) {
      expect((await failureOf(readAll(tarBytes([{ name: 'a', type, link: 'b', body: 'x' }])))).code).toBe(
        'corrupt-input',
      );
    }
  });
});

it('entries of a kind that no file system has are refused', async () => {
  const archive = tarBytes([{ name: 'a' }]);
  archive.write('N', 156);
  const sum = archive
    .subarray(0, 512)
    .reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  archive.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  const error = await failureOf(readAll(archive));
  expect(error.code).toBe('bad-format');
  expect(error.message).toContain('"N"');
});

it('its source is ended when the consumer stops', async () => {
  const source = new Source(tar(), 1000);
  for await (const entry of readTar(source.stream(), 'thing')) {
    expect(entry.name).toBe('./');
    break;
  }
  expect(source.ended).toBe(true);
  expect(source.read).toBeLessThan(5000);
});
