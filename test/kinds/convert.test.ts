import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { convert, percentReader } from '../../src/kinds/convert.js';
import { probe, withImage } from '../../src/kinds/image-format.js';
import { makingOf } from '../../src/kinds/kind.js';
import type { JsonObject } from '../../src/model/json.js';
import { type EvilImage, evilImage, rawThatLooksLikeQcow2 } from '../rig/evil.js';
import { seededBytes } from '../rig/random.js';
import { has } from '../rig/tools.js';
import {
  failureOf,
  freshDir,
  makeContext,
  removeTemporary,
  stored,
  streamed,
  type TestContext,
} from './context.js';

afterAll(removeTemporary);

const MIB = 1024 * 1024;
const FORMATS = ['raw', 'qcow2', 'vmdk', 'vdi', 'vhdx', 'vpc'] as const;

let dir: string;
let raw: string;

beforeAll(async () => {
  dir = await freshDir();
  raw = join(dir, 'disk.raw');
  writeFileSync(raw, seededBytes('disk', 2 * MIB));
  truncateSync(raw, 16 * MIB);
  const file = await open(raw, 'r+');
  await file.write(seededBytes('later', 100_000), 0, 100_000, 10 * MIB);
  await file.close();
});

function qemuImg(...args: string[]): string {
  return execFileSync('qemu-img', args).toString();
}

function made(format: string, ...options: string[]): string {
  const path = join(dir, `made-${format}${options.join('').replace(/\W/g, '-')}`);
  qemuImg('convert', '-f', 'raw', '-O', format, ...options, raw, path);
  return path;
}

/** qemu-img's view of an image. */
function info(path: string, format: string): Record<string, unknown> {
  return JSON.parse(qemuImg('info', '--output=json', '-f', format, path)) as Record<string, unknown>;
}

/** Of virtual disks, the content; vpc and vhdx may round their size up. */
function sameDisk(a: string, aFormat: string, b: string, bFormat: string): boolean {
  return qemuImg('compare', '-f', aFormat, '-F', bFormat, a, b).includes('identical');
}

async function run(
  path: string | readonly string[],
  fields: JsonObject,
  format?: string,
): Promise<{ out: string; context: TestContext }> {
  const out = join(await freshDir(), 'out');
  const input = stored(typeof path === 'string' ? [path] : path, format === undefined ? {} : { format });
  const context = await makeContext({ inputs: [input], out });
  const recipe = { convert: 'input', ...fields };
  const making = makingOf(convert, recipe);
  if (making.by !== 'writing') throw new Error(making.by);
  await making.write(recipe, context);
  return { out, context };
}

