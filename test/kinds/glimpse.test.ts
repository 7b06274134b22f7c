// What is told of content before it is made, against what it is when it is made by real programs.
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { GLIMPSE_BYTES, type Glimpse, type InputGlimpse, NO_GLIMPSE } from '../../src/kinds/glimpse.js';
import { kinds } from '../../src/kinds/registry.js';
import { unpackedSize } from '../../src/kinds/unpacked.js';
import type { JsonObject } from '../../src/model/json.js';
import { compress, convertImage, ext4Image, type ImageFormat } from '../rig/images.js';
import { runFolder } from '../rig/places.js';
import { seededBytes } from '../rig/random.js';
import { tarBytes } from '../rig/tar.js';
import { has, tool } from '../rig/tools.js';
import { zipBytes } from '../rig/zip.js';

const MIB = 1024 * 1024;

let folder: string | undefined;
afterAll(() => {
  if (folder !== undefined) rmSync(folder, { recursive: true });
});

function temp(name: string): string {
  folder ??= mkdtempSync(join(runFolder(), 'glimpse-'));
  return join(folder, name);
}

/** Of bytes that are there; what is looked at is counted. */
function input(
  bytes: Uint8Array,
  o: { readonly format?: string; readonly diskBytes?: number } = {},
): InputGlimpse & { looks: number } {
  const glimpse = {
    size: bytes.length,
    diskBytes: o.diskBytes ?? bytes.length,
    exact: true,
    format: o.format,
    looks: 0,
    async head() {
      glimpse.looks++;
      return bytes.subarray(0, GLIMPSE_BYTES);
    },
    async tail() {
      glimpse.looks++;
      return bytes.subarray(-GLIMPSE_BYTES);
    },
  };
  return glimpse;
}

function glimpse(kind: string, recipe: JsonObject, ...inputs: readonly InputGlimpse[]): Promise<Glimpse> {
  const of = kinds.get(kind)?.glimpse;
  if (!of) throw new Error(`${kind} gives no glimpse`);
  return of(recipe, inputs);
}

describe('merge and copy', () => {
  it('are as long as their inputs, begin as the first and end as the last, and look at nothing for that', async () => {
    const parts = [input(Buffer.from('abc')), input(Buffer.from('defg'))];
    const whole = await glimpse('merge', { merge: ['a', 'b'] }, ...parts);
    expect(whole).toMatchObject({ size: 7, diskBytes: 7, exact: true });
    expect(parts.map(({ looks }) => looks)).toEqual([0, 0]);
    expect(String(await whole.head())).toBe('abc');
    expect(String(await whole.tail())).toBe('defg');
    expect(await glimpse('copy', { copy: 'a' }, input(Buffer.from('abc')))).toMatchObject({ size: 3 });
  });

  it('are of a size that is not known as soon as one input is', async () => {
    const unknown = { ...NO_GLIMPSE, format: undefined };
    expect(await glimpse('merge', { merge: ['a', 'b'] }, input(Buffer.from('a')), unknown)).toMatchObject({
      size: null,
      diskBytes: null,
      exact: false,
    });
  });
});

