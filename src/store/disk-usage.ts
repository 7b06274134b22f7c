// Bytes that files take on disk: a disk image is mostly holes, and its length says little.
import { lstatSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from './files.js';

/** Of Linux and macOS alike. */
const BLOCK = 512;

/** Bytes on disk of a file, or of all files below a directory; 0 when nothing is there. Rejects with the system's error. */
export async function diskUsage(path: string): Promise<number> {
  try {
    const stats = lstatSync(path);
    let bytes = stats.blocks * BLOCK;
    if (!stats.isDirectory()) return bytes;
    for (const name of await readdir(path)) bytes += await diskUsage(join(path, name));
    return bytes;
  } catch (error) {
    // Others may remove things meanwhile.
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return 0;
    throw error;
  }
}