describe('an image', () => {
  it.each(FORMATS)('becomes %s and raw again, byte for byte', async (format) => {
    const there = await run(raw, { to: format });
    expect(info(there.out, format).format).toBe(format);
    const back = await run(there.out, { to: 'raw' });
    expect(sameDisk(back.out, 'raw', raw, 'raw')).toBe(true);
    expect(
      readFileSync(back.out)
        .subarray(0, 16 * MIB)
        .equals(readFileSync(raw)),
    ).toBe(true);
  });

  it('that is raw keeps its holes', async () => {
    const { out } = await run(made('qcow2'), { to: 'raw' });
    const { size, blocks } = statSync(out);
    expect(size).toBe(16 * MIB);
    expect(blocks * 512).toBeLessThan(3 * MIB);
  });

  it('is allocated in full with `sparse: false`', async () => {
    const { out } = await run(made('qcow2'), { to: 'raw', sparse: false });
    expect(statSync(out).blocks * 512).toBeGreaterThanOrEqual(16 * MIB);
  });

  it('is compressed with `compress`', async () => {
    const text = join(dir, 'text.raw');
    writeFileSync(text, 'compressible '.repeat(300_000));
    truncateSync(text, 4 * MIB);
    for (const to of ['qcow2', 'vmdk']) {
      const { out } = await run(text, { to, compress: true });
      expect(statSync(out).size).toBeLessThan(MIB);
      expect(sameDisk(out, to, text, 'raw')).toBe(true);
    }
  });

  it('takes options as they are, commas too', async () => {
    const { out, context } = await run(raw, {
      to: 'qcow2',
      options: { cluster_size: '4k', lazy_refcounts: true, compat: '1.1' },
    });
    expect(info(out, 'qcow2')['cluster-size']).toBe(4096);
    expect(context.commands[0]).toContain('cluster_size=4k,compat=1.1,lazy_refcounts=on');
    // Taken for an option of its own, this would be refused as unknown.
    const error = await failureOf(run(raw, { to: 'qcow2', options: { preallocation: 'off,x=y' } }));
    expect(error.command?.tail.join()).toContain('off,x=y');
  });

  it('is told its format, always', async () => {
    const { context } = await run(made('qcow2'), { to: 'raw' });
    expect(context.commands.map((argv) => argv.slice(0, 5))).toEqual([
      ['qemu-img', 'check', '-q', '-f', 'qcow2'],
      ['qemu-img', 'convert', '-p', '-f', 'qcow2'],
    ]);
  });

  it('tells how far it is', async () => {
    const { context } = await run(raw, { to: 'qcow2' });
    expect(context.percents.at(-1)).toBe(100);
  });

  it('of several files is refused with a word on `merge`', async () => {
    const error = await failureOf(run([raw, raw], { to: 'raw' }));
    expect(error.code).toBe('bad-format');
    expect(error.hint).toContain('merge: input');
  });

  it('is not made without qemu-img', async () => {
    const { PATH } = process.env;
    process.env.PATH = '/nonexistent';
    try {
      expect((await failureOf(run(raw, { to: 'qcow2' }))).code).toBe('tool-missing');
    } finally {
      process.env.PATH = PATH;
    }
  });

  it.each([
    ['qcow2', []],
    ['qcow2', ['-c']],
    ['vmdk', []],
    ['vdi', []],
    ['vpc', []],
    ['vhdx', []],
  ])(
    'that is cut off is refused, though qemu-img takes what is missing for zeros: %s %j',
    async (format, options) => {
      const path = made(format, ...options);
      const copy = join(await freshDir(), 'cut');
      await writeFile(copy, readFileSync(path));
      truncateSync(copy, Math.floor(statSync(path).size / 3));
      const { code } = await failureOf(run(copy, { to: 'raw' }));
      expect(['corrupt-input', 'command-failed']).toContain(code);
      if (format === 'qcow2' || format === 'vdi') expect(code).toBe('corrupt-input');
    },
  );

  it('whose counts a crash left behind is read all the same', async () => {
    const path = join(await freshDir(), 'crashed');
    await writeFile(path, readFileSync(made('qcow2')));
    const file = await open(path, 'r+');
    const header = Buffer.alloc(72);
    await file.read(header, 0, 72, 0);
    // The first block of counts, all zero: nothing counts as used.
    const table = Buffer.alloc(8);
    await file.read(table, 0, 8, Number(header.readBigUInt64BE(48)));
    await file.write(Buffer.alloc(200), 0, 200, Number(table.readBigUInt64BE()));
    await file.close();
    expect(sameDisk((await run(path, { to: 'raw' })).out, 'raw', raw, 'raw')).toBe(true);
  });

  it('that qemu-img cannot read is its error', async () => {
    const path = join(await freshDir(), 'damaged');
    const bytes = readFileSync(made('qcow2'));
    // As many clusters as no image has.
    bytes.writeUInt32BE(0xffffffff, 36);
    await writeFile(path, bytes);
    const error = await failureOf(run(path, { to: 'raw' }));
    expect(error.code).toBe('command-failed');
    expect(error.command?.tail.join()).toContain('L1');
  });
});

describe('size', () => {
  it('is that of the disk afterwards', async () => {
    for (const to of ['raw', 'qcow2']) {
      const { out } = await run(raw, { to, size: '20M' });
      expect(info(out, to)['virtual-size']).toBe(20 * MIB);
    }
    expect(info((await run(raw, { to: 'raw', size: 24 * MIB })).out, 'raw')['virtual-size']).toBe(24 * MIB);
    expect(info((await run(raw, { to: 'raw', size: '+1.5M' })).out, 'raw')['virtual-size']).toBe(17.5 * MIB);
  });

  it('that is the same changes nothing', async () => {
    const { context } = await run(raw, { to: 'raw', size: '16M' });
    expect(context.commands.map(([, command]) => command)).toEqual(['info', 'convert']);
  });

  it('that would cut the disk is refused before any work', async () => {
    const error = await failureOf(run(made('qcow2'), { to: 'raw', size: '8M' }));
    expect(error.code).toBe('size-mismatch');
    expect(error.message).toContain('8388608 bytes are less than the 16777216 bytes');
  });
});