describe('decompress', () => {
  it.skipIf(!has('xz', 'zstd')).each(['gzip', 'xz', 'zstd'] as const)(
    'takes the size from where %s has it',
    async (format) => {
      const bytes = seededBytes('decompress', MIB);
      const [plain, packed] = [temp('plain'), temp(`packed-${format}`)];
      writeFileSync(plain, bytes);
      // zstd notes the size only of a file that it is given by name.
      if (format === 'zstd') await tool(['zstd', '-q', '-f', plain, '-o', packed]);
      else await compress(plain, format, packed);
      const told = await glimpse('decompress', { decompress: 'a' }, input(readFileSync(packed)));
      expect(told).toMatchObject({ size: bytes.length, diskBytes: bytes.length, exact: false });
      const head = Buffer.from((await told.head()) ?? []);
      expect(head.length).toBeGreaterThan(100_000);
      expect(head.equals(bytes.subarray(0, head.length))).toBe(true);
    },
  );

  it('says nothing of the room that zeros take, which are holes', async () => {
    const told = await glimpse('decompress', { decompress: 'a' }, input(gzipSync(Buffer.alloc(MIB))));
    expect(told).toMatchObject({ size: MIB, diskBytes: null });
  });

  it('says nothing of what it cannot read', async () => {
    for (const bytes of [Buffer.from('plain'), Buffer.from([0x1f, 0x8b]), Buffer.alloc(0)])
      expect(await glimpse('decompress', { decompress: 'a' }, input(bytes))).toMatchObject({
        diskBytes: null,
      });
  });

  it('makes up for a gzip length that is counted modulo 4 GiB: nothing packed is longer than what is in it', () => {
    const tail = (length: number) => {
      const bytes = Buffer.alloc(8);
      bytes.writeUInt32LE(length, 4);
      return bytes;
    };
    const GIB = 1024 ** 3;
    expect(unpackedSize('gzip', 3 * GIB, undefined, tail(3.5 * GIB))).toBe(3.5 * GIB);
    expect(unpackedSize('gzip', 3 * GIB, undefined, tail(1 * GIB))).toBe(5 * GIB);
    expect(unpackedSize('gzip', 9 * GIB, undefined, tail(2 * GIB))).toBe(10 * GIB);
    // What cannot be compressed grows by a little.
    expect(unpackedSize('gzip', 1_000_100, undefined, tail(1_000_000))).toBe(1_000_000);
  });
});

describe('extract', () => {
  const member = seededBytes('member', 600_000);
  const tar = tarBytes([
    { name: 'a/readme', body: Buffer.from('read me') },
    { name: 'a/disk.img', body: member },
  ]);

  it.each([
    ['a tar', tar],
    ['a tar in gzip', gzipSync(tar)],
    ['a zip', zipBytes([{ name: 'a/disk.img', body: member }])],
  ])('takes the size of a member from %s', async (_, archive) => {
    const told = await glimpse('extract', { extract: 'a', member: '**/disk.img' }, input(archive));
    expect(told).toMatchObject({ size: member.length, diskBytes: member.length, exact: false });
    const head = Buffer.from((await told.head()) ?? []);
    expect(head.length).toBeGreaterThan(100_000);
    expect(head.equals(member.subarray(0, head.length))).toBe(true);
  });

  it('says how much room a zip takes beside what is in it when it comes in a stream', async () => {
    const archive = zipBytes([{ name: 'a', body: member }]);
    expect(await glimpse('extract', { extract: 'a' }, input(archive))).toMatchObject({
      diskBytes: member.length,
      scratchBytes: archive.length,
    });
    expect((await glimpse('extract', { extract: 'a' }, input(tar))).scratchBytes).toBeUndefined();
  });

  it('takes all of it for as long as the tar', async () => {
    for (const archive of [tar, gzipSync(tar)])
      expect(await glimpse('extract', { extract: 'a' }, input(archive))).toMatchObject({ size: tar.length });
  });

  it('says nothing of a member that is not near the beginning, is not there, or of no archive', async () => {
    const late = tarBytes([
      { name: 'first', body: seededBytes('first', 300_000) },
      { name: 'late', body: member },
    ]);
    for (const archive of [
      late,
      gzipSync(late),
      Buffer.from('no archive'),
      tar.subarray(0, 100),
      Buffer.alloc(0),
    ])
      expect(await glimpse('extract', { extract: 'a', member: 'late' }, input(archive))).toMatchObject({
        size: null,
        diskBytes: null,
      });
  });
});

