// Small files of a shared store: JSON behind a checksum, replaced whole, so that a reader finds all of one or nothing.
import { readFileSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { crcHex } from '../model/crc.js';
import type { Json } from '../model/json.js';
import { errorCode, fsyncDir, ioError } from './files.js';
import { groupOf, makeStoreFolder, openToGroup } from './group.js';
import { nameOfOwn } from './holder.js';

/**
 * Puts the file in place, durably. Rejects with ResError `io` or `no-space`.
 * @param root of the store, which decides whom the file is open to
 * @param tmp a folder of this process's own on the store's file system; without it, that of the store
 */
export async function writeChecked(root: string, path: string, value: Json, tmp?: string): Promise<void> {
  const json = JSON.stringify(value);
  const temp = join(tmp ?? join(root, 'tmp'), nameOfOwn());
  try {
    await makeStoreFolder(root, dirname(temp));
    await makeStoreFolder(root, dirname(path), { durable: true });
    try {
      const file = await open(temp, 'wx');
      try {
        await file.writeFile(`${crcHex(json)} ${json}\n`);
        await openToGroup(groupOf(root), temp);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temp, path);
    } catch (error) {
      await rm(temp, { force: true });
      throw error;
    }
    await fsyncDir(dirname(path));
  } catch (error) {
    throw ioError(error, 'cannot write', path);
  }
}

/** Undefined when there is none, or none that is whole and may be read. Throws ResError `io`. */
export function readChecked(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    // What another user keeps to himself is as good as absent.
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'EACCES') return undefined;
    throw ioError(error, 'cannot read', path);
  }
  const json = text.slice(9, -1);
  if (!text.endsWith('\n') || text.slice(0, 9) !== `${crcHex(json)} `) return undefined;
  return JSON.parse(json);
}
