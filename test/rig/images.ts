// Real disk images and releases, made by the programs that people make them with.

import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { runFolder } from './places.js';
import { seededBytes } from './random.js';
import { tool } from './tools.js';
import { zipBytes } from './zip.js';

const MIB = 1024 * 1024;
const MEMBER = 'temp/disk-image.qcow2';

export interface ImageSize {
  /** Of the file system; 16 by default. */
  readonly sizeMiB?: number;
  /** Of pseudo-random content in it; 3 by default. The rest are holes. */
  readonly dataMiB?: number;
}

/** Writes a sparse ext4 image with a small tree in it to `path`. Same seed, same content of files. */
export async function ext4Image(path: string, seed: string, size: ImageSize = {}): Promise<void> {
  const { sizeMiB = 16, dataMiB = 3 } = size;
  const tree = await mkdtemp(join(dirname(path), 'tree-'));
  await mkdir(join(tree, 'root'));
  await mkdir(join(tree, 'etc'));
  await writeFile(join(tree, 'etc', 'hostname'), `${seed}\n`);
  await writeFile(join(tree, 'root', 'run.sh'), '#!/bin/sh\necho ready\n', { mode: 0o755 });
  await symlink('run.sh', join(tree, 'root', 'start'));
  for (let n = 0; n < dataMiB; n += 64) {
    const bytes = seededBytes(`${seed} ${n}`, Math.min(64, dataMiB - n) * MIB);
    await writeFile(join(tree, 'root', `data-${n}.bin`), bytes);
  }
  await tool(['mke2fs', '-q', '-F', '-t', 'ext4', '-E', 'root_owner=0:0', '-d', tree, path, `${sizeMiB}M`]);
  await rm(tree, { recursive: true });
}

export type ImageFormat = 'raw' | 'qcow2' | 'vmdk' | 'vdi' | 'vhdx' | 'vpc';

/** `qemu-img convert`; `options` go before the paths (`-c`, `-o …`). */
export async function convertImage(
  from: { readonly path: string; readonly format: ImageFormat },
  to: { readonly path: string; readonly format: ImageFormat; readonly options?: readonly string[] },
): Promise<void> {
  const options = to.options ?? [];
  await tool(['qemu-img', 'convert', '-f', from.format, '-O', to.format, ...options, from.path, to.path]);
}

/** A gzipped tar at `path` with the file as its one member `member`. */
export async function tarGz(path: string, file: string, member: string): Promise<void> {
  const staging = await mkdtemp(join(dirname(path), 'staging-'));
  const tar = join(staging, 'member.tar');
  await mkdir(dirname(join(staging, member)), { recursive: true });
  await symlink(file, join(staging, member));
  await tool(['tar', '-C', staging, '-h', '--owner=0', '--group=0', '--mtime=@0', '-cf', tar, member]);
  await compress(tar, 'gzip', path);
  await rm(staging, { recursive: true });
}

/** Cuts a file in parts of `partSize` bytes, `PREFIX.aa`, `PREFIX.ab`, …; resolves with their paths in order. */
export async function splitFile(file: string, partSize: number, prefix: string): Promise<readonly string[]> {
  await tool(['split', '-b', String(partSize), file, `${prefix}.`]);
  const folder = dirname(prefix);
  const names = (await readdir(folder)).filter((name) => name.startsWith(`${basename(prefix)}.`));
  return names.sort().map((name) => join(folder, name));
}

export type Compression = 'gzip' | 'xz' | 'zstd' | 'bzip2';

const COMPRESSORS: Readonly<Record<Compression, string>> = {
  gzip: 'gzip -n -1 -c',
  xz: 'xz -0 -c',
  zstd: 'zstd -1 -q -c',
  bzip2: 'bzip2 -1 -c',
};

/** Compresses `file` to `path` with the program of that name. */
export async function compress(file: string, format: Compression, path: string): Promise<void> {
  await tool(['sh', '-c', `${COMPRESSORS[format]} < "$1" > "$2"`, 'sh', file, path]);
}

/** A zip at `path` with the file as its member; deflated. */
export async function zipFile(path: string, file: string, member: string): Promise<void> {
  await writeFile(path, zipBytes([{ name: member, body: await readFile(file) }]));
}

