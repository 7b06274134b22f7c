// Files as a build needs them: durable renames, copies that stay sparse, and failures that say what to do.
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  fsync,
  lstatSync,
  openSync,
  readSync,
  type Stats,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs';
import {
  chmod,
  copyFile,
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  rm,
  stat,
  statfs,
  symlink,
} from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { ResError } from '../model/error.js';
import { openSparseWriter } from './sparse.js';

export { openSparseWriter, type SparseWriter } from './sparse.js';

export interface CopyOptions {
  readonly signal?: AbortSignal;
  /** Called with the bytes done since the last call, holes included. */
  readonly onBytes?: (bytes: number) => void;
}

const COPY_BUFFER = 1024 * 1024;

/** The `code` of a system error (`ENOENT`), undefined for anything else. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** A name that nothing else has, beside `path` and hidden, so that a rename to `path` is atomic. */
export function tempBeside(path: string): string {
  return join(dirname(path), `.${basename(path).slice(0, 180)}.${uniqueName()}.tmp`);
}

export function uniqueName(): string {
  return `${process.pid}-${randomBytes(6).toString('hex')}`;
}

/** As `mkdir -p`. Node's own never returns where a file system refuses new folders with ENOENT (/proc, autofs). */
export async function makeAll(path: string): Promise<void> {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  if ((await makeOne(path)) === 'made') return;
  // Where the one above is there by now, another has made it since; where it always was, the second try fails for good.
  if (!existsSync(dirname(path))) await makeAll(dirname(path));
  if ((await makeOne(path)) === 'made') return;
  // Removed again, or refused: let the system say what is the matter.
  await mkdir(path);
}

async function makeOne(path: string): Promise<'made' | 'nothing above'> {
  try {
    await mkdir(path);
    return 'made';
  } catch (error) {
    const code = errorCode(error);
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return 'made';
    if (code === 'ENOENT') return 'nothing above';
    throw error;
  }
}

export async function fsyncFile(path: string): Promise<void> {
  // To open and to close costs less than to wait for it.
  const fd = openSync(path, 'r');
  try {
    await sync(fd);
  } finally {
    closeSync(fd);
  }
}

const sync = promisify(fsync);

/** Syncs under way, and those that begin when they end, by directory. */
const syncing = new Map<string, Promise<void>>();
const nextSync = new Map<string, Promise<void>>();

/**
 * Makes a rename or a creation in this directory durable. File systems that cannot sync a directory need no such thing. Calls that
 * come while a sync of the same directory is under way share the next one.
 */
export function fsyncDir(path: string): Promise<void> {
  const current = syncing.get(path);
  if (!current) return beginSync(path);
  const shared = nextSync.get(path);
  if (shared) return shared;
  const next = current
    .catch(() => undefined)
    .then(() => {
      nextSync.delete(path);
      return beginSync(path);
    });
  nextSync.set(path, next);
  return next;
}

function beginSync(path: string): Promise<void> {
  const sync = syncDirNow(path).finally(() => {
    if (syncing.get(path) === sync) syncing.delete(path);
  });
  syncing.set(path, sync);
  return sync;
}

async function syncDirNow(path: string): Promise<void> {
  try {
    await fsyncFile(path);
  } catch (error) {
    const code = errorCode(error);
    if (code !== 'EINVAL' && code !== 'ENOTSUP' && code !== 'EBADF') throw error;
  }
}

/** Puts a file, or a directory with all below it, on disk. Rejects with the system's error. */
export async function fsyncAll(path: string): Promise<void> {
  await fsyncTree(path, lstatSync(path));
}

/** Syncs under way at a time in one folder: a journal takes several at once for the time of one. */
const PARALLEL_SYNCS = 16;

async function fsyncTree(path: string, stats: Stats): Promise<void> {
  if (stats.isFile()) return fsyncFile(path);
  if (!stats.isDirectory()) return;
  const entries = await readdir(path, { withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ name }) => join(path, name));
  const sync = async () => {
    for (let file = files.pop(); file !== undefined; file = files.pop()) await fsyncFile(file);
  };
  const ends = await Promise.allSettled(Array.from({ length: Math.min(PARALLEL_SYNCS, files.length) }, sync));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  for (const entry of entries) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) await fsyncTree(child, lstatSync(child));
  }
  await fsyncDir(path);
}

