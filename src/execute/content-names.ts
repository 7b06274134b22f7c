// What contents are called, for people: the store knows digests only.
import type { Content } from '../model/content.js';
import { type Digest, isDigest } from '../model/digest.js';
import { type LockedFile, lockedDigest } from '../model/lock.js';
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
  const addLocked = (file: LockedFile, node: string | null) => {
    const digest = lockedDigest(file);
    if (digest !== undefined) add(digest, node, file.name);
  };
  for (const [, { content }] of state.traces.entries()) addAll(content, null);
  for (const [, { files }] of lock) for (const file of files) addLocked(file, null);
  for (const node of graph.nodes.values()) {
    const maker = makerOf(node);
    if (maker.is === 'source' && maker.source.place === 'remote')
      for (const file of lock.get(maker.source.identity(node.recipe))?.files ?? [])
        addLocked(file, node.name);
    const record = state.nodes.get(node.name);
    addAll((record && state.traces.get(record.key)?.content) ?? [], node.name);
  }
  for (const [, { digest, node }] of state.outputs.entries()) add(digest, node);
  for (const [digest, node] of state.kept.entries()) if (isDigest(digest)) add(digest, node);
  return names;
}