describe('the format of the input', () => {
  it.each(FORMATS)('%s is told by its content', async (format) => {
    expect(await withImage(format === 'raw' ? raw : made(format), probe)).toBe(format);
  });

  it.each([
    ['qed', 'qed', []],
    ['parallels', 'parallels', []],
    ['qcow', 'qcow', []],
    ['vpc', 'vpc', ['-o', 'subformat=fixed']],
    ['vmdk', 'vmdk', ['-c', '-o', 'subformat=streamOptimized']],
    ['vmdk', 'vmdk', ['-o', 'subformat=monolithicFlat']],
    ['qcow2', 'qcow2', ['-o', 'compat=0.10']],
  ])('%s is told by its content, made as %s %j', async (format, made_, options) => {
    expect(await withImage(made(made_, ...options), probe)).toBe(format);
  });

  it('is raw for anything else, however short', async () => {
    for (const bytes of [Buffer.alloc(0), Buffer.from('QF'), Buffer.alloc(4096)]) {
      const path = join(dir, 'short');
      await writeFile(path, bytes);
      expect(await withImage(path, probe)).toBe('raw');
    }
  });

  it('is what its producer says, not what a guest wrote to its first sector', async () => {
    const place = await freshDir();
    const secret = join(await freshDir(), 'secret');
    await writeFile(secret, seededBytes('secret', MIB));
    const disguised = await rawThatLooksLikeQcow2(place, secret);
    for (const [fields, format] of [
      [{ to: 'raw' }, 'raw'],
      [{ to: 'raw', from: 'raw' }, undefined],
    ] as const) {
      const { out } = await run(disguised, fields, format);
      expect(readFileSync(out).equals(readFileSync(disguised))).toBe(true);
    }
    expect((await failureOf(run(disguised, { to: 'raw' }))).code).toBe('unsafe-image');
  });

  it('that is declared wrongly is an error', async () => {
    for (const from of ['qcow2', 'vmdk', 'vdi', 'vhdx', 'vpc', 'qed', 'luks']) {
      const error = await failureOf(run(raw, { to: 'raw', from }));
      expect(error.code).toBe('bad-format');
      expect(error.message).toContain(`is no ${from} image`);
    }
  });
});

describe('an image that names another file', () => {
  const cases: readonly EvilImage[] = [
    'backing file',
    'relative backing file',
    'json backing file',
    'data file',
    'raw data file',
    'vmdk backing file',
    'vmdk extent',
  ];

  it.each(cases)('is refused: %s', async (evil) => {
    const place = await freshDir();
    const secret = join(place, 'secret');
    await writeFile(secret, seededBytes('secret', MIB));
    const image = await evilImage(await freshDir(), secret, evil);
    for (const fields of [{ to: 'raw' }, { to: 'raw', from: evil.startsWith('vmdk') ? 'vmdk' : 'qcow2' }]) {
      const error = await failureOf(run(image, fields));
      expect(error.code).toBe('unsafe-image');
      expect(error.message).toContain(evil === 'vmdk backing file' ? 'base.vmdk' : 'secret');
    }
  });

  it('is refused before its producer said what it is, and after', async () => {
    const secret = join(await freshDir(), 'secret');
    await writeFile(secret, seededBytes('secret', MIB));
    const image = await evilImage(await freshDir(), secret, 'backing file');
    expect((await failureOf(run(image, { to: 'raw' }, 'qcow2'))).code).toBe('unsafe-image');
  });

  it('is refused when it is a QED, VDI, VHD, or old qcow', async () => {
    const patch = async (format: string, options: string[], offset: number, bytes: number[]) => {
      const path = made(format, ...options);
      const copy = join(await freshDir(), 'evil');
      await writeFile(copy, readFileSync(path));
      const file = await open(copy, 'r+');
      const at = offset < 0 ? (await file.stat()).size + offset : offset;
      await file.write(Buffer.from(bytes), 0, bytes.length, at);
      await file.close();
      return failureOf(run(copy, { to: 'raw' }));
    };
    // The feature bit of a backing file; the types for differencing images; the length of a backing file's name.
    expect((await patch('qed', [], 16, [1])).code).toBe('unsafe-image');
    expect((await patch('vdi', [], 0x4c, [4])).code).toBe('unsafe-image');
    expect((await patch('vpc', [], 60, [0, 0, 0, 4])).code).toBe('unsafe-image');
    expect((await patch('vpc', ['-o', 'subformat=fixed'], -512 + 60, [0, 0, 0, 4])).code).toBe(
      'unsafe-image',
    );
    expect((await patch('qcow', [], 16, [0, 0, 0, 9])).code).toBe('unsafe-image');
  });

  it('is refused when it is a VMDK whose descriptor is hidden from its header', async () => {
    const path = made('vmdk');
    const bytes = readFileSync(path);
    // The header points elsewhere; qemu-img looks at byte 512 all the same.
    bytes.writeBigUInt64LE(BigInt(bytes.length / 512), 28);
    bytes.write('parentFileNameHint="/etc/shadow"\n', 512 + 600);
    const copy = join(await freshDir(), 'evil');
    await writeFile(copy, bytes);
    const error = await failureOf(run(copy, { to: 'raw' }));
    expect(error.code).toBe('unsafe-image');
    expect(error.message).toContain('/etc/shadow');
    // Without a capacity, the embedded descriptor's extents are opened.
    const other = readFileSync(path);
    other.writeBigUInt64LE(0n, 12);
    await writeFile(copy, other);
    expect((await failureOf(run(copy, { to: 'raw' }))).code).toBe('unsafe-image');
  });
});

