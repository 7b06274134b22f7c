// `res update`: sources are asked anew and the lock says what they are now.

import { closure } from '../graph/select.js';
import type { EventListener } from '../model/event.js';
import { type LockEntry, type LockedFile, lockedDigest, lockedItem } from '../model/lock.js';
import type { UpdateReport } from '../model/report.js';
import { shortDigest } from '../plan/reasons.js';
import { register } from '../plan/roots.js';
import { refreshWorkspace, type Workspace } from '../plan/workspace.js';
import { createFetcher, type Fetcher } from '../sources/fetch.js';
import { download } from './download.js';
import { inTurn } from './in-turn.js';
import { lockWorkspace } from './lock-workspace.js';
import { putObject } from './outputs.js';
import { Pools, poolLimits } from './pools.js';
import {
  offlineError,
  type RemoteNode,
  remoteNodes,
  resolveEntry,
  saveLock,
  sourceContext,
} from './resolve.js';

export interface UpdateOptions {
  readonly signal?: AbortSignal;
  readonly listener?: EventListener;
  readonly offline?: boolean;
}

/**
 * Resolves the sources of the nodes and of what they are made of. A source that does not give digests is downloaded,
 * for its content is the only thing that tells whether it changed. Rejects with ResError; the lock is then untouched.
 */
export async function update(
  workspace: Workspace,
  names: readonly string[],
  options: UpdateOptions = {},
): Promise<UpdateReport> {
  const signal = options.signal ?? new AbortController().signal;
  const listener = options.listener ?? (() => undefined);
  const remotes = distinct(remoteNodes(workspace, closure(workspace.graph, names)));
  const [first] = remotes;
  if (options.offline && first) throw offlineError(first.node.name, first.identity);
  const fetcher = createFetcher({
    env: workspace.env,
    mirrors: workspace.graph.manifest.mirrors,
    onNotice: (message) => listener({ type: 'warning', message, hint: null }),
  });
  const unlock = await lockWorkspace(workspace, {
    describe: `res update ${names.join(' ')}`,
    onWait: (holder) => listener({ type: 'waiting', for: holder }),
    signal,
  });
  const before = new Map<string, LockEntry>();
  try {
    await workspace.shared?.join(`res update ${names.join(' ')}`);
    // Who was waited for may have written to the lock.
    refreshWorkspace(workspace);
    for (const [identity, entry] of workspace.lock) before.set(identity, entry);
    const pools = new Pools(poolLimits(1, workspace.graph.manifest.pools));
    const stop = new AbortController();
    const surroundings = { listener, signal: AbortSignal.any([signal, stop.signal]), pools };
    const asked = remotes.map((remote) => ask(workspace, remote, fetcher, surroundings));
    await Promise.all(asked).catch(async (error: unknown) => {
      // The others are stopped and waited for: nothing goes on once the workspace is free for others.
      stop.abort();
      await Promise.allSettled(asked);
      throw error;
    });
    await saveLock(workspace);
    await workspace.state.flush();
    await register(workspace);
  } catch (error) {
    workspace.lock.clear();
    for (const [identity, entry] of before) workspace.lock.set(identity, entry);
    throw error;
  } finally {
    await inTurn([() => fetcher.close(), unlock]);
  }
  const sources = remotes
    .map(({ identity }) => ({
      source: identity,
      ...compare(before.get(identity), workspace.lock.get(identity)),
    }))
    .sort((a, b) => (a.source < b.source ? -1 : 1));
  return { sources };
}

function distinct(remotes: readonly RemoteNode[]): readonly RemoteNode[] {
  return [...new Map(remotes.map((remote) => [remote.identity, remote])).values()];
}

function lacksDigests(entry: LockEntry | undefined): boolean {
  return entry?.files.some((file) => lockedItem(file) === undefined) ?? false;
}

interface Surroundings {
  readonly listener: EventListener;
  readonly signal: AbortSignal;
  readonly pools: Pools;
}

async function ask(
  workspace: Workspace,
  remote: RemoteNode,
  fetcher: Fetcher,
  surroundings: Surroundings,
): Promise<void> {
  const { identity } = remote;
  surroundings.listener({ type: 'resolving', source: identity });
  const context = sourceContext(workspace, fetcher, surroundings.signal);
  const before = workspace.lock.get(identity);
  const now = await resolveEntry(remote, context);
  // A commit says all of its content: what is known of it is not fetched to be known.
  const same = now.commit !== undefined && now.commit === before?.commit;
  workspace.lock.set(identity, same ? before : now);
  if (lacksDigests(workspace.lock.get(identity)))
    await fetchContent(workspace, remote, fetcher, surroundings);
}

async function fetchContent(
  workspace: Workspace,
  remote: RemoteNode,
  fetcher: Fetcher,
  { listener, signal, pools }: Surroundings,
): Promise<void> {
  const { name } = remote.node;
  await download(
    {
      workspace,
      fetcher,
      signal,
      pooled: (work) => pools.run('network', 0, (_, slot) => work(slot)),
      onProgress: (done, total) => listener({ type: 'progress', node: name, done, total, unit: 'bytes' }),
      onPercent: (done) => listener({ type: 'progress', node: name, done, total: 100, unit: 'percent' }),
      onNotice: (message) => listener({ type: 'notice', node: name, message }),
      check: async () => undefined,
      // The lock is written when all sources have answered.
      learned: async () => undefined,
      place: (temp, item) => putObject(workspace, temp, item),
      arrivals: [],
    },
    remote,
  );
}

function compare(
  was: LockEntry | undefined,
  now: LockEntry | undefined,
): Pick<UpdateReport['sources'][number], 'change' | 'details'> {
  if (!now) return { change: 'removed', details: [] };
  if (!was) return { change: 'added', details: now.files.map((file) => `${file.name} ${shown(file)}`) };
  const details: string[] = [];
  if (was.tag !== now.tag) details.push(`tag ${was.tag ?? 'none'} -> ${now.tag ?? 'none'}`);
  if (was.commit !== now.commit)
    details.push(`commit ${shortCommit(was.commit)} -> ${shortCommit(now.commit)}`);
  const before = new Map(was.files.map((file) => [file.name, file]));
  for (const file of now.files) {
    const old = before.get(file.name);
    before.delete(file.name);
    if (!old) details.push(`${file.name} is new`);
    else if (lockedDigest(old) !== lockedDigest(file))
      details.push(`${file.name} ${shown(old)} -> ${shown(file)}`);
    else if (old.url !== file.url) details.push(`${file.name} has a new URL, and the same content`);
  }
  for (const name of before.keys()) details.push(`${name} is gone`);
  return { change: details.length === 0 ? 'unchanged' : 'changed', details };
}

function shown(file: LockedFile): string {
  const digest = lockedDigest(file);
  return digest === undefined ? 'unknown' : shortDigest(digest);
}

function shortCommit(commit: string | undefined): string {
  return commit?.slice(0, 12) ?? 'none';
}
