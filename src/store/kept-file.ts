// Files that only spare work: behind a checksum, replaced whole, and as good as absent wherever something is the matter.
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { crcHex, sumHex } from '../model/crc.js';
import { errorCode, uniqueName, writeAllSync } from './files.js';

const SUM_LENGTH = 9;

/** What was kept; undefined when there is nothing that is whole and may be read. */
export function readKeptFile(path: string): Buffer | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    return undefined;
  }
  const body = bytes.subarray(SUM_LENGTH);
  return bytes.toString('latin1', 0, SUM_LENGTH) === `${crcHex(body)} ` ? body : undefined;
}

/**
 * Only its user may read it. False when it could not be kept: a folder that cannot be written to, no room, or a build that puts
 * things in order.
 * @param body its pieces, which need not be put together
 * @param tmp folder for what is not yet whole; a build removes what a killed process left there
 */
export function writeKeptFile(path: string, tmp: string, body: readonly Uint8Array[]): boolean {
  const temporary = join(tmp, uniqueName());
  const sum = body.reduce((before, piece) => crc32(piece, before), 0);
  try {
    mkdirSync(dirname(path), { recursive: true });
    const fd = openSync(temporary, 'wx', 0o600);
    try {
      for (const piece of [Buffer.from(`${sumHex(sum)} `), ...body]) writeAllSync(fd, piece);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
    return true;
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    rmSync(temporary, { force: true });
    return false;
  }
}

/** For one that misled. One that cannot be removed will mislead again, and be found out again. */
export function forgetKeptFile(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
  }
}