describe('the recipe', () => {
  it('is keyed with its defaults, however it is written', () => {
    const plain = { to: 'raw', compress: false, options: {}, sparse: 4096 };
    expect(convert.keyed({ convert: 'a', to: 'raw' })).toEqual(plain);
    expect(convert.keyed({ convert: 'b', to: 'raw', compress: 'false', options: {}, sparse: true })).toEqual(
      plain,
    );
    expect(convert.keyed({ convert: 'b', to: 'raw', sparse: '4k' })).toEqual(plain);
    expect(convert.keyed({ convert: 'a', to: 'raw', size: '1G' })).toEqual(
      convert.keyed({ convert: 'a', to: 'raw', size: 1024 ** 3 }),
    );
    expect(convert.keyed({ convert: 'a', to: 'raw', size: '+1G' })).toEqual({
      ...plain,
      size: `+${1024 ** 3}`,
    });
    expect(convert.keyed({ convert: 'a', to: 'raw', from: 'qcow2' })).toEqual({ ...plain, from: 'qcow2' });
    expect(convert.keyed({ convert: 'a', to: 'vmdk', compress: true })).toMatchObject({
      options: { subformat: 'streamOptimized' },
    });
  });

  it('says which program makes it and what comes out', () => {
    expect(convert.tools({ convert: 'a', to: 'raw' })).toEqual(['qemu-img']);
    expect(convert.imageFormat?.({ convert: 'a', to: 'vdi' }, 'raw')).toBe('vdi');
    expect(convert.references({ convert: 'a', to: 'raw' })).toEqual([
      { role: 'in', node: 'a', path: ['convert'] },
    ]);
  });

  it.each([
    ['to', {}],
    ['to', { to: 'iso' }],
    ['from', { to: 'raw', from: 'iso' }],
    ['compress', { to: 'raw', compress: true }],
    ['compress', { to: 'qcow2', compress: 'yes' }],
    ['size', { to: 'vdi', size: '1G' }],
    ['size', { to: 'raw', size: 'big' }],
    ['size', { to: 'raw', size: '-1G' }],
    ['size', { to: 'raw', size: '99999999E' }],
    ['sparse', { to: 'raw', sparse: 'x' }],
    ['options', { to: 'qcow2', options: 'x' }],
    ['options', { to: 'qcow2', options: { 'a,b': 'x' } }],
    ['options.x', { to: 'qcow2', options: { x: [] } }],
    ['backing_file', { to: 'qcow2', options: { backing_file: '/etc/shadow' } }],
    ['data_file', { to: 'qcow2', options: { data_file: '/tmp/x' } }],
    ['size', { to: 'qcow2', options: { size: '1G' } }],
    ['twoGbMaxExtentFlat', { to: 'vmdk', options: { subformat: 'twoGbMaxExtentFlat' } }],
  ])('is refused when it means nothing, with a word on %s: %j', async (word, fields) => {
    const error = await failureOf(Promise.resolve().then(() => convert.keyed({ convert: 'a', ...fields })));
    expect(error.code).toBe('manifest-invalid');
    expect(error.message).toContain(word);
  });
});

it('progress is read however the text is cut', () => {
  const said = Array.from({ length: 101 }, (_, i) => `    (${i}.25/100%)\r`).join('');
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }), (steps) => {
      const seen: number[] = [];
      const read = percentReader((done) => seen.push(done));
      for (let at = 0, n = 0; at < said.length; n++) {
        const step = steps[n % steps.length] ?? 1;
        read(said.slice(at, at + step));
        at += step;
      }
      expect(seen.at(-1)).toBe(100);
      expect(seen).toEqual([...seen].sort((a, b) => a - b));
    }),
  );
});

it('needs its input as a file', async () => {
  const context = await makeContext({ inputs: [streamed(Buffer.alloc(10))] });
  const making = makingOf(convert, { convert: 'a', to: 'raw' });
  if (making.by !== 'writing') throw new Error(making.by);
  await expect(making.write({ convert: 'a', to: 'raw' }, context)).rejects.toThrow('it streams');
});

it.skipIf(!has('mke2fs', 'e2fsck'))('a file system comes through whole and can be checked', async () => {
  const ext4 = join(await freshDir(), 'ext4.raw');
  execFileSync('sh', ['-c', `PATH=$PATH:/sbin:/usr/sbin mke2fs -q -F -t ext4 ${ext4} 32M`]);
  const there = await run(ext4, { to: 'qcow2', compress: true });
  const back = await run(there.out, { to: 'raw' });
  expect(readFileSync(back.out).equals(readFileSync(ext4))).toBe(true);
  execFileSync('sh', ['-c', `PATH=$PATH:/sbin:/usr/sbin e2fsck -fn ${back.out}`], { stdio: 'pipe' });
});
