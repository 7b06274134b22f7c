// `res gc`: what nothing refers to goes, and what was not used for longest when the store is to be smaller.
//
// What can be had again is all that goes: should res be killed in between, less has gone, and that is all.
import { lstatSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { type Digest, sha256Digest } from '../model/digest.js';
import { ResError } from '../model/error.js';
import type { GcClass, GcReport } from '../model/report.js';
import { type Roots, register, rootsOf } from '../plan/roots.js';
import { refreshWorkspace, type Workspace } from '../plan/workspace.js';
import { chunksFolder } from '../store/chunks.js';
import { diskUsage } from '../store/disk-usage.js';
import { errorCode, ioError } from '../store/files.js';
import type { StoredObject } from '../store/objects.js';
import { type Registration, registrationPath, registrations, unregister } from '../store/registry.js';
import type { GcLimits } from '../store/user-config.js';
import { contentNames } from './content-names.js';
import { DAY_MS, filesOnShelves, findLeavings, findTemporaries, type Leaving, leaving } from './leavings.js';
import { lockWorkspace } from './lock-workspace.js';
import { removeTemporaries } from './outputs.js';
import { removeScratch } from './scratch.js';
import { throwIfInterrupted } from './verify.js';

/** Without limits everything goes that nothing refers to. */
export interface GcOptions extends GcLimits {
  /** Say what would go; nothing is touched. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
  /** Called for each res that is waited for. */
  readonly onWait?: (holder: string) => void;
}

/** A workspace whose folder is gone counts for so long after its last use of a shared store. */
const VANISHED_DAYS = 7;
/** One that cannot be seen from here, on another host, counts for so long. */
const UNSEEN_DAYS = 90;

/** Makes the store smaller. Rejects with ResError `io`, `no-space`, `interrupted`, and `lock-invalid`. */
export async function gc(workspace: Workspace, options: GcOptions = {}): Promise<GcReport> {
  if (options.dryRun) return collect(workspace, lookingOn, options);
  const unlock = await lockWorkspace(workspace, {
    describe: 'res gc',
    onWait: options.onWait,
    signal: options.signal,
  });
  try {
    // Who was waited for may have built something else.
    refreshWorkspace(workspace);
    return await collect(workspace, handsOf(workspace), options);
  } finally {
    await unlock();
  }
}

/** What is done to what was found: all of it, or nothing where that is only to be told. */
interface Hands {
  remove(leaving: Leaving): Promise<void>;
  temporaries(): Promise<void>;
  /** Before objects of a shared store are touched: others are to see this process, and what its workspace refers to. */
  join(): Promise<void>;
  forget(registration: Registration): Promise<void>;
  object(object: StoredObject): Promise<'removed' | 'in-use' | 'not-permitted'>;
  done(): Promise<void>;
}

const nothing = async () => undefined;
const lookingOn: Hands = {
  remove: nothing,
  temporaries: nothing,
  join: nothing,
  forget: nothing,
  object: async () => 'removed',
  done: nothing,
};

function handsOf(workspace: Workspace): Hands {
  const { paths, shared, cache, state } = workspace;
  return {
    async remove({ paths }) {
      for (const path of paths)
        await removeScratch(path).catch((error: unknown) => {
          throw ioError(error, 'cannot remove', path);
        });
    },
    temporaries: () => removeTemporaries(workspace),
    async join() {
      await shared?.join('res gc');
      await register(workspace);
    },
    forget: (registration) => unregister(paths.store, registration),
    async object(object) {
      const end = await removeObject(workspace, object).catch(notPermitted);
      // Should the same content come again, it is not what was known of this file.
      if (end === 'removed') cache.forget(object.path);
      return end;
    },
    done: () => state.flush(),
  };
}

async function removeObject(
  { store, shared }: Workspace,
  { digest, type, path, lastUse }: StoredObject,
): Promise<'removed' | 'in-use'> {
  if (!shared) {
    await store.remove(digest, type);
    return 'removed';
  }
  // Another build may have come and gone since this one looked around.
  const now = statSync(path, { throwIfNoEntry: false });
  if (now && Math.round(now.atimeMs) > lastUse) return 'in-use';
  const aside = await shared.takeAside({ digest, type });
  if (aside === undefined) return 'in-use';
  await store.discard(aside);
  return 'removed';
}

function notPermitted(error: unknown): 'not-permitted' {
  const code = error instanceof ResError ? errorCode(error.cause) : undefined;
  if (code === 'EACCES' || code === 'EPERM') return 'not-permitted';
  throw error;
}

async function collect(
  workspace: Workspace,
  hands: Hands,
  { keepDays, maxSize, dryRun = false, signal }: GcOptions,
): Promise<GcReport> {
  const { store } = workspace.paths;
  const now = Date.now();
  const tally = new Tally();
  const removeAll = async (leavings: readonly Leaving[]) => {
    for (const each of leavings) {
      throwIfInterrupted(signal);
      await hands.remove(each);
      tally.add(each.what, each.bytes);
    }
  };
  // What needs no room to be removed comes first: there may be none.
  const leavings = await findLeavings(workspace, { keepDays, now });
  await removeAll(leavings);
  for (const { what, bytes } of await findTemporaries(workspace)) tally.add(what, bytes);
  await hands.temporaries();

  await hands.join();
  const roots = await rootsOfAll(workspace, now, async (registration) => {
    tally.add('workspaces', await diskUsage(registrationPath(store, registration)));
    await hands.forget(registration);
  });
  const stored = await survey(workspace, roots, signal);
  const names = contentNames(workspace);
  const objects: GcReport['objects'][number][] = [];
  const spared: GcReport['spared'][number][] = [];
  const left = { objects: stored.length, bytes: await smallFiles(store, leavings) };
  for (const { bytes } of stored) left.bytes += bytes;
  for (const object of inOrder(stored, { keepDays, maxSize, now })) {
    if (!object.mustGo && left.bytes <= (maxSize ?? Number.POSITIVE_INFINITY)) continue;
    throwIfInterrupted(signal);
    const { path, digest, bytes, lastUse, referenced } = object;
    const end = await hands.object(object);
    if (end !== 'removed') {
      spared.push({ path, why: end });
      continue;
    }
    left.objects -= 1;
    left.bytes -= bytes;
    tally.add('objects', bytes);
    const { node = null, name = null } = names.get(digest) ?? {};
    objects.push({ path, digest, node, name, bytes, lastUse, referenced });
  }
  const gone = new Set(objects.map(({ digest }) => digest));
  const staying = new Set(stored.flatMap(({ digest }) => (gone.has(digest) ? [] : [digest])));
  const sums = await needlessSums(store, (digest) => staying.has(digest) || roots.digests.has(digest));
  await removeAll(sums);
  for (const { bytes } of sums) left.bytes -= bytes;
  await hands.done();
  const { removed } = tally;
  const freedBytes = removed.reduce((sum, { bytes }) => sum + bytes, 0);
  return { dryRun, store, objects, removed, spared, freedBytes, left, maxSize: maxSize ?? null };
}

/** Counts what went. */
class Tally {
  readonly #rows = new Map<GcClass, { count: number; bytes: number }>();

  add(what: GcClass, bytes: number): void {
    const row = this.#rows.get(what) ?? { count: 0, bytes: 0 };
    this.#rows.set(what, { count: row.count + 1, bytes: row.bytes + bytes });
  }

  get removed(): GcReport['removed'] {
    return [...this.#rows].map(([what, row]) => ({ what, ...row }));
  }
}

/**
 * What this workspace refers to, and the others that use the store.
 * @param expired is told of each workspace that does not count any more
 */
async function rootsOfAll(
  workspace: Workspace,
  now: number,
  expired: (registration: Registration) => Promise<void>,
): Promise<Roots> {
  const own = rootsOf(workspace);
  const digests = new Set(own.digests);
  const kept = new Set(own.kept);
  const folder = dirname(workspace.graph.manifest.file);
  for (const registration of await registrations(workspace.paths.store)) {
    // What it says of this workspace is of its last build.
    if (registration.workspace === folder && registration.host === hostname()) continue;
    if (hasExpired(registration, now)) {
      await expired(registration);
      continue;
    }
    for (const digest of registration.digests) digests.add(digest);
    for (const digest of registration.kept) kept.add(digest);
  }
  for (const digest of kept) digests.add(digest);
  return { digests, kept };
}

function hasExpired({ workspace, host, at }: Registration, now: number): boolean {
  const days = (now - at) / DAY_MS;
  if (host !== hostname()) return days > UNSEEN_DAYS;
  try {
    return lstatSync(workspace, { throwIfNoEntry: false }) === undefined && days > VANISHED_DAYS;
  } catch (error) {
    if (errorCode(error) === 'ENOTDIR') return days > VANISHED_DAYS;
    // In a folder that this user may not look into.
    return days > UNSEEN_DAYS;
  }
}

interface Candidate extends StoredObject {
  /** On disk. */
  readonly bytes: number;
  readonly referenced: boolean;
  readonly kept: boolean;
}

/** All objects. */
async function survey(
  { store }: Workspace,
  { digests, kept }: Roots,
  signal: AbortSignal | undefined,
): Promise<readonly Candidate[]> {
  const stored: Candidate[] = [];
  for await (const object of store.list()) {
    throwIfInterrupted(signal);
    const { digest, type, path } = object;
    const bytes = await store.withoutUse(digest, type, () => diskUsage(path));
    stored.push({ ...object, bytes, referenced: digests.has(digest), kept: kept.has(digest) });
  }
  return stored;
}

/** Bytes of what the store holds beside objects, without what is known to go. */
async function smallFiles(store: string, leavings: readonly Leaving[]): Promise<number> {
  const gone = new Set(leavings.flatMap(({ paths }) => paths));
  let bytes = 0;
  for (const folder of [chunksFolder(store), join(store, 'ac')])
    for (const path of await filesOnShelves(folder)) if (!gone.has(path)) bytes += await diskUsage(path);
  return bytes;
}

/** Those that go in any case, then those that may, should the store be too large: what nothing refers to, what was not used for longest. */
function inOrder(
  stored: readonly Candidate[],
  o: { readonly keepDays: number | undefined; readonly maxSize: number | undefined; readonly now: number },
): readonly (Candidate & { readonly mustGo: boolean })[] {
  const since =
    o.keepDays !== undefined
      ? o.now - o.keepDays * DAY_MS
      : o.maxSize === undefined
        ? Number.POSITIVE_INFINITY
        : Number.NEGATIVE_INFINITY;
  return stored
    .filter(({ kept }) => !kept)
    .map((object) => ({ ...object, mustGo: !object.referenced && object.lastUse < since }))
    .sort(
      (a, b) =>
        Number(b.mustGo) - Number(a.mustGo) ||
        Number(a.referenced) - Number(b.referenced) ||
        a.lastUse - b.lastUse,
    );
}

/** Sums of downloads that are neither in the store nor where a workspace has them. */
async function needlessSums(
  store: string,
  isWanted: (digest: Digest) => boolean,
): Promise<readonly Leaving[]> {
  const found: Leaving[] = [];
  for (const path of await filesOnShelves(chunksFolder(store))) {
    if (!isWanted(sha256Digest(basename(path)))) found.push(await leaving('chunk-sums', [path]));
  }
  return found;
}
