// The workspaces that use a shared store, and what each of them counts on: what is to stay when the store is made smaller.
//
// A file each, `workspaces/<id>`, written anew only when something changed; its mtime is when the workspace last used the store.
import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { rm, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type Digest, isDigest } from '../model/digest.js';
import { readChecked, writeChecked } from './checked-file.js';
import { errorCode, ioError } from './files.js';

export interface Registration {
  /** Folder of the manifest, absolute, as that host sees it. */
  readonly workspace: string;
  readonly host: string;
  /** Last use, ms since 1970, UTC. */
  readonly at: number;
  readonly digests: readonly Digest[];
  /** Of these, what a node says `keep: always` of, or once said. */
  readonly kept: readonly Digest[];
}

/**
 * Says that a workspace used the store just now, and what it counts on in place of what it said before.
 * Rejects with ResError `io` or `no-space`.
 * @param root of the store, absolute
 * @param o.tmp a folder of this process's own on the store's file system; without it, that of the store
 */
export async function register(
  root: string,
  o: {
    readonly workspace: string;
    readonly digests: Iterable<Digest>;
    readonly kept: Iterable<Digest>;
    readonly tmp?: string;
  },
): Promise<void> {
  const host = hostname();
  const path = registrationPath(root, { workspace: o.workspace, host });
  const value = { workspace: o.workspace, host, digests: sorted(o.digests), kept: sorted(o.kept) };
  if (isDeepStrictEqual(readChecked(path), value) && (await touched(path))) return;
  await writeChecked(root, path, value, o.tmp);
}

/** Where it is written down. */
export function registrationPath(
  root: string,
  { workspace, host }: Pick<Registration, 'workspace' | 'host'>,
): string {
  const id = createHash('sha256').update(`${host}\0${workspace}`).digest('hex').slice(0, 32);
  return join(root, 'workspaces', id);
}

/** Forgets a workspace, and what it counted on. Rejects with ResError `io`. */
export async function unregister(
  root: string,
  registration: Pick<Registration, 'workspace' | 'host'>,
): Promise<void> {
  const path = registrationPath(root, registration);
  try {
    await rm(path, { force: true });
  } catch (error) {
    throw ioError(error, 'cannot remove', path);
  }
}

const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * Says that a workspace still uses the store, where it said so a day ago or longer: a build that has nothing to do does not write
 * each time. Does nothing for a workspace that never said what it counts on. Rejects with ResError `io`.
 */
export async function renew(root: string, workspace: string): Promise<void> {
  const path = registrationPath(root, { workspace, host: hostname() });
  const at = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  if (at !== undefined && Date.now() - at > DAY_MS) await touched(path);
}

function sorted(digests: Iterable<Digest>): readonly Digest[] {
  return [...new Set(digests)].sort();
}

/** False when the file is another user's, who works in the same workspace. Rejects with ResError `io`. */
async function touched(path: string): Promise<boolean> {
  try {
    const now = new Date();
    await utimes(path, now, now);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EPERM' || errorCode(error) === 'EACCES' || errorCode(error) === 'ENOENT')
      return false;
    throw ioError(error, 'cannot write', path);
  }
}

/**
 * Of all workspaces, those that are gone too. A file that is damaged is passed over: the next build in its workspace writes it
 * anew. Rejects with ResError `io`.
 */
export async function registrations(root: string): Promise<readonly Registration[]> {
  const folder = join(root, 'workspaces');
  const found: Registration[] = [];
  for (const name of namesIn(folder)) {
    const path = join(folder, name);
    const at = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
    const registration = at === undefined ? undefined : decode(readChecked(path), at);
    if (registration) found.push(registration);
  }
  return found;
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw ioError(error, 'cannot read the folder', folder);
  }
}

function decode(value: unknown, at: number): Registration | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const fields: Readonly<Record<string, unknown>> = { ...value };
  const { workspace, host, digests, kept } = fields;
  if (typeof workspace !== 'string' || typeof host !== 'string') return undefined;
  if (!isDigests(digests) || !isDigests(kept)) return undefined;
  return { workspace, host, at, digests, kept };
}

function isDigests(value: unknown): value is readonly Digest[] {
  return Array.isArray(value) && value.every(isDigest);
}