/**
 * Gives a finished file or directory its final name: its bytes reach the disk before its name does. A file there is
 * replaced in one step; a directory there is replaced by a directory only.
 * Rejects with ResError `io`, `no-space`, `output-blocked`.
 */
export async function publish(temp: string, final: string): Promise<void> {
  try {
    await fsyncAll(temp);
    await renameOver(temp, final);
    await fsyncDir(dirname(final));
  } catch (error) {
    throw ioError(error, 'cannot put in place', final);
  }
}

async function renameOver(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    const code = errorCode(error);
    // rename(2) replaces an empty directory only.
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    const aside = tempBeside(to);
    await rename(to, aside);
    await rename(from, to);
    await rm(aside, { recursive: true });
  }
}

/** What a file system says that cannot share blocks between these two files. */
const NO_CLONE: ReadonlySet<string | undefined> = new Set([
  'ENOTSUP',
  'EOPNOTSUPP',
  'EXDEV',
  'EINVAL',
  'ENOSYS',
  'ENOTTY',
  'ETXTBSY',
]);

/**
 * A second file with the same bytes and mode that shares no inode with the first: sharing blocks where the file system can
 * (reflink), else copied with its holes. `to` must not exist. Not synced. Nothing is left at `to` on failure.
 * Rejects with ResError `io`, `no-space`, or with the signal's reason.
 */
export async function cloneOrCopy(
  from: string,
  to: string,
  o: CopyOptions = {},
): Promise<'cloned' | 'copied'> {
  o.signal?.throwIfAborted();
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
    if (o.onBytes) o.onBytes((await stat(to)).size);
    return 'cloned';
  } catch (error) {
    if (!NO_CLONE.has(errorCode(error))) throw ioError(error, `cannot copy ${from} to`, to);
  }
  await copySparse(from, to, o);
  return 'copied';
}

async function copySparse(from: string, to: string, o: CopyOptions): Promise<void> {
  const source = await open(from, 'r').catch((error: unknown) => {
    throw ioError(error, 'cannot read', from);
  });
  try {
    const { mode, blocks } = await source.stat();
    const writer = await openSparseWriter(to).catch((error: unknown) => {
      throw ioError(error, 'cannot write', to);
    });
    try {
      await pump(source, (chunk) => writer.write(chunk), o);
      await writer.close();
      await chmod(to, mode & 0o777);
    } catch (error) {
      await writer.abort();
      o.signal?.throwIfAborted();
      throw ioError(error, `cannot copy ${from} to`, to, blocks * 512);
    }
  } finally {
    await source.close();
  }
}

/** Reads the next piece while the last one is worked on. */
async function pump(
  source: FileHandle,
  sink: (chunk: Uint8Array) => Promise<void>,
  o: CopyOptions,
): Promise<void> {
  let current = Buffer.allocUnsafe(COPY_BUFFER);
  let next = Buffer.allocUnsafe(COPY_BUFFER);
  let { bytesRead } = await source.read(current, 0, COPY_BUFFER, null);
  while (bytesRead > 0) {
    o.signal?.throwIfAborted();
    const [following] = await Promise.all([
      source.read(next, 0, COPY_BUFFER, null),
      sink(current.subarray(0, bytesRead)),
    ]);
    o.onBytes?.(bytesRead);
    [current, next] = [next, current];
    bytesRead = following.bytesRead;
  }
}

/** `cloneOrCopy` for a file, a directory with all below it, or a symbolic link (copied as it is). */
export async function copyTree(from: string, to: string, o: CopyOptions = {}): Promise<'cloned' | 'copied'> {
  const stats = await lstat(from);
  if (stats.isFile()) return cloneOrCopy(from, to, o);
  if (stats.isSymbolicLink()) {
    await symlink(await readlink(from), to);
    return 'cloned';
  }
  if (!stats.isDirectory())
    throw new ResError('io', `cannot copy ${from}: neither a file, a directory nor a link`);
  await mkdir(to);
  let how: 'cloned' | 'copied' = 'cloned';
  for (const name of await readdir(from)) {
    if ((await copyTree(join(from, name), join(to, name), o)) === 'copied') how = 'copied';
  }
  await chmod(to, stats.mode & 0o777);
  return how;
}

