// Sources to lock entries: what the outside says a release or a URL holds, asked once and written down.
import { writeLock } from '../manifest/lockfile.js';
import { ResError } from '../model/error.js';
import type { EventListener } from '../model/event.js';
import { type LockEntry, type LockedFile, lockedItem } from '../model/lock.js';
import type { Node } from '../model/node.js';
import { pinnedEntry } from '../plan/assess.js';
import { makerOf } from '../plan/registry.js';
import type { Workspace } from '../plan/workspace.js';
import type { Fetcher } from '../sources/fetch.js';
import type { Source, SourceContext } from '../sources/source.js';
import { isNoSpace, noSpaceError } from '../store/files.js';
import { sourcePrograms } from './source-programs.js';

export interface RemoteNode {
  readonly node: Node;
  readonly source: Source;
  readonly identity: string;
}

/** The remote artifacts among the names. */
export function remoteNodes(workspace: Workspace, names: readonly string[]): readonly RemoteNode[] {
  return names.flatMap((name) => {
    const node = workspace.graph.nodes.get(name);
    const maker = node ? makerOf(node) : undefined;
    if (!node || maker?.is !== 'source' || maker.source.place !== 'remote') return [];
    return [{ node, source: maker.source, identity: maker.source.identity(node.recipe) }];
  });
}

/** The files of a remote artifact, as far as its source is resolved. */
export function remoteFiles(workspace: Workspace, { name }: Node): readonly LockedFile[] {
  return remoteNodes(workspace, [name]).flatMap(
    ({ node, source }) => pinnedEntry(workspace, node, source)?.files ?? [],
  );
}

export function sourceContext(workspace: Workspace, fetcher: Fetcher, signal: AbortSignal): SourceContext {
  const { manifest } = workspace.graph;
  return {
    dir: manifest.dir,
    env: workspace.env,
    http: fetcher.client,
    programs: sourcePrograms(workspace.env, signal),
    mirrors: manifest.mirrors,
    signal,
  };
}

export interface ResolveOptions {
  readonly offline: boolean;
  readonly frozen: boolean;
  readonly signal: AbortSignal;
  readonly listener: EventListener;
}

export interface ResolveFailure {
  readonly node: string;
  readonly error: unknown;
}

/**
 * Puts entries into the workspace's lock (in memory) for those of the names that have none. Sources are asked side
 * by side; all failures are given together.
 */
export async function resolveMissing(
  workspace: Workspace,
  names: readonly string[],
  fetcher: () => Fetcher,
  options: ResolveOptions,
): Promise<readonly ResolveFailure[]> {
  const failures: ResolveFailure[] = [];
  const missing = new Map<string, RemoteNode>();
  for (const remote of remoteNodes(workspace, names)) {
    const entry = workspace.lock.get(remote.identity);
    if (options.frozen && !(entry && isFixed(workspace, remote))) {
      failures.push({ node: remote.node.name, error: frozenError(remote, entry !== undefined) });
    } else if (!entry) {
      missing.set(remote.identity, remote);
    }
  }
  await Promise.all(
    [...missing.values()].map(async (remote) => {
      const { node, source, identity } = remote;
      try {
        const asks = source.asks?.(node.recipe) ?? false;
        if (options.offline && asks) throw offlineError(node.name, identity);
        if (asks) options.listener({ type: 'resolving', source: identity });
        workspace.lock.set(
          identity,
          await resolveEntry(remote, sourceContext(workspace, fetcher(), options.signal)),
        );
      } catch (error) {
        failures.push({ node: node.name, error });
      }
    }),
  );
  return failures;
}

/** What a source stands for now. A pin may be mistaken: it gets into the lock with the content that it holds for. */
export async function resolveEntry({ node, source }: RemoteNode, context: SourceContext): Promise<LockEntry> {
  const entry = await source.resolve(node.recipe, context);
  return source.pins(node.recipe) === undefined ? entry : withoutDigests(entry);
}

function withoutDigests(entry: LockEntry): LockEntry {
  return { ...entry, files: entry.files.map(({ name, url }) => ({ name, url })) };
}

/** Whether lock and pins together say what every file's content is. Throws ResError `lock-mismatch` when they disagree. */
function isFixed(workspace: Workspace, { node, source }: RemoteNode): boolean {
  const entry = pinnedEntry(workspace, node, source);
  return entry?.files.every((file) => lockedItem(file) !== undefined) ?? false;
}

function frozenError({ node, identity }: RemoteNode, incomplete: boolean): ResError {
  const what = incomplete ? 'an incomplete entry' : 'no entry';
  return new ResError(
    'lock-missing-entry',
    `${node.name}: the lock has ${what} for ${identity}, and --frozen forbids to make one`,
    {
      hint: 'Run `res build` without --frozen once, and commit resources.lock.yaml.',
    },
  );
}

/** Whether every file of an artifact lies on this machine (`file:` URLs), as far as its source is resolved. */
export function isLocal(workspace: Workspace, name: string): boolean {
  return remoteNodes(workspace, [name]).every(
    ({ identity }) =>
      workspace.lock.get(identity)?.files.every(({ url }) => url.startsWith('file:')) ?? false,
  );
}

export function offlineError(node: string, what: string): ResError {
  return new ResError('offline', `${node}: ${what} is not at hand, and --offline forbids to fetch it`, {
    hint: 'Run it once without --offline where there is a network.',
  });
}

/** Writes the lock if anything in it is new. Rejects with ResError `io` or `no-space`. */
export async function saveLock({ lockFile, lock }: Workspace): Promise<void> {
  try {
    await writeLock(lockFile, { sources: Object.fromEntries(lock) });
  } catch (error) {
    const cause = error instanceof ResError ? error.cause : undefined;
    if (cause instanceof Error && isNoSpace(cause)) throw noSpaceError(cause, 'cannot write', lockFile);
    throw error;
  }
}
