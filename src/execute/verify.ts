// `res verify`: outputs and store read again, every byte, against what the records say. It takes no lock: what a build beside
// it moves meanwhile is looked for again, or left out.

import { lstatSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { closure } from '../graph/select.js';
import { type Digest, digestAlgorithm, isDigest } from '../model/digest.js';
import { ResError } from '../model/error.js';
import type { VerifyReport } from '../model/report.js';
import { outputPaths } from '../plan/places.js';
import { planNodes } from '../plan/plan.js';
import { findProgram } from '../plan/tools.js';
import type { Workspace } from '../plan/workspace.js';
import { digestDirectory } from '../store/directory.js';
import { errorCode } from '../store/files.js';
import { digestFile, digestHoledFile } from '../store/hashing.js';
import { writerOf } from '../store/open-files.js';
import type { OutputRecord } from '../store/state.js';

export interface VerifyOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/** What is to be at a path. */
export interface Claim {
  readonly path: string;
  readonly place: 'output' | 'store';
  readonly node: string | null;
  readonly type: 'file' | 'directory';
  readonly expected: Digest;
  /** What a build that was killed, or one that is under way, may have left in its stead. */
  readonly previous?: Digest;
  readonly size: number;
}

/** What there is. */
export type Checked = VerifyReport['checked'][number];

/** Checks the outputs of the nodes and of what they are made of, and all of the store. Changes nothing. */
export async function verify(
  workspace: Workspace,
  names: readonly string[],
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  return reportOf(await checkClaims(workspace, await claimsOf(workspace, names), options));
}

export function reportOf(checked: readonly Checked[]): VerifyReport {
  return {
    ok: checked.every(({ state }) => state === 'ok'),
    checked,
    bytes: checked.reduce((sum, { state, size }) => sum + (state === 'missing' ? 0 : size), 0),
  };
}

/** Outputs in the order of the graph, then the store by path. */
export async function claimsOf(workspace: Workspace, names: readonly string[]): Promise<readonly Claim[]> {
  return [...(await outputClaims(workspace, names)), ...(await storeClaims(workspace))];
}

async function outputClaims(workspace: Workspace, names: readonly string[]): Promise<readonly Claim[]> {
  const plan = await planNodes(workspace, names);
  // What is gone, and no build of these nodes would bring back as nobody needs it, is not missed.
  const wanted = new Set([...names, ...plan.steps.map(({ node }) => node)]);
  return closure(workspace.graph, names).flatMap((name) => {
    const node = workspace.graph.nodes.get(name);
    if (!node) return [];
    return outputPaths(workspace, node, plan.nodes.get(name)?.content ?? null).flatMap(({ path }) => {
      const record = workspace.state.outputs.get(path);
      const isMissed = wanted.has(name) || lstatSync(path, { throwIfNoEntry: false }) !== undefined;
      return record && isMissed ? [outputClaim(path, name, record)] : [];
    });
  });
}

function outputClaim(path: string, node: string | null, record: OutputRecord): Claim {
  const { digest, type, size, previous } = record;
  const claim: Claim = { path, place: 'output', node, type, expected: digest, size };
  return previous === undefined ? claim : { ...claim, previous };
}

async function storeClaims(workspace: Workspace): Promise<readonly Claim[]> {
  const claims: Claim[] = [];
  for await (const { digest, type, path, size } of workspace.store.list()) {
    claims.push({ path, place: 'store', node: null, type, expected: digest, size });
  }
  return claims.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/**
 * As many files at a time as there are processors, the largest first; the answers are in the order of the claims. What went
 * away for good reason is left out. Rejects with ResError `io` for what may not be read, `interrupted`.
 */
export async function checkClaims(
  workspace: Workspace,
  claims: readonly Claim[],
  { signal, onProgress }: VerifyOptions,
): Promise<readonly Checked[]> {
  const total = claims.reduce((sum, { size }) => sum + size, 0);
  const done = claims.map(() => 0);
  let doneInAll = 0;
  const report = (index: number, bytes: number) => {
    // A file that has grown is read to its end, and counts as what was to be read.
    const now = Math.min(bytes, claims[index]?.size ?? 0);
    doneInAll += now - (done[index] ?? 0);
    done[index] = now;
    onProgress?.(doneInAll, total);
  };
  const rows: (Checked | undefined)[] = claims.map(() => undefined);
  const order = [...claims.entries()].sort(([, a], [, b]) => b.size - a.size);
  let next = 0;
  let failed = false;
  async function work(): Promise<void> {
    for (let entry = order[next++]; entry !== undefined && !failed; entry = order[next++]) {
      const [index, claim] = entry;
      try {
        rows[index] = await check(workspace, claim, {
          ...(signal ? { signal } : {}),
          onDone: (bytes) => report(index, bytes),
        });
      } catch (error) {
        failed = true;
        throw error;
      }
      // Holes are not read, and still count as checked.
      report(index, claim.size);
    }
  }
  const ends = await Promise.allSettled(Array.from({ length: availableParallelism() }, work));
  throwIfInterrupted(signal);
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return rows.flatMap((row) => row ?? []);
}

/** Throws ResError `interrupted`. */
export function throwIfInterrupted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new ResError('interrupted', 'interrupted');
}

interface CheckOptions {
  readonly signal?: AbortSignal;
  /** Bytes of this file read so far. */
  readonly onDone: (bytes: number) => void;
}

/** A build that exchanges two files leaves a path empty for a moment, ms. */
const MOMENT = 100;
const LOOKS = 3;

async function check(workspace: Workspace, first: Claim, o: CheckOptions): Promise<Checked | undefined> {
  let claim = first;
  for (let look = 1; ; look++) {
    const found = await lookAt(workspace, claim, o);
    const { path, place, node, size } = claim;
    if ('is' in found) {
      const row = { path, place, node, expected: found.is, actual: found.is, size };
      // A repair that was killed may have entered what there is, and nobody wrote it.
      const isRotten = place === 'output' && (await hasRotted(workspace, claim, found.is, o.signal));
      return isRotten ? { ...row, state: 'mismatch', change: 'damaged' } : { ...row, state: 'ok' };
    }
    const row = { path, place, node, expected: claim.expected, actual: found.actual, size };
    if (place === 'store') {
      // It is in an output now, or was collected.
      if (found.actual === null) return undefined;
      return { ...row, state: 'mismatch', change: 'damaged' };
    }
    if (look < LOOKS) {
      if (look === 1) await sleep(MOMENT);
      workspace.state.reload();
      const record = workspace.state.outputs.get(path);
      if (!record) return undefined;
      const now = outputClaim(path, node, record);
      const isOther = now.expected !== claim.expected || now.previous !== claim.previous;
      claim = now;
      if (isOther || (found.actual === null && look === 1)) continue;
    }
    if (found.actual === null) return { ...row, state: 'missing' };
    const isRotten =
      found.unreadable ||
      (isDigest(found.actual) && (await hasRotted(workspace, claim, found.actual, o.signal)));
    return { ...row, state: 'mismatch', change: isRotten ? 'damaged' : 'modified' };
  }
}

/** Which of the contents that may be there is; else what there is, in digests or in words, or null where nothing is. */
type Found = { readonly is: Digest } | { readonly actual: string | null; readonly unreadable?: boolean };

async function lookAt(workspace: Workspace, claim: Claim, o: CheckOptions): Promise<Found> {
  const { path, type, expected, previous } = claim;
  const found = await stat(path).catch(() => undefined);
  if (!found) return { actual: null };
  const real = found.isDirectory() ? 'directory' : 'file';
  let done = 0;
  const options = {
    ...(o.signal ? { signal: o.signal } : {}),
    onBytes: (bytes: number) => {
      done += bytes;
      o.onDone(done);
    },
  };
  try {
    const actual = real === type ? await digestNow(workspace, path, real, expected, options) : undefined;
    if (actual === expected) return { is: expected };
    if (previous !== undefined) {
      // It may be of another type, or known by another sum.
      const same = actual !== undefined && digestAlgorithm(previous) === digestAlgorithm(expected);
      const former = same ? actual : await digestNow(workspace, path, real, previous, options);
      if (former === previous) return { is: previous };
    }
    return { actual: actual ?? 'another type of file' };
  } catch (error) {
    o.signal?.throwIfAborted();
    if (!(error instanceof ResError)) throw error;
    switch (errorCode(error.cause)) {
      case 'ENOENT':
      case 'ENOTDIR':
        return { actual: null };
      case 'EIO':
        return { actual: 'cannot be read', unreadable: true };
      case undefined:
        // Cut short, or a socket in a folder: it has no digest.
        return { actual: 'changes while it is read' };
      default:
        throw error;
    }
  }
}

async function digestNow(
  { env }: Workspace,
  path: string,
  type: 'file' | 'directory',
  like: Digest,
  options: { readonly signal?: AbortSignal; readonly onBytes: (bytes: number) => void },
): Promise<Digest> {
  if (type === 'directory') return (await digestDirectory(path, options)).digest;
  if (digestAlgorithm(like) === 'sha256') return (await digestFile(path, 'sha256', options)).digest;
  const qemuImg = findProgram('qemu-img', env);
  return (await digestHoledFile(path, 'derived', { ...options, qemuImg })).digest;
}

/**
 * Whether an output holds something else than it did when it was last read or made, though nobody wrote to it since: then it is
 * the disk that has lost its content. What has no trustworthy record counts as written to, and so does what a program may be
 * writing to at the moment.
 */
export async function hasRotted(
  workspace: Workspace,
  { path, type }: Pick<Claim, 'path' | 'type'>,
  actual: Digest,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { cache } = workspace;
  const known = type === 'directory' ? await cache.knownDirectory(path) : cache.knownSync(path);
  if (!known || known.digest === actual || writerOf(path)) return false;
  if (digestAlgorithm(known.digest) === digestAlgorithm(actual)) return true;
  // Known by the other sum.
  const options = { ...(signal ? { signal } : {}), onBytes: () => undefined };
  return (await digestNow(workspace, path, type, known.digest, options)) !== known.digest;
}
