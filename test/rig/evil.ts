// Archives and images that try to read or write what they must not.
import { writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { paxEntry, type TarEntry, tarBytes } from './tar.js';
import { tool } from './tools.js';
import { type ZipEntry, zipBytes } from './zip.js';

/**
 * Tar archives by what is wrong with them. `outside` is an absolute path that an extraction must never create or
 * change; each archive also has an honest member `good.txt`.
 */
export function evilTars(outside: string): ReadonlyMap<string, Buffer> {
  const name = basename(outside);
  const folder = dirname(outside);
  const good: TarEntry = { name: 'good.txt', body: 'good\n' };
  const evil = { body: 'evil\n' };
  const cases: Readonly<Record<string, readonly TarEntry[]>> = {
    parent: [good, { name: `../${name}`, ...evil }],
    'parent in the middle': [good, { name: `a/../../${name}`, ...evil }],
    absolute: [good, { name: outside, ...evil }],
    'absolute by pax': [good, paxEntry({ path: outside }), { name: 'harmless', ...evil }],
    'parent by long name': [
      good,
      { name: '././@LongLink', type: 'L', body: `../${name}\0` },
      { name: 'harmless', ...evil },
    ],
    'through a symbolic link': [
      good,
      { name: 'door', type: '2', link: folder },
      { name: `door/${name}`, ...evil },
    ],
    'through a relative symbolic link': [
      good,
      { name: 'door', type: '2', link: '..' },
      { name: `door/${name}`, ...evil },
    ],
    'through two symbolic links': [
      good,
      { name: 'a', type: '5' },
      { name: 'a/up', type: '2', link: '..' },
      { name: 'a/door', type: '2', link: 'up/..' },
      { name: `a/door/${name}`, ...evil },
    ],
    'symbolic link to the outside': [good, { name: 'leak', type: '2', link: outside }],
    'hard link to the outside': [good, { name: 'leak', type: '1', link: outside }],
    'hard link to the parent': [good, { name: 'leak', type: '1', link: `../${name}` }],
    'over a symbolic link of its own': [
      good,
      { name: 'x', type: '2', link: outside },
      { name: 'x', ...evil },
    ],
    'character device': [good, { name: 'null', type: '3' }],
    'block device': [good, { name: 'disk', type: '4' }],
    fifo: [good, { name: 'pipe', type: '6' }],
    'duplicate names': [good, { name: 'good.txt', ...evil }],
    'duplicate names, spelt differently': [good, { name: './good.txt', ...evil }],
  };
  return new Map(Object.entries(cases).map(([title, entries]) => [title, tarBytes(entries)]));
}

/** Tar archives that are damaged, by what is wrong with them. */
export function damagedTars(): ReadonlyMap<string, Buffer> {
  const good: TarEntry = { name: 'good.txt', body: 'good\n' };
  const whole = tarBytes([good, { name: 'big.bin', body: Buffer.alloc(4096, 7) }]);
  return new Map([
    ['bad checksum', tarBytes([{ ...good, badChecksum: true }])],
    ['cut in a body', whole.subarray(0, 512 * 4)],
    ['cut in a header', whole.subarray(0, 512 * 2 + 100)],
    ['size beyond the end', tarBytes([{ ...good, claimedSize: 1_000_000 }])],
    ['not a tar', Buffer.alloc(4096, 'not a tar ')],
    ['empty', Buffer.alloc(0)],
  ]);
}

/** As `evilTars`, for zip. */
export function evilZips(outside: string): ReadonlyMap<string, Buffer> {
  const name = basename(outside);
  const good: ZipEntry = { name: 'good.txt', body: 'good\n' };
  const evil = { body: 'evil\n' };
  const cases: Readonly<Record<string, readonly ZipEntry[]>> = {
    parent: [good, { name: `../${name}`, ...evil }],
    'parent in the middle': [good, { name: `a/../../${name}`, ...evil }],
    absolute: [good, { name: outside, ...evil }],
    backslash: [good, { name: `..\\${name}`, ...evil }],
    'symbolic link to the outside': [good, { name: 'leak', mode: 0o120777, body: outside }],
    'through a symbolic link': [
      good,
      { name: 'door', mode: 0o120777, body: dirname(outside) },
      { name: `door/${name}`, ...evil },
    ],
    'duplicate names': [good, { name: 'good.txt', ...evil }],
    'size that is a lie': [good, { name: 'bomb', body: Buffer.alloc(8 * 1024 * 1024), claimedSize: 10 }],
  };
  return new Map(Object.entries(cases).map(([title, entries]) => [title, zipBytes(entries)]));
}

export type EvilImage =
  | 'backing file'
  | 'relative backing file'
  | 'json backing file'
  | 'data file'
  | 'raw data file'
  | 'vmdk backing file'
  | 'vmdk extent';

const LENGTH = 1024 * 1024;

/**
 * An image in `dir` that makes a careless `qemu-img convert` read `secret` (an existing file, 1 MiB or longer).
 * Resolves with its path; its format is qcow2, or vmdk for the last two.
 */
export async function evilImage(dir: string, secret: string, evil: EvilImage): Promise<string> {
  const qcow2 = join(dir, 'evil.qcow2');
  const vmdk = join(dir, 'evil.vmdk');
  const backed = (path: string, format: string, backing: string) =>
    tool(['qemu-img', 'create', '-q', '-u', '-f', format, '-b', backing, '-F', 'raw', path, String(LENGTH)]);
  switch (evil) {
    case 'backing file':
      await backed(qcow2, 'qcow2', secret);
      return qcow2;
    case 'relative backing file':
      await backed(qcow2, 'qcow2', `../${basename(secret)}`);
      return qcow2;
    case 'json backing file':
      await backed(
        qcow2,
        'qcow2',
        `json:${JSON.stringify({ driver: 'raw', file: { driver: 'file', filename: secret } })}`,
      );
      return qcow2;
    case 'data file':
    case 'raw data file': {
      // Made with a file of its own, then the name in the header is replaced: creating would write to the secret.
      const decoy = join(dir, 'decoy');
      const raw = evil === 'raw data file' ? 'on' : 'off';
      const options = `data_file=${decoy},data_file_raw=${raw}`;
      await tool(['qemu-img', 'create', '-q', '-f', 'qcow2', '-o', options, qcow2, String(LENGTH)]);
      await tool(['qemu-img', 'amend', '-q', '-f', 'qcow2', '-o', `data_file=${secret}`, qcow2]);
      return qcow2;
    }
    case 'vmdk backing file':
      await tool(['qemu-img', 'create', '-q', '-f', 'vmdk', join(dir, 'base.vmdk'), String(LENGTH)]);
      await tool([
        'qemu-img',
        'create',
        '-q',
        '-f',
        'vmdk',
        '-b',
        join(dir, 'base.vmdk'),
        '-F',
        'vmdk',
        vmdk,
      ]);
      return vmdk;
    case 'vmdk extent':
      await writeFile(
        vmdk,
        [
          '# Disk DescriptorFile',
          'version=1',
          'CID=fffffffe',
          'parentCID=ffffffff',
          'createType="monolithicFlat"',
          `RW ${LENGTH / 512} FLAT "${secret}" 0`,
          'ddb.adapterType = "ide"',
          '',
        ].join('\n'),
      );
      return vmdk;
  }
}

/** Raw disk content that begins like a qcow2 which names `secret`: probing it would read that file. */
export async function rawThatLooksLikeQcow2(dir: string, secret: string): Promise<string> {
  const qcow2 = await evilImage(dir, secret, 'backing file');
  const raw = join(dir, 'looks-like-qcow2.raw');
  await tool(['sh', '-c', 'cp "$1" "$2" && truncate -s %1M "$2" && rm "$1"', 'sh', qcow2, raw]);
  return raw;
}
