// What contents are called, for people: the store knows digests only.
import type { Content } from '../model/content.js';
import { type Digest, isDigest, sha256Digest } from '../model/digest.js';
import { makerOf } from '../plan/registry.js';
import type { Workspace } from '../plan/workspace.js';

export interface ContentName {
  /** Of a node that has it, or had it when it last ran. */
  readonly node: string | null;
  /** Of the file or folder. */
  readonly name: string;
}

/** Of all that the workspace knows of; what is known better of a content comes later, and stays. */
export function contentNames({ graph, state, lock }: Workspace): ReadonlyMap<Digest, ContentName> {
  const names = new Map<Digest, ContentName>();
  const add = (digest: Digest, node: string | null, name = names.get(digest)?.name ?? node) => {
    if (name !== null) names.set(digest, { node: node ?? names.get(digest)?.node ?? null, name });
  };
  const addAll = (content: Content, node: string | null) => {
    for (const { digest, name } of content) add(digest, node, name);
  };
  for (const [, { content }] of state.traces.entries()) addAll(content, null);
  for (const [, { files }] of lock)
    for (const { name, sha256 } of files) if (sha256 !== undefined) add(sha256Digest(sha256), null, name);
  for (const node of graph.nodes.values()) {
    const maker = makerOf(node);
    if (maker.is === 'source' && maker.source.place === 'remote')
      for (const { name, sha256 } of lock.get(maker.source.identity(node.recipe))?.files ?? [])
        if (sha256 !== undefined) add(sha256Digest(sha256), node.name, name);
    const record = state.nodes.get(node.name);
    addAll((record && state.traces.get(record.key)?.content) ?? [], node.name);
  }
  for (const [, { digest, node }] of state.outputs.entries()) add(digest, node);
  for (const [digest, node] of state.kept.entries()) if (isDigest(digest)) add(digest, node);
  return names;
}
