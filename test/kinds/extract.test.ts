import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { deflateRawSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { checkLinkTarget } from '../../src/kinds/archive.js';
import { extract } from '../../src/kinds/extract.js';
import { type KindInput, makingOf } from '../../src/kinds/kind.js';
import type { JsonObject } from '../../src/model/json.js';
import { evilTars, evilZips } from '../rig/evil.js';
import { compress } from '../rig/images.js';
import { seededBytes } from '../rig/random.js';
import { type TarEntry, tarBytes } from '../rig/tar.js';
import { zipBytes } from '../rig/zip.js';
import {
  collect,
  failureOf,
  freshDir,
  makeContext,
  removeTemporary,
  stored,
  streamed,
  type TestContext,
} from './context.js';

afterAll(removeTemporary);

async function member(
  pattern: string,
  input: Uint8Array | KindInput,
): Promise<{ bytes: Buffer; context: TestContext }> {
  const context = await makeContext({ inputs: ['stream' in input ? input : streamed(input)] });
  const recipe = { extract: 'input', member: pattern };
  const making = makingOf(extract, recipe);
  if (making.by !== 'streaming') throw new Error(making.by);
  return { bytes: await collect(making.open(recipe, context)), context };
}

async function all(input: Uint8Array | KindInput, fields: JsonObject = {}): Promise<string> {
  const out = await freshDir();
  const context = await makeContext({ inputs: ['stream' in input ? input : streamed(input)], out });
  const recipe = { extract: 'input', ...fields };
  const making = makingOf(extract, recipe);
  if (making.by !== 'filling') throw new Error(making.by);
  await making.fill(recipe, context);
  return out;
}

async function treeOf(dir: string): Promise<string[]> {
  return (await readdir(dir, { recursive: true })).sort();
}

const image = seededBytes('image', 3_000_000);
const vswarm: readonly TarEntry[] = [
  { name: './temp/', type: '5' },
  { name: './temp/readme', body: 'read me\n' },
  { name: './temp/disk-image.qcow2', body: image },
  { name: './temp/tool', body: '#!/bin/sh\n', mode: 0o755 },
];

describe('a member', () => {
  it.each(['**/disk-image.qcow2', 'temp/disk-image.qcow2', './temp/disk-image.qcow2', 'temp/*.qcow2'])(
    'is found as %s',
    async (pattern) => {
      const { bytes, context } = await member(pattern, tarBytes(vswarm));
      expect(bytes.equals(image)).toBe(true);
      expect(context.members).toEqual([{ name: 'temp/disk-image.qcow2', executable: false }]);
    },
  );

  it('is said to be a program when the archive says so', async () => {
    expect((await member('**/tool', tarBytes(vswarm))).context.members).toEqual([
      { name: 'temp/tool', executable: true },
    ]);
    const zip = zipBytes([{ name: 'tool', body: 'x', mode: 0o100755 }]);
    expect((await member('tool', zip)).context.members).toEqual([{ name: 'tool', executable: true }]);
  });

  it.each(['gzip', 'xz', 'zstd', 'bzip2'] as const)('is taken from a tar in %s', async (format) => {
    const dir = await freshDir();
    writeFileSync(join(dir, 'a.tar'), tarBytes(vswarm));
    await compress(join(dir, 'a.tar'), format, join(dir, 'a'));
    expect((await member('**/disk-image.qcow2', readFileSync(join(dir, 'a')))).bytes.equals(image)).toBe(
      true,
    );
  });

  it('is found by its very name, whatever characters that has', async () => {
    const archive = tarBytes([
      { name: 'disk[1].{img}', body: 'one' },
      { name: 'disk1.img', body: 'other' },
    ]);
    expect((await member('disk[1].{img}', archive)).bytes.toString()).toBe('one');
  });

  it('is found below folders with a dot', async () => {
    expect((await member('**/x', tarBytes([{ name: '.hidden/x', body: 'x' }]))).bytes.toString()).toBe('x');
  });

  it('is expanded when the archive holds it as a sparse file', async () => {
    const dir = await freshDir();
    writeFileSync(join(dir, 'disk.raw'), 'boot');
    truncateSync(join(dir, 'disk.raw'), 30_000_000);
    // As images for Google's cloud are made.
    const archive = execFileSync('tar', ['-C', dir, '--format=oldgnu', '-Sczf', '-', 'disk.raw']);
    expect(archive.length).toBeLessThan(20_000);
    expect((await member('disk.raw', archive)).bytes.equals(readFileSync(join(dir, 'disk.raw')))).toBe(true);
  });

  it('that is not there: the error lists what is', async () => {
    const error = await failureOf(member('**/kernel', tarBytes(vswarm)));
    expect(error.code).toBe('member-not-found');
    expect(error.message).toBe('input has no file that matches "**/kernel"');
    expect(error.hint).toBe('It holds:\n  temp/readme\n  temp/disk-image.qcow2\n  temp/tool');
    const many = tarBytes(Array.from({ length: 30 }, (_, i) => ({ name: `f${i}` })));
    expect((await failureOf(member('x', many))).hint).toMatch(/ {2}f19\n {2}… and 10 more$/);
  });

  it('that could be several: the error lists them', async () => {
    const error = await failureOf(member('temp/*', tarBytes(vswarm)));
    expect(error.code).toBe('member-not-found');
    expect(error.hint).toContain('temp/readme\n  temp/disk-image.qcow2');
  });

  it('that is a link: the error says where to', async () => {
    const soft = tarBytes([{ name: 'vmlinux', type: '2', link: 'vmlinux-5.4' }]);
    expect((await failureOf(member('vmlinux', soft))).message).toContain(
      'is a symlink to "vmlinux-5.4", not a file',
    );
    const hard = tarBytes([
      { name: 'a', body: 'x' },
      { name: 'b', type: '1', link: 'a' },
    ]);
    expect((await failureOf(member('b', hard))).message).toContain('is a hardlink to "a"');
  });

  it('is found beside a link that the glob matches too', async () => {
    const archive = tarBytes([
      { name: 'vmlinux', type: '2', link: 'vmlinux-5.4' },
      { name: 'vmlinux-5.4', body: 'ELF' },
    ]);
    expect((await member('vmlinux*', archive)).bytes.toString()).toBe('ELF');
  });

  it('that is there twice is refused, also after it was streamed', async () => {
    for (const archive of [
      tarBytes([
        { name: 'a', body: '1' },
        { name: './a', body: '2' },
      ]),
      zipBytes([
        { name: 'a', body: '1' },
        { name: 'a', body: '2' },
      ]),
    ]) {
      expect((await failureOf(member('a', archive))).code).toBe('unsafe-archive');
    }
  });

  it('is not taken from an archive that is cut off behind it', async () => {
    const archive = tarBytes([...vswarm, { name: 'later', body: seededBytes('later', 100_000) }]);
    const gzipped = gzipSync(archive);
    const cuts = [archive.subarray(0, archive.length - 50_000), gzipped.subarray(0, gzipped.length - 4)];
    for (const cut of cuts)
      expect((await failureOf(member('**/disk-image.qcow2', cut))).code).toBe('corrupt-input');
  });

  it('ends its source when the consumer stops', async () => {
    const input = streamed(gzipSync(tarBytes(vswarm)), { step: 5000 });
    const context = await makeContext({ inputs: [input] });
    const recipe = { extract: 'input', member: '**/*.qcow2' };
    const making = makingOf(extract, recipe);
    if (making.by !== 'streaming') throw new Error(making.by);
    for await (const piece of making.open(recipe, context)) {
      expect(piece.length).toBeGreaterThan(0);
      break;
    }
    expect(input.source.ended).toBe(true);
  });

  it('is given up when the build is stopped', async () => {
    const stop = new AbortController();
    const input = streamed(tarBytes(vswarm), { step: 5000 });
    const context = await makeContext({ inputs: [input], signal: stop.signal });
    const recipe = { extract: 'input', member: '**/*.qcow2' };
    const making = makingOf(extract, recipe);
    if (making.by !== 'streaming') throw new Error(making.by);
    const reason = new Error('stopped');
    const read = async () => {
      for await (const piece of making.open(recipe, context)) if (piece) stop.abort(reason);
    };
    await expect(read()).rejects.toBe(reason);
    expect(input.source.ended).toBe(true);
  });
});

describe('zip', () => {
  it('is read whether it streams or lies in a file', async () => {
    const dir = await freshDir();
    mkdirSync(join(dir, 'in/temp'), { recursive: true });
    writeFileSync(join(dir, 'in/temp/disk-image.qcow2'), image);
    writeFileSync(join(dir, 'in/temp/grün'), 'green');
    execFileSync('zip', ['-qr', '../a.zip', '.'], { cwd: join(dir, 'in') });
    const bytes = readFileSync(join(dir, 'a.zip'));
    const inputs: (Uint8Array | KindInput)[] = [
      bytes,
      streamed(bytes, { step: 1000 }),
      stored([join(dir, 'a.zip')]),
    ];
    for (const input of inputs) {
      expect((await member('**/disk-image.qcow2', input)).bytes.equals(image)).toBe(true);
    }
    expect(readFileSync(join(await all(stored([join(dir, 'a.zip')])), 'temp/grün'), 'utf8')).toBe('green');
  });

  it.each([
    ['its 64 bit form', 'zip -q -fz out.zip a && cat out.zip'],
    ['the form that goes through a pipe', 'zip -q - a | cat'],
    ['the form without compression', 'zip -q -0 out.zip a && cat out.zip'],
  ])('is read in %s', async (_form, command) => {
    const dir = await freshDir();
    writeFileSync(join(dir, 'a'), image);
    const bytes = execFileSync('sh', ['-c', command], { cwd: dir, maxBuffer: 1 << 26 });
    expect((await member('a', bytes)).bytes.equals(image)).toBe(true);
  });

  it('holds links and programs', async () => {
    const dir = await freshDir();
    mkdirSync(join(dir, 'in'));
    writeFileSync(join(dir, 'in/run'), '#!/bin/sh\n');
    chmodSync(join(dir, 'in/run'), 0o755);
    symlinkSync('run', join(dir, 'in/start'));
    execFileSync('zip', ['-qyr', '../a.zip', '.'], { cwd: join(dir, 'in') });
    const out = await all(stored([join(dir, 'a.zip')]));
    expect(readlinkSync(join(out, 'start'))).toBe('run');
    expect(statSync(join(out, 'run')).mode & 0o777).toBe(0o755);
  });

  it('that is encrypted is refused with a word on it', async () => {
    const dir = await freshDir();
    writeFileSync(join(dir, 'a'), 'secret');
    execFileSync('zip', ['-q', '-P', 'password', 'a.zip', 'a'], { cwd: dir });
    const error = await failureOf(member('a', stored([join(dir, 'a.zip')])));
    expect(error.code).toBe('bad-format');
    expect(error.message).toContain('is encrypted');
  });

  it('with a wrong checksum is refused', async () => {
    const bytes = zipBytes([{ name: 'a', body: 'content', store: true }]);
    bytes.write('CONTENT', bytes.indexOf('content'));
    expect((await failureOf(member('a', bytes))).message).toContain('checksum');
  });

  it('that is cut off is refused, wherever', async () => {
    const bytes = zipBytes([
      { name: 'a', body: seededBytes('z', 300) },
      { name: 'b', body: 'b' },
    ]);
    for (let length = 4; length < bytes.length; length += 7) {
      expect((await failureOf(member('a', bytes.subarray(0, length)))).code).toBe('corrupt-input');
    }
  });

  it('with a method that is unknown is refused with a word on it', async () => {
    const bytes = zipBytes([{ name: 'a', body: 'content' }]);
    bytes.writeUInt16LE(12, 8);
    bytes.writeUInt16LE(12, bytes.indexOf('PK\x01\x02') + 10);
    const error = await failureOf(member('a', bytes));
    expect(error.code).toBe('bad-format');
    expect(error.message).toContain('method 12');
  });
});

describe('what is no archive', () => {
  it('is refused with its first bytes', async () => {
    const error = await failureOf(member('a', Buffer.from('just text, no archive')));
    expect(error.code).toBe('bad-format');
    expect(error.message).toContain('6a 75 73 74 20 74 "just t"');
    expect((await failureOf(all(Buffer.alloc(0)))).message).toContain('empty');
  });

  it('is refused with a word on `decompress` when it is compressed', async () => {
    const error = await failureOf(member('a', gzipSync('just text')));
    expect(error.code).toBe('bad-format');
    expect(error.hint).toContain('`decompress`');
  });
});

describe('a directory', () => {
  it('is what tar makes of the same archive', async () => {
    const dir = await freshDir();
    mkdirSync(join(dir, 'in/a/b'), { recursive: true });
    writeFileSync(join(dir, 'in/a/small'), 'small');
    writeFileSync(join(dir, 'in/a/b/large'), image);
    writeFileSync(join(dir, 'in/run'), 'x');
    chmodSync(join(dir, 'in/run'), 0o4750);
    symlinkSync('../small', join(dir, 'in/a/b/up'));
    symlinkSync('a/b', join(dir, 'in/down'));
    execFileSync('ln', ['in/a/small', 'in/a/b/hard'], { cwd: dir });
    const archive = execFileSync('tar', ['-C', join(dir, 'in'), '-czf', '-', '.'], { maxBuffer: 1 << 26 });
    const out = await all(archive);
    expect(execFileSync('diff', ['-r', '--no-dereference', join(dir, 'in'), out]).toString()).toBe('');
    expect(statSync(join(out, 'run')).mode & 0o7777).toBe(0o755);
    expect(statSync(join(out, 'a/small')).mode & 0o7777).toBe(0o644);
    // A copy: writing to one name of it changes no other.
    expect(statSync(join(out, 'a/b/hard')).nlink).toBe(1);
  });

  it('has holes where a file has zeros', async () => {
    const out = await all(
      tarBytes([{ name: 'disk.raw', body: Buffer.concat([Buffer.from('boot'), Buffer.alloc(8_000_000)]) }]),
    );
    const { size, blocks } = statSync(join(out, 'disk.raw'));
    expect(size).toBe(8_000_004);
    expect(blocks * 512).toBeLessThan(200_000);
  });

  it('loses leading folders by `strip`, and what has no more of them', async () => {
    const archive = tarBytes([
      { name: 'pax_global', body: 'x' },
      { name: 'linux-5.4/', type: '5' },
      { name: 'linux-5.4/Makefile', body: 'all:\n' },
      { name: 'linux-5.4/a/b', body: 'b' },
      { name: 'linux-5.4/a/c', type: '1', link: 'linux-5.4/a/b' },
    ]);
    expect(await treeOf(await all(archive, { strip: 1 }))).toEqual(['Makefile', 'a', 'a/b', 'a/c']);
    expect(await treeOf(await all(archive, { strip: '2' }))).toEqual(['b', 'c']);
  });

  it('refuses names that become one by `strip`', async () => {
    const archive = tarBytes([
      { name: 'a/x', body: '1' },
      { name: 'b/x', body: '2' },
    ]);
    expect((await failureOf(all(archive, { strip: 1 }))).code).toBe('unsafe-archive');
  });

  it('may name a folder twice, and after what is in it', async () => {
    const archive = tarBytes([
      { name: 'a/b', body: 'b' },
      { name: 'a', type: '5' },
      { name: './a/', type: '5' },
    ]);
    expect(await treeOf(await all(archive))).toEqual(['a', 'a/b']);
  });
});

describe('an archive that is not to be trusted', () => {
  const outside = join(process.env.TMPDIR ?? '/tmp', `res-outside-${process.pid}`);

  for (const [kind, archives] of [
    ['tar', evilTars(outside)],
    ['zip', evilZips(outside)],
  ] as const) {
    it.each([...archives])(`${kind}: %s`, async (title, bytes) => {
      const out = join(await freshDir(), 'in', 'out');
      mkdirSync(out, { recursive: true });
      const context = await makeContext({ inputs: [streamed(bytes)], out });
      const making = makingOf(extract, { extract: 'input' });
      if (making.by !== 'filling') throw new Error(making.by);
      const error = await failureOf(making.fill({ extract: 'input' }, context));
      expect(error.code).toBe(title === 'size that is a lie' ? 'corrupt-input' : 'unsafe-archive');
      expect(error.message).toContain('input');
      expect(existsSync(outside)).toBe(false);
      // Only below `out` is anything there.
      expect(await readdir(dirname(out))).toEqual(['out']);
    });
  }

  it.each([
    ['empty name', { name: '' }],
    ['only dots', { name: './.' }],
    ['backslash', { name: 'a\\..\\b' }],
    ['no UTF-8', { name: 'a\ufffd' }],
    ['file as folder', { name: 'file/x' }],
    ['link to itself as parent', { name: 'file', type: '2', link: 'x' }],
    ['empty link', { name: 'l', type: '2', link: '' }],
    ['link down and up', { name: 'a/l', type: '2', link: 'x/../../..' }],
    ['hard link to a folder', { name: 'l', type: '1', link: 'folder' }],
    ['hard link to what comes later', { name: 'l', type: '1', link: 'later' }],
    ['hard link to itself', { name: 'l', type: '1', link: 'l' }],
    ['folder where a file is', { name: 'file', type: '5' }],
    ['file where a folder is', { name: 'folder', body: 'x' }],
  ] satisfies [string, TarEntry][])('%s', async (_title, entry) => {
    const archive = tarBytes([
      { name: 'file', body: 'x' },
      { name: 'folder', type: '5' },
      entry,
      { name: 'later', body: 'x' },
    ]);
    const error = await failureOf(all(archive));
    expect(error.code).toBe('unsafe-archive');
    expect(error.message).toContain(JSON.stringify(entry.name));
  });

  it('a zero byte in a name', async () => {
    const zip = zipBytes([{ name: 'a\0b', body: 'x' }]);
    expect((await failureOf(all(zip))).code).toBe('unsafe-archive');
  });

  it('leaves links as they are when they stay within', async () => {
    const out = await all(
      tarBytes([
        { name: 'a/b/l', type: '2', link: '../../c/./d' },
        { name: 'here', type: '2', link: '.' },
        { name: 'a/top', type: '2', link: '..' },
      ]),
    );
    expect(readlinkSync(join(out, 'a/b/l'))).toBe('../../c/./d');
    expect(lstatSync(join(out, 'here')).isSymbolicLink()).toBe(true);
  });

  it('a link that is let through leads nowhere outside, whatever its target', () => {
    const step = fc.constantFrom('..', '.', 'a', 'b', '');
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 4 }),
        (steps, depth) => {
          const target = steps.join('/');
          const segments = Array.from({ length: depth }, () => 'd');
          let allowed = true;
          try {
            checkLinkTarget('thing', 'l', segments, target);
          } catch {
            allowed = false;
          }
          // Reads the target as a system does, with every name a real folder.
          let level = depth - 1;
          let lowest = level;
          for (const one of steps) {
            if (one === '..') level--;
            else if (one !== '.' && one !== '') level++;
            lowest = Math.min(lowest, level);
          }
          if (target.startsWith('/') || lowest < 0) expect(allowed).toBe(false);
        },
      ),
    );
  });
});

describe('the recipe', () => {
  it('decides how the result is made and keyed', () => {
    expect(extract.keyed({ extract: 'a', member: 'x' })).toEqual({ member: 'x' });
    expect(extract.keyed({ extract: 'a' })).toEqual({ strip: 0 });
    expect(extract.keyed({ extract: 'a', strip: '2' })).toEqual({ strip: 2 });
    expect(extract.references({ extract: 'a', member: 'x' })).toEqual([
      { role: 'in', node: 'a', path: ['extract'] },
    ]);
  });

  it('is refused when it means nothing', async () => {
    for (const fields of [{ strip: -1 }, { strip: 'x' }, { strip: 1, member: 'x' }, { member: '' }]) {
      const error = await failureOf(Promise.resolve().then(() => extract.keyed({ extract: 'a', ...fields })));
      expect(error.code).toBe('manifest-invalid');
    }
  });
});

it('a zip that was deflated in one block of 8 MiB takes no more than it says', async () => {
  const body = Buffer.alloc(8 * 1024 * 1024);
  expect(deflateRawSync(body).length).toBeLessThan(10_000);
  expect((await member('a', zipBytes([{ name: 'a', body }]))).bytes.equals(body)).toBe(true);
});
