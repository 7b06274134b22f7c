// Files that only spare work: behind a checksum, replaced whole, and as good as absent wherever something is the matter.
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { crcHex } from '../model/crc.js';
import { errorCode, uniqueName } from './files.js';

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
 * @param tmp folder for what is not yet whole; a build removes what a killed process left there
 */
export function writeKeptFile(path: string, tmp: string, body: Buffer): boolean {
  const temporary = join(tmp, uniqueName());
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(temporary, Buffer.concat([Buffer.from(`${crcHex(body)} `), body]), {
      flag: 'wx',
      mode: 0o600,
    });
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