export interface VswarmOptions {
  /** Release tag; part of the seed, so that two versions differ. */
  readonly version?: string;
  readonly os?: 'focal' | 'jammy';
  readonly arch?: 'amd64' | 'arm64';
  /** Another seed, another content; the version, os and arch by default. */
  readonly seed?: string;
  /** Bytes; 1 MiB by default, which gives several parts. */
  readonly partSize?: number;
  readonly size?: ImageSize;
}

export interface VswarmRelease {
  readonly version: string;
  readonly os: string;
  readonly arch: string;
  /** By asset name, as `release()` of the server takes them. */
  readonly assets: Readonly<Record<string, { readonly path: string }>>;
  /** Names of the parts, in order. */
  readonly parts: readonly string[];
  readonly kernel: string;
  readonly client: string;
  readonly sums: string;
  /** Paths of what a build must give; only to be read. */
  readonly raw: string;
  readonly qcow2: string;
  readonly archive: string;
  /** Bytes of all assets. */
  readonly totalBytes: number;
}

/** All assets of one variant of a vSwarm-u release. The same options give the same files within one test run. */
export async function vswarmRelease(options: VswarmOptions = {}): Promise<VswarmRelease> {
  const { version = 'v0.3.0', os = 'focal', arch = 'amd64', partSize = MIB, size = {} } = options;
  const seed = options.seed ?? `${version} ${os} ${arch}`;
  const { sizeMiB = 16, dataMiB = 3 } = size;
  const name = `vswarm ${seed} ${os} ${arch} ${partSize} ${sizeMiB} ${dataMiB}`.replace(/[^\w.]+/g, '-');
  const kernel = `vmlinux-${os}-${arch}`;
  const client = `test-client-${arch}`;
  const image = `disk-image-${os}-${arch}.qcow2`;
  const dir = await cached(name, async (folder) => {
    const work = join(folder, 'work');
    const assets = join(folder, 'assets');
    await mkdir(join(work, 'temp'), { recursive: true });
    await mkdir(assets);
    const raw = join(work, 'reference.raw');
    const qcow2 = join(work, MEMBER);
    await ext4Image(raw, seed, { sizeMiB, dataMiB });
    await convertImage({ path: raw, format: 'raw' }, { path: qcow2, format: 'qcow2' });
    await tarGz(join(work, 'image.tar.gz'), qcow2, MEMBER);
    await splitFile(join(work, 'image.tar.gz'), partSize, join(assets, `${image}.tar.gz`));
    await writeFile(join(assets, `${image}.sums`), await tool(['sha256sum', MEMBER], { cwd: work }));
    await writeFile(join(assets, kernel), elfLike(`kernel ${seed}`, 300_000));
    await writeFile(join(assets, client), elfLike(`client ${seed}`, 40_000));
  });
  const names = (await readdir(join(dir, 'assets'))).sort();
  const sizes = await Promise.all(names.map(async (one) => (await stat(join(dir, 'assets', one))).size));
  return {
    version,
    os,
    arch,
    assets: Object.fromEntries(names.map((one) => [one, { path: join(dir, 'assets', one) }])),
    parts: names.filter((one) => one.startsWith(`${image}.tar.gz.`)),
    kernel,
    client,
    sums: `${image}.sums`,
    raw: join(dir, 'work', 'reference.raw'),
    qcow2: join(dir, 'work', MEMBER),
    archive: join(dir, 'work', 'image.tar.gz'),
    totalBytes: sizes.reduce((sum, one) => sum + one, 0),
  };
}

function elfLike(seed: string, size: number): Buffer {
  return Buffer.concat([Buffer.from('\x7fELF\x02\x01\x01', 'latin1'), seededBytes(seed, size)]);
}

/** A folder filled once a run, whichever worker comes first. */
async function cached(name: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const place = join(runFolder(), name);
  if (existsSync(place)) return place;
  const making = await mkdtemp(`${place}-making-`);
  await fill(making);
  try {
    await rename(making, place);
  } catch (error) {
    // Another worker was faster: its folder is as good.
    if (!existsSync(place)) throw error;
    await rm(making, { recursive: true });
  }
  return place;
}