describe.skipIf(!has('qemu-img', 'mke2fs'))('convert', () => {
  const onDisk = (path: string) => statSync(path).blocks * 512;
  const raw = (async () => {
    const path = temp('disk.raw');
    const written = temp('written.raw');
    await ext4Image(written, 'glimpse', { sizeMiB: 64, dataMiB: 8 });
    // What it wrote zeros to is a hole in the copy.
    await convertImage({ path: written, format: 'raw' }, { path, format: 'raw' });
    return path;
  })();

  async function made(format: ImageFormat, options: readonly string[] = []): Promise<string> {
    const path = temp(`disk-${options.join('')}.${format}`.replaceAll('/', ''));
    await convertImage({ path: await raw, format: 'raw' }, { path, format, options });
    return path;
  }

  function near(actual: number | null, expected: number): void {
    expect(actual).not.toBeNull();
    expect(Math.abs((actual ?? 0) - expected) / expected, `${actual} told, ${expected} taken`).toBeLessThan(
      0.1,
    );
  }

  it.each([
    { options: [] },
    { options: ['-c'] },
    { options: ['-o', 'cluster_size=4096'] },
    { options: ['-o', 'compat=0.10'] },
  ])('takes the data of a qcow2 image for what a raw one will take ($options)', async ({ options }) => {
    const qcow2 = await made('qcow2', options);
    const back = temp('back.raw');
    await convertImage({ path: qcow2, format: 'qcow2' }, { path: back, format: 'raw' });
    const told = await glimpse('convert', { convert: 'a', to: 'raw' }, input(readFileSync(qcow2)));
    expect(told.size).toBe(64 * MIB);
    near(told.diskBytes, onDisk(back));
  });

  it.each(['qcow2', 'vmdk'] as const)('knows about what the data of a raw image takes as %s', async (to) => {
    const path = await raw;
    const from = input(readFileSync(path), { format: 'raw', diskBytes: onDisk(path) });
    near((await glimpse('convert', { convert: 'a', to }, from)).diskBytes, onDisk(await made(to)));
    expect(from.looks).toBe(0);
  });

  it('counts what the recipe asks for: a size, no holes; and nothing where it compresses', async () => {
    const qcow2 = input(readFileSync(await made('qcow2')));
    const told = (more: JsonObject) => glimpse('convert', { convert: 'a', to: 'raw', ...more }, qcow2);
    const plain = await told({});
    expect(await told({ size: '1G' })).toMatchObject({ size: 1024 * MIB, diskBytes: plain.diskBytes });
    expect(await told({ size: '+1G' })).toMatchObject({ size: 1088 * MIB, diskBytes: plain.diskBytes });
    expect(await told({ sparse: false })).toMatchObject({ size: 64 * MIB, diskBytes: 64 * MIB });
    expect(await told({ to: 'qcow2', compress: true })).toMatchObject({ size: null, diskBytes: null });
  });

  it('hands on what is in an image that is yet to be made', async () => {
    const path = await raw;
    const qcow2 = await glimpse(
      'convert',
      { convert: 'a', to: 'qcow2' },
      input(readFileSync(path), { format: 'raw', diskBytes: onDisk(path) }),
    );
    const back = await glimpse('convert', { convert: 'b', to: 'raw' }, { ...qcow2, format: 'qcow2' });
    expect(back).toMatchObject({ size: 64 * MIB, diskBytes: onDisk(path) });
  });

  it('says nothing of a header that makes no sense', async () => {
    for (const bytes of [
      Buffer.from('QFI\xfb', 'latin1'),
      Buffer.concat([Buffer.from('QFI\xfb', 'latin1')], 512),
    ])
      expect(await glimpse('convert', { convert: 'a', to: 'raw' }, input(bytes))).toMatchObject({
        size: null,
      });
  });
});

describe.skipIf(!has('qemu-img', 'mke2fs'))('a packed image', () => {
  it('is certain to take its size; one that was laid out in advance, or a raw one, is not', async () => {
    const [raw, qcow2, laid] = [temp('p.raw'), temp('p.qcow2'), temp('p2.qcow2')];
    await ext4Image(raw, 'packed', { sizeMiB: 16, dataMiB: 8 });
    await convertImage({ path: raw, format: 'raw' }, { path: qcow2, format: 'qcow2' });
    const options = ['-o', 'preallocation=metadata'];
    await convertImage({ path: raw, format: 'raw' }, { path: laid, format: 'qcow2', options });
    const told = async (path: string) => {
      const archive = tarBytes([{ name: 'disk', body: readFileSync(path) }]);
      return glimpse('extract', { extract: 'a', member: 'disk' }, input(archive));
    };
    expect(await told(qcow2)).toMatchObject({ exact: true, diskBytes: statSync(qcow2).size });
    expect(await told(laid)).toMatchObject({ exact: false });
    expect(await told(raw)).toMatchObject({ exact: false });
  });
});
