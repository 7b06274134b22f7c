// What sort of file system a folder lies on, in the word that people know.
import { statfs } from 'node:fs/promises';

/** By the number that Linux has for it (statfs(2)). */
const NAMES: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x2fc12fc1, 'zfs'],
  [0x01021994, 'tmpfs'],
  [0x794c7630, 'overlayfs'],
  [0x6969, 'nfs'],
  [0xff534d42, 'cifs'],
  [0xfe534d42, 'smb'],
  [0x65735546, 'fuse'],
  [0x01021997, '9p'],
  [0x0bd00bd0, 'lustre'],
  [0x47504653, 'gpfs'],
  [0x19830326, 'beegfs'],
  [0x00c36400, 'ceph'],
  [0xf2f52010, 'f2fs'],
  [0xca451a4e, 'bcachefs'],
  [0x4d44, 'vfat'],
  [0x2011bab0, 'exfat'],
]);

/** Null where it cannot be told. */
export async function fileSystemName(folder: string): Promise<string | null> {
  if (process.platform !== 'linux') return null;
  const { type } = await statfs(folder).catch(() => ({ type: undefined }));
  if (type === undefined) return null;
  return NAMES.get(type >>> 0) ?? `type 0x${(type >>> 0).toString(16)}`;
}
