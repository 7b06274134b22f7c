// What a workspace refers to in its store: what `gc` must leave there.
import { type Digest, isDigest } from '../model/digest.js';
import { lockedDigest } from '../model/lock.js';
import { type Node, plainName } from '../model/node.js';
import { makerOf } from './registry.js';
import type { Workspace } from './workspace.js';

export interface Roots {
  readonly digests: ReadonlySet<Digest>;
  /** What a node that the manifest has says `keep: always` of, of all variants. */
  readonly kept: ReadonlySet<Digest>;
}

/**
 * Of every node of the graph what it was last made of and had, and what its source holds by the lock; and of every output in its
 * place what should stand there. What stood there before is no root: where it stands still, it is no object of the store.
 */
export function rootsOf({ graph, state, lock }: Workspace): Roots {
  const digests = new Set<Digest>();
  const kept = new Set<Digest>();
  // By plain names: builds of several combinations of params at once have records under longer ones.
  const nodes = new Map([...graph.nodes.values()].map((node) => [plainName(node.name), node]));
  const refer = (node: Node, digest: Digest) => {
    digests.add(digest);
    // Said since the node last ran, perhaps.
    if (node.keep === 'always') kept.add(digest);
  };
  for (const node of graph.nodes.values())
    for (const digest of lockedContent(node, lock)) refer(node, digest);
  for (const [name, record] of state.nodes.entries()) {
    const node = nodes.get(plainName(name));
    if (!node) continue;
    for (const input of record.action?.inputs ?? []) for (const digest of input.digests) digests.add(digest);
    for (const { digest } of state.traces.get(record.key)?.content ?? []) refer(node, digest);
  }
  for (const [, { digest }] of state.outputs.entries()) digests.add(digest);
  for (const [digest, name] of state.kept.entries())
    if (isDigest(digest) && nodes.get(plainName(name))?.keep === 'always') kept.add(digest);
  return { digests, kept };
}

function lockedContent(node: Node, lock: Workspace['lock']): readonly Digest[] {
  const maker = makerOf(node);
  if (maker.is !== 'source' || maker.source.place === 'workspace') return [];
  const locked = lock.get(maker.source.identity(node.recipe))?.files ?? [];
  return locked.flatMap((file) => lockedDigest(file) ?? []);
}

/** Others who use the store are to find what was made here, and to leave what this workspace refers to. Only while joined. */
export async function register(workspace: Workspace): Promise<void> {
  if (!workspace.shared) return;
  const { digests, kept } = rootsOf(workspace);
  await workspace.shared.register(digests, kept);
}