/**
 * Moves a file or directory, durably. Across file systems it is copied under a temporary name first, so that no reader
 * sees half of it and a crash leaves the original. What stands at `to` is replaced as in `publish`.
 * Rejects with ResError `io`, `no-space`, or with the signal's reason.
 */
export async function moveOrCopy(from: string, to: string, o: CopyOptions = {}): Promise<void> {
  try {
    await renameOver(from, to);
    await fsyncDir(dirname(to));
    return;
  } catch (error) {
    if (errorCode(error) !== 'EXDEV') throw ioError(error, `cannot move ${from} to`, to);
  }
  const temp = tempBeside(to);
  try {
    await copyTree(from, temp, o);
    await publish(temp, to);
  } catch (error) {
    await rm(temp, { recursive: true, force: true });
    o.signal?.throwIfAborted();
    throw ioError(error, `cannot move ${from} to`, to);
  }
  await rm(from, { recursive: true });
}

/**
 * Removes a folder of temporaries with all below it. On NFS a removed file that is still open keeps its folder for a moment;
 * should that not pass, the folder stays for the next time. Rejects with ResError `io`.
 */
export async function removeTemporaryFolder(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 4, retryDelay: 20 });
  } catch (error) {
    const code = errorCode(error);
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'EBUSY')
      throw ioError(error, 'cannot remove', path);
  }
}

/** Bytes that this user may still write on the file system that holds `path`, or will hold it once it exists. */
export async function freeBytes(path: string): Promise<number> {
  const { bavail, blocks, bsize } = await statfs(existingAncestor(path));
  // Some file systems count no blocks (/proc, some of networks): that says nothing of what may be written.
  return blocks === 0 ? Number.MAX_SAFE_INTEGER : bavail * bsize;
}

/** Whether a rename between the two can work: both are on one file system, or will be once they exist. */
export function sameDevice(a: string, b: string): boolean {
  return deviceOf(a) === deviceOf(b);
}

/** Of a link, that of the link: it is what a rename takes or replaces. */
function deviceOf(path: string): number {
  const own = lstatSync(path, { throwIfNoEntry: false });
  return (own ?? statSync(existingAncestor(dirname(path)))).dev;
}

function existingAncestor(path: string): string {
  let place = resolve(path);
  while (!isThere(place) && dirname(place) !== place) place = dirname(place);
  return place;
}

function isThere(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    // A link that leads back to itself leads nowhere.
    if (errorCode(error) !== 'ELOOP') throw error;
    return false;
  }
}

/** The topmost directory of the file system that holds `path`, or will hold it once it exists. */
export function mountPoint(path: string): string {
  let place = existingAncestor(path);
  const device = statSync(place).dev;
  while (dirname(place) !== place && statSync(dirname(place)).dev === device) place = dirname(place);
  return place;
}

/**
 * A system error as the user's: `doing` and `path` make the beginning of the message (`cannot write`, the path).
 * A ResError is returned as it is; a thing that is no system error is a bug and is thrown.
 * @param neededBytes how much was to be written in all, when known: the shortfall is then named.
 */
