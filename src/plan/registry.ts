// Kinds and sources under one roof: what a node is made by, found by its kind key.

import { type Kind, makingOf } from '../kinds/kind.js';
import { kinds } from '../kinds/registry.js';
import type { KindReferences, Node } from '../model/node.js';
import { sources } from '../sources/registry.js';
import type { Source } from '../sources/source.js';

export type Maker =
  | { readonly is: 'source'; readonly source: Source }
  | { readonly is: 'kind'; readonly kind: Kind };

/** How the graph finds the references of every kind key. */
export const references: ReadonlyMap<string, KindReferences> = new Map<string, KindReferences>([
  ...sources,
  ...kinds,
]);

export function makerOf(node: Node): Maker {
  const kind = kinds.get(node.kind);
  if (kind) return { is: 'kind', kind };
  const source = sources.get(node.kind);
  if (source) return { is: 'source', source };
  throw new Error(`no maker is registered for the kind ${node.kind}`);
}

/** How a target is made; undefined for an artifact. */
export function makingBy(node: Node): ReturnType<typeof makingOf>['by'] | undefined {
  const maker = makerOf(node);
  return maker.is === 'kind' ? makingOf(maker.kind, node.recipe).by : undefined;
}
