import { execFileSync, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { damagedTars, type EvilImage, evilImage, evilTars, evilZips, rawThatLooksLikeQcow2 } from './evil.js';
import { type Compression, compress, tarGz, vswarmRelease, zipFile } from './images.js';
import { seededBytes } from './random.js';
import { paxEntry, tarBytes } from './tar.js';
import { has, tool } from './tools.js';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'res-rig-test-'));
});
afterAll(() => rm(dir, { recursive: true }));

describe.skipIf(!has('mke2fs', 'e2fsck', 'qemu-img'))('a vSwarm-u release', () => {
  it('has all assets, and its parts lead back to the reference image', async () => {
    const release = await vswarmRelease({ os: 'jammy', arch: 'arm64' });
    expect(release.parts.length).toBeGreaterThan(2);
    expect(release.parts.slice(0, 2)).toEqual([
      'disk-image-jammy-arm64.qcow2.tar.gz.aa',
      'disk-image-jammy-arm64.qcow2.tar.gz.ab',
    ]);
    expect(Object.keys(release.assets).sort()).toEqual(
      [...release.parts, release.sums, 'vmlinux-jammy-arm64', 'test-client-arm64'].sort(),
    );
    const parts = release.parts.map((name) => release.assets[name]?.path ?? '');
    const out = join(dir, 'unpacked');
    await mkdir(out);
    await tool(['sh', '-c', 'out=$1; shift; cat "$@" | tar -xzf - -C "$out"', 'sh', out, ...parts]);
    await tool(['sha256sum', '--check', '--strict', release.assets[release.sums]?.path ?? ''], { cwd: out });
    const qcow2 = join(out, 'temp', 'disk-image.qcow2');
    await tool(['qemu-img', 'compare', '-f', 'qcow2', '-F', 'raw', qcow2, release.raw]);
    await tool(['e2fsck', '-fn', release.raw]);
    const raw = await stat(release.raw);
    expect(raw.blocks * 512).toBeLessThan(raw.size / 2);
    const sizes = await Promise.all(
      Object.values(release.assets).map(async ({ path }) => (await stat(path)).size),
    );
    expect(release.totalBytes).toBe(sizes.reduce((sum, size) => sum + size, 0));
  });

  it('is made once for the same options, and differs by version', async () => {
    const options = { size: { sizeMiB: 8, dataMiB: 1 } };
    const once = await vswarmRelease(options);
    const again = await vswarmRelease(options);
    const other = await vswarmRelease({ ...options, version: 'v0.2.0' });
    expect(again).toEqual(once);
    expect(again.raw).toBe(once.raw);
    const kernels = [once, other].map((one) => readFile(one.assets[one.kernel]?.path ?? ''));
    expect((await kernels[0])?.equals((await kernels[1]) ?? Buffer.alloc(0))).toBe(false);
  });
});

it.each<[Compression, string[]]>([
  ['gzip', ['gzip', '-dc']],
  ['xz', ['xz', '-dc']],
  ['zstd', ['zstd', '-dcq']],
  ['bzip2', ['bzip2', '-dc']],
])('%s by the program of that name', async (format, [program = '', ...args]) => {
  if (!has(program)) return;
  const bytes = seededBytes(format, 100_000);
  await writeFile(join(dir, 'plain'), bytes);
  await compress(join(dir, 'plain'), format, join(dir, `plain.${format}`));
  const back = execFileSync(program, [...args, join(dir, `plain.${format}`)]);
  expect(back.equals(bytes)).toBe(true);
});

it('tar.gz and zip with one member under the name asked for', async () => {
  const bytes = seededBytes('member', 50_000);
  await writeFile(join(dir, 'member'), bytes);
  await tarGz(join(dir, 'a.tar.gz'), join(dir, 'member'), 'temp/x.bin');
  expect(execFileSync('tar', ['-xzOf', join(dir, 'a.tar.gz'), 'temp/x.bin']).equals(bytes)).toBe(true);
  expect(execFileSync('tar', ['-tzf', join(dir, 'a.tar.gz')], { encoding: 'utf8' })).toBe('temp/x.bin\n');
  await zipFile(join(dir, 'a.zip'), join(dir, 'member'), 'temp/x.bin');
  const python =
    "import sys,zipfile; z=zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; sys.stdout.buffer.write(z.read('temp/x.bin'))";
  if (has('python3')) {
    expect(execFileSync('python3', ['-c', python, join(dir, 'a.zip')]).equals(bytes)).toBe(true);
  }
});