export function ioError(error: unknown, doing: string, path: string, neededBytes?: number): ResError {
  if (error instanceof ResError) return error;
  const code = errorCode(error);
  if (code === undefined || !(error instanceof Error) || !('syscall' in error)) throw error;
  const what = `${doing} ${path}`;
  const details = { cause: error };
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return noSpace(what, path, code, neededBytes, error);
    case 'EACCES':
    case 'EPERM':
      return new ResError('io', `${what}: permission denied`, {
        ...details,
        hint: 'Check the owner and mode of the file and of the folders above it.',
      });
    case 'EROFS':
      return new ResError('io', `${what}: the file system is read-only`, {
        ...details,
        hint: `Make ${mountPoint(path)} writable, or work elsewhere.`,
      });
    case 'EISDIR':
      return new ResError('output-blocked', `${what}: there is a directory of that name`, {
        ...details,
        hint: 'Move it away.',
      });
    case 'ENOTDIR':
      return new ResError('output-blocked', `${what}: a folder is expected where there is a file`, {
        ...details,
        hint: 'Move that file away.',
      });
    case 'ENOENT':
      return new ResError('io', `${what}: no such file or folder`, {
        ...details,
        hint: 'It was removed meanwhile, or a link on the way to it leads nowhere.',
      });
    case 'ELOOP':
      return new ResError('io', `${what}: a link leads back to itself`, {
        ...details,
        hint: 'Remove the link, or let it lead elsewhere.',
      });
    case 'ENAMETOOLONG':
      return new ResError('io', `${what}: the name is too long for the file system`, {
        ...details,
        hint: 'Most file systems take 255 bytes a name and 4096 a path: choose a shorter one, or work in a folder nearer to the root.',
      });
    case 'EFBIG':
      return new ResError('io', `${what}: too large a file`, {
        ...details,
        hint: 'Raise the limit (ulimit -f), or work on a file system that takes files of that size.',
      });
    case 'EBUSY':
    case 'ETXTBSY':
      return new ResError('io', `${what}: it is in use`, {
        ...details,
        hint: 'Find out which program uses it (fuser, lsof), and build again when that is done.',
      });
    case 'ESTALE':
    case 'EIO':
      return new ResError('io', `${what}: ${error.message}`, {
        ...details,
        hint: 'The file system has failed to answer. Build again; if it stays so, look into the log of the system (dmesg) and of the server.',
      });
    case 'EMFILE':
    case 'ENFILE':
      return new ResError('io', `${what}: too many open files`, {
        ...details,
        hint: 'Raise the limit (ulimit -n).',
      });
    default:
      return new ResError('io', `${what}: ${error.message}`, details);
  }
}

/** A program's words for it. */
const NO_SPACE_WORDS = /No space left on device|Disk quota exceeded/;

/**
 * Whether an error says that a file system is full: of a system call, of res, or of a program that was run.
 */
export function isNoSpace(error: unknown): boolean {
  if (!(error instanceof ResError)) return ['ENOSPC', 'EDQUOT'].includes(errorCode(error) ?? '');
  if (error.code === 'command-failed')
    return error.command?.tail.some((line) => NO_SPACE_WORDS.test(line)) ?? false;
  return error.code === 'no-space';
}

/** As the `no-space` of `ioError`, whatever said that there is none. */
export function noSpaceError(error: Error, doing: string, path: string, neededBytes?: number): ResError {
  const quota = errorCode(error) === 'EDQUOT';
  return noSpace(`${doing} ${path}`, path, quota ? 'EDQUOT' : 'ENOSPC', neededBytes, error);
}

function noSpace(
  what: string,
  path: string,
  code: string,
  neededBytes: number | undefined,
  cause: Error,
): ResError {
  const place = mountPoint(path);
  const { bavail, bsize } = statfsSync(place);
  const free = bavail * bsize;
  const why = code === 'EDQUOT' ? `your quota on ${place} is used up` : `no space left on ${place}`;
  const missing =
    neededBytes === undefined || neededBytes <= free
      ? `${bytesText(free)} free`
      : `${bytesText(neededBytes - free)} missing: ${bytesText(neededBytes)} needed, ${bytesText(free)} free`;
  return new ResError('no-space', `${what}: ${why} (${missing})`, {
    cause,
    hint: `Free space on ${place}, or move the store with RES_STORE. What is finished stays finished.`,
  });
}

/** `3.2 MiB`, for messages. */
export function bytesText(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** Bytes from `start` to `end` of an open file, or to its end. Throws the system's error. */
export function readRange(fd: number, start: number, end: number): Buffer {
  const bytes = Buffer.allocUnsafe(end - start);
  let done = 0;
  while (done < bytes.length) {
    const read = readSync(fd, bytes, done, bytes.length - done, start + done);
    if (read === 0) return bytes.subarray(0, done);
    done += read;
  }
  return bytes;
}

/** Writes all of it where the file stands. Throws the system's error. */
export function writeAllSync(fd: number, bytes: Uint8Array): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(fd, bytes, done, bytes.length - done);
}
