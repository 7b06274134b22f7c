// A bundle taken apart in a folder. It is content from outside: only what its index names is taken, everything is held against its
// digest before anything is put in its place, and no file of the user's is replaced.
import { createReadStream } from 'node:fs';
import { lstat, mkdir, mkdtemp, open, readdir, realpath, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join, relative, sep } from 'node:path';
import { createGunzip } from 'node:zlib';
import { type ArchiveEntry, plainName, unsafe } from '../kinds/archive.js';
import { readTar } from '../kinds/tar.js';
import { unpack } from '../kinds/unpack.js';
import { type Digest, sha256Digest } from '../model/digest.js';
import type { Env } from '../model/env.js';
import { ResError } from '../model/error.js';
import { SharedStore } from '../plan/shared.js';
import { digestDirectory } from '../store/directory.js';
import { errorCode, freeBytes, ioError, moveOrCopy } from '../store/files.js';
import { algorithmOf, digestFile } from '../store/hashing.js';
import { acquireLock } from '../store/lock.js';
import { ObjectStore } from '../store/objects.js';
import { ownsStore, prepareWorkspace, workspacePaths } from '../store/paths.js';
import { registrations } from '../store/registry.js';
import { openState } from '../store/state.js';
import {
  type BundledFile,
  type BundledObject,
  type BundleIndex,
  decodeIndex,
  FILES,
  INDEX,
  MAX_INDEX,
  objectName,
} from './bundle-index.js';
import type { LockWorkspaceOptions } from './lock-workspace.js';

export interface UnbundleReport {
  /** Absolute. */
  readonly dir: string;
  readonly manifest: string;
  readonly nodes: readonly string[];
  readonly flags: readonly string[];
  /** Files that were there already, with the same content, count too. */
  readonly files: number;
  readonly objects: number;
}

/**
 * Rejects with ResError `bad-format`, `corrupt-input`, `unsafe-archive`, `checksum-mismatch` for what is no whole bundle as res
 * makes it; `output-foreign` when a file is there with other content; `io`, `no-space`; or with the signal's reason. Then nothing
 * was put in its place.
 * @param dir absolute; made where it is not there
 */
export async function unbundle(
  file: string,
  dir: string,
  o: Pick<LockWorkspaceOptions, 'onWait'> & { readonly env: Env; readonly signal: AbortSignal },
): Promise<UnbundleReport> {
  const name = basename(file);
  const { signal } = o;
  const paths = workspacePaths(dir, o.env);
  const entries = readTar(await bytesOf(file), name);
  try {
    const index = await readIndex(entries, name);
    await checkRoom(index, dir, name);
    const there = await filesThere(index, dir);
    const isNew = (await lstat(paths.root).catch(() => undefined)) === undefined;
    await mkdir(dir, { recursive: true });
    await prepareWorkspace(paths);
    const lock = await acquireLock(join(paths.root, 'lock'), {
      describe: 'res unbundle',
      signal,
      ...(o.onWait ? { onWait: o.onWait } : {}),
    });
    const staging = await mkdtemp(join(paths.tmp, 'unbundle-'));
    let done = false;
    try {
      await unpack(expected(entries, index, name), staging, { archive: name, strip: 0, signal });
      await verify(index, staging, name, signal);
      await install(index, staging, dir, there);
      await keep(index, staging, dir, paths);
      done = true;
    } finally {
      await rm(staging, { recursive: true, force: true });
      await lock.release();
      if (!done && isNew) await rm(paths.root, { recursive: true, force: true });
    }
    const { manifest, nodes, flags, files, objects } = index;
    return { dir, manifest, nodes, flags, files: files.length, objects: objects.length };
  } catch (error) {
    signal.throwIfAborted();
    throw ioError(error, 'cannot unpack', file);
  } finally {
    await entries.return(undefined);
  }
}

/** Unpacked where it is compressed. */
async function bytesOf(file: string): Promise<AsyncIterable<Uint8Array>> {
  try {
    const handle = await open(file, 'r');
    const head = Buffer.alloc(2);
    await handle.read(head, 0, 2, 0);
    await handle.close();
    const bytes = createReadStream(file);
    if (head.readUInt16BE(0) !== 0x1f8b) return bytes;
    return unzipped(bytes, basename(file));
  } catch (error) {
    throw ioError(error, 'cannot read', file);
  }
}

