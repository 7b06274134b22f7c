// The records of builds: a file each in `.res/builds`, whose name begins with the time.
import { randomBytes } from 'node:crypto';
import { lstat, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuildRecord } from '../model/build-record.js';
import { isBuildRecord } from './build-record.generated.js';
import { errorCode, ioError, tempBeside } from './files.js';

const NAME = /^\d{8}-\d{6}-\d{3}-[0-9a-f]{4}\.json$/;

/** @param started ms since 1970 */
export function newBuildId(started: number): string {
  const digits = new Date(started).toISOString().replace(/\D/g, '');
  const random = randomBytes(2).toString('hex');
  return [digits.slice(0, 8), digits.slice(8, 14), digits.slice(14), random].join('-');
}

/** When it began, ms since 1970; undefined for what is no name of a record. */
export function buildTime(file: string): number | undefined {
  if (!NAME.test(file)) return undefined;
  const iso = file.replace(/^(....)(..)(..)-(..)(..)(..)-(...).*/, '$1-$2-$3T$4:$5:$6.$7Z');
  return Date.parse(iso);
}

/** Of all builds that left a record, the newest first. Rejects with ResError `io`. */
export async function buildIds(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return [];
    throw ioError(error, 'cannot read', folder);
  });
  return names
    .filter((name) => NAME.test(name))
    .map((name) => name.slice(0, -'.json'.length))
    .toSorted()
    .toReversed();
}

/** Undefined when it is not there or is no record that this program can read. Rejects with ResError `io`. */
export async function readBuild(folder: string, id: string): Promise<BuildRecord | undefined> {
  const path = join(folder, `${id}.json`);
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw ioError(error, 'cannot read', path);
  });
  if (text === undefined) return undefined;
  const value = parse(text);
  return isBuildRecord(value) ? value : undefined;
}

/** The newest that can be read, and is no older than 20 others. Rejects with ResError `io`. */
export async function lastBuild(folder: string): Promise<BuildRecord | undefined> {
  for (const id of (await buildIds(folder)).slice(0, 20)) {
    const record = await readBuild(folder, id);
    if (record) return record;
  }
  return undefined;
}

/** Most records that stay. */
const RECORDS = 100;
/** All of them together; one of a build of 500 nodes takes some 300 KiB. */
const RECORDS_BYTES = 100 * 1024 ** 2;

/**
 * Those that are too many or too large together, or older than is asked for. The newest is never among them: it is what the next build
 * is compared with. Rejects as `bytesOf` does.
 * @param names of files in the folder @param bytesOf a file @param since ms since 1970
 */
export async function outdatedBuilds(
  names: readonly string[],
  bytesOf: (name: string) => Promise<number>,
  since = Number.NEGATIVE_INFINITY,
): Promise<readonly string[]> {
  const outdated: string[] = [];
  let [kept, bytes] = [0, 0];
  for (const name of names.toSorted().toReversed()) {
    const isRecent = kept < RECORDS && (buildTime(name) ?? since) >= since;
    // What goes anyhow is not looked at.
    if (isRecent) bytes += await bytesOf(name);
    if (kept === 0 || (isRecent && bytes <= RECORDS_BYTES)) kept++;
    else outdated.push(name);
  }
  return outdated;
}

/**
 * Removes what became too much with a record that was just written. Rejects with the system's error.
 * @param bytes of that record
 */
export async function pruneBuilds(folder: string, bytes: number): Promise<void> {
  // The others are weighed after a large one only: so they take less than twice as much as they may, and `gc` is exact.
  const isLarge = bytes > RECORDS_BYTES / RECORDS;
  const names = (await readdir(folder)).filter((name) => NAME.test(name));
  const bytesOf = async (name: string) => (isLarge ? (await lstat(join(folder, name))).size : 0);
  for (const name of await outdatedBuilds(names, bytesOf)) await rm(join(folder, name), { force: true });
}

/**
 * Gives the bytes that it wrote. Rejects with the system's error. A crash leaves no record or one that is left out; nothing depends on
 * them.
 */
export async function writeBuild(folder: string, record: BuildRecord): Promise<number> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${record.id}.json`);
  const temp = tempBeside(path);
  try {
    const bytes = Buffer.from(`${JSON.stringify(record)}\n`);
    await writeFile(temp, bytes, { flag: 'wx' });
    await rename(temp, path);
    return bytes.length;
  } catch (error) {
    await rm(temp, { force: true });
    throw error;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Torn by a crash: as good as none.
    return undefined;
  }
}