it('tar written by hand is what tar reads', () => {
  const long = `${'d/'.repeat(80)}file`;
  const archive = tarBytes([
    { name: 'a.txt', body: 'a\n' },
    paxEntry({ path: long }),
    { name: 'x', body: 'b\n' },
  ]);
  const listed = execFileSync('tar', ['-tf', '-'], { input: archive, encoding: 'utf8' });
  expect(listed.trim().split('\n')).toEqual(['a.txt', long]);
});

describe('evil archives', () => {
  const outside = '/tmp/res-rig-outside/victim';
  /** GNU tar takes these for the end of an archive. */
  const TAR_TAKES = ['empty', 'cut in a header'];

  it.each([...evilTars(outside)])('tar: %s is a well-formed archive', (_title, archive) => {
    const { status, stdout } = spawnSync('tar', ['-tPf', '-'], { input: archive, encoding: 'utf8' });
    expect(status).toBe(0);
    expect(stdout.split('\n').filter((line) => line !== '').length).toBeGreaterThan(1);
  });

  it('tar: the names are the evil ones', () => {
    const names = [...evilTars(outside).values()].map((archive) =>
      execFileSync('tar', ['-tPf', '-'], { input: archive, encoding: 'utf8' }),
    );
    const count = (name: string) => names.filter((list) => list.split('\n').includes(name)).length;
    expect(count('../victim')).toBe(2);
    expect(count(outside)).toBe(2);
    expect(count('door/victim')).toBe(2);
  });

  it.each([...damagedTars()].filter(([title]) => !TAR_TAKES.includes(title)))(
    'tar: %s is refused by tar',
    (_title, archive) => {
      expect(spawnSync('tar', ['-xOf', '-'], { input: archive }).status).not.toBe(0);
    },
  );

  it.skipIf(!has('python3'))('zip: each is a well-formed archive with the name as written', async () => {
    const python =
      'import sys,zipfile; print("\\n".join(i.orig_filename for i in zipfile.ZipFile(sys.argv[1]).infolist()))';
    const names = new Map<string, string[]>();
    for (const [title, archive] of evilZips(outside)) {
      await writeFile(join(dir, 'evil.zip'), archive);
      const listed = execFileSync('python3', ['-c', python, join(dir, 'evil.zip')], { encoding: 'utf8' });
      names.set(title, listed.trim().split('\n'));
    }
    expect(names.get('parent')).toContain('../victim');
    expect(names.get('absolute')).toContain(outside);
    expect(names.get('backslash')).toContain('..\\victim');
    expect(names.get('duplicate names')).toEqual(['good.txt', 'good.txt']);
  });
});

describe.skipIf(!has('qemu-img'))('evil images', () => {
  let secret: string;
  const bytes = seededBytes('secret', 1024 * 1024);
  beforeAll(async () => {
    await mkdir(join(dir, 'images'));
    secret = join(dir, 'secret');
    await writeFile(secret, bytes);
  });
  const read = async (image: string, format: string) => {
    await tool(['qemu-img', 'convert', '-f', format, '-O', 'raw', image, join(dir, 'images', 'out.raw')]);
    return readFile(join(dir, 'images', 'out.raw'));
  };

  it.each<[EvilImage, string]>([
    ['backing file', 'qcow2'],
    ['relative backing file', 'qcow2'],
    ['json backing file', 'qcow2'],
    ['raw data file', 'qcow2'],
    ['vmdk extent', 'vmdk'],
  ])('%s: a careless convert reads the secret', async (evil, format) => {
    const image = await evilImage(join(dir, 'images'), secret, evil);
    expect((await read(image, format)).equals(bytes)).toBe(true);
    expect((await readFile(secret)).equals(bytes)).toBe(true);
  });

  it.each<[EvilImage, string]>([
    ['data file', 'secret'],
    ['vmdk backing file', 'base.vmdk'],
  ])('%s: the image names another file', async (evil, name) => {
    const image = await evilImage(join(dir, 'images'), secret, evil);
    const info = await tool(['qemu-img', 'info', '-U', image]);
    expect(info).toMatch(new RegExp(`(data|backing) file: .*${basename(name)}`));
  });

  it('raw that looks like qcow2: only with its format given it is what it is', async () => {
    const raw = await rawThatLooksLikeQcow2(join(dir, 'images'), secret);
    expect((await read(raw, 'raw')).equals(await readFile(raw))).toBe(true);
    expect((await read(raw, 'qcow2')).equals(bytes)).toBe(true);
  });
});