async function* unzipped(bytes: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  const unzip = createGunzip();
  const source = (async () => {
    for await (const piece of bytes) if (!unzip.write(piece)) await drained(unzip);
    unzip.end();
  })();
  source.catch((error: unknown) => unzip.destroy(error instanceof Error ? error : new Error(String(error))));
  try {
    for await (const piece of unzip) yield piece;
  } catch (error) {
    if (!/^Z_/.test(errorCode(error) ?? '')) throw error;
    throw new ResError('corrupt-input', `${name} is not a whole gzip file`, { cause: error });
  } finally {
    unzip.destroy();
  }
}

function drained(stream: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve) => {
    stream.once('drain', resolve);
    stream.once('close', resolve);
  });
}

async function readIndex(entries: AsyncGenerator<ArchiveEntry>, archive: string): Promise<BundleIndex> {
  const first = await entries.next().catch((error: unknown) => {
    if (error instanceof ResError && error.code === 'corrupt-input') throw noBundle(archive, error);
    throw error;
  });
  const entry = first.done ? undefined : first.value;
  if (entry?.name !== INDEX || entry.type !== 'file' || entry.size > MAX_INDEX) throw noBundle(archive);
  const pieces: Uint8Array[] = [];
  for await (const piece of entry.content()) pieces.push(piece);
  return decodeIndex(Buffer.concat(pieces), archive);
}

function noBundle(archive: string, cause?: unknown): ResError {
  return new ResError('bad-format', `${archive} is no bundle of res`, {
    hint: '`res bundle FILE NODE...` makes one.',
    ...(cause === undefined ? {} : { cause }),
  });
}

/** What an archive says of itself is no more than that: it is stopped here before it fills the disk. */
async function checkRoom({ files, objects }: BundleIndex, dir: string, archive: string): Promise<void> {
  // Images are mostly holes, of which nothing is known yet.
  const least = [...files, ...objects.filter(({ digest }) => digest.startsWith('sha256:'))];
  const needed = least.reduce((sum, { size }) => sum + size, 0);
  const free = await freeBytes(dir);
  if (needed <= free) return;
  throw new ResError('no-space', `${archive} unpacks to more than ${needed} bytes, and ${free} are free`, {
    hint: 'Make room, or unpack it on another disk.',
  });
}

/** Paths of files that are there with the same content. Rejects with ResError `output-foreign` for others. */
async function filesThere({ files }: BundleIndex, dir: string): Promise<ReadonlySet<string>> {
  const same = new Set<string>();
  const others: string[] = [];
  for (const { path, sha256, size } of files) {
    const at = join(dir, path);
    await checkParents(dir, at);
    const stats = await lstat(at).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
      throw ioError(error, 'cannot look at', at);
    });
    if (!stats) continue;
    const isSame =
      stats.isFile() &&
      stats.size === size &&
      (await digestFile(at, 'sha256')).digest === sha256Digest(sha256);
    if (isSame) same.add(path);
    else others.push(path);
  }
  const [first, ...more] = others;
  if (first === undefined) return same;
  const shown = more.length === 0 ? first : `${first} and ${more.length} more`;
  throw new ResError('output-foreign', `${shown} in ${dir} is not what the bundle has`, {
    hint: 'Nothing was put there. Unpack into another folder, or move the files away first.',
  });
}

/** A folder on the way may be a link that leads elsewhere. */
async function checkParents(dir: string, path: string): Promise<void> {
  const root = await realpath(dir).catch(() => dir);
  for (let parent = dirname(path); parent.length > dir.length; parent = dirname(parent)) {
    const real = await realpath(parent).catch(() => undefined);
    if (real === undefined) continue;
    const way = relative(root, real);
    if (way === '..' || way.startsWith(`..${sep}`)) {
      throw new ResError('unsafe-archive', `${parent} is a link that leads out of ${dir}`, {
        hint: 'Nothing was put there. Unpack into another folder.',
      });
    }
    return;
  }
}

/** Passes on what the index names, as often and as large as it says. */
async function* expected(
  entries: AsyncGenerator<ArchiveEntry>,
  { files, objects }: BundleIndex,
  archive: string,
): AsyncGenerator<ArchiveEntry> {
  const sizes = new Map<string, number>();
  for (const { path, size } of files) sizes.set(`${FILES}/${path}`, size);
  for (const object of objects) if (object.type === 'file') sizes.set(objectName(object), object.size);
  const folders = new Map(
    objects.filter(({ type }) => type === 'directory').map((object) => [objectName(object), object.size]),
  );
  for (;;) {
    const { value: entry, done } = await entries.next();
    if (done) return;
    const name = plainName(entry.name);
    const size = sizes.get(name);
    const folder = name.split('/', 2).join('/');
    const left = folders.get(folder);
    if (size !== undefined) {
      if (entry.type !== 'file') throw unsafe(archive, entry.name, `is a ${entry.type}`);
      if (entry.size !== size)
        throw unsafe(archive, entry.name, `has ${entry.size} bytes, not the ${size} it is said to have`);
    } else if (left !== undefined && entry.type !== 'hardlink') {
      if (entry.size > left) throw unsafe(archive, entry.name, 'is more than is said to be in its folder');
      folders.set(folder, left - entry.size);
    } else {
      throw unsafe(archive, entry.name, 'is nothing that it says it has');
    }
    yield entry;
  }
}

async function verify(
  { files, objects }: BundleIndex,
  staging: string,
  archive: string,
  signal: AbortSignal,
): Promise<void> {
  const check = async (
    name: string,
    expected: Digest,
    digest: () => Promise<{ readonly digest: Digest }>,
  ) => {
    const stats = await lstat(join(staging, name)).catch(() => undefined);
    if (!stats) {
      throw new ResError('corrupt-input', `${archive} lacks ${name}, which it is said to have`, {
        hint: 'It is damaged or incomplete. Get it again.',
      });
    }
    const found = (await digest()).digest;
    if (found === expected) return;
    throw new ResError('checksum-mismatch', `${archive}: ${name} is not what its digest says`, {
      hint: `It has ${found}, and should have ${expected}. It is damaged, or somebody changed it: get it again.`,
    });
  };
  for (const { path, sha256 } of files) {
    const name = `${FILES}/${path}`;
    await check(name, sha256Digest(sha256), () => digestFile(join(staging, name), 'sha256', { signal }));
  }
  for (const object of objects) {
    const name = objectName(object);
    const at = join(staging, name);
    await check(name, object.digest, () => digestObject(object, at, signal));
  }
}

function digestObject(
  { digest, type }: BundledObject,
  path: string,
  signal: AbortSignal,
): Promise<{ readonly digest: Digest }> {
  return type === 'directory'
    ? digestDirectory(path, { signal })
    : digestFile(path, algorithmOf(digest), { signal });
}

async function install(
  { files }: BundleIndex,
  staging: string,
  dir: string,
  there: ReadonlySet<string>,
): Promise<void> {
  const placed: string[] = [];
  try {
    for (const { path } of files.filter((each: BundledFile) => !there.has(each.path))) {
      const at = join(dir, path);
      await mkdir(dirname(at), { recursive: true });
      // Somebody may have been faster.
      if ((await readdir(dirname(at))).includes(basename(at))) {
        throw new ResError('output-foreign', `${at} was put there meanwhile`, {
          hint: 'It is left as it is. Unpack into another folder.',
        });
      }
      await moveOrCopy(join(staging, FILES, path), at);
      placed.push(at);
    }
  } catch (error) {
    for (const at of placed) await rm(at, { force: true });
    throw error;
  }
}

/** No `gc` of somebody else is to take them before the first build here: that registers all that is needed then. */
async function registerObjects(
  shared: SharedStore | undefined,
  store: string,
  dir: string,
  objects: BundleIndex['objects'],
): Promise<void> {
  if (!shared) return;
  const before = (await registrations(store)).find(
    ({ workspace, host }) => workspace === dir && host === hostname(),
  );
  const digests = objects.map(({ digest }) => digest);
  await shared.register([...(before?.digests ?? []), ...digests], before?.kept ?? []);
}

async function keep(
  { objects, traces, records }: BundleIndex,
  staging: string,
  dir: string,
  paths: ReturnType<typeof workspacePaths>,
): Promise<void> {
  const store = new ObjectStore(paths.store);
  const shared = ownsStore(paths) ? undefined : new SharedStore(paths.store, dir);
  await shared?.join('res unbundle');
  try {
    shared?.lease(objects.map(({ digest }) => digest));
    for (const object of objects)
      await store.put(join(staging, objectName(object)), object.digest, object.type, shared?.tmp);
    const state = openState(paths.state, dir);
    for (const [key, trace] of Object.entries(traces))
      if (!state.traces.has(key)) state.traces.set(key, trace);
    for (const [node, record] of Object.entries(records))
      if (!state.nodes.has(node)) state.nodes.set(node, record);
    await state.flush();
    await registerObjects(shared, paths.store, dir, objects);
  } finally {
    await shared?.leave();
  }
}
