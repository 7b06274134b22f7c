// What runs in one pass over the bytes. Intermediates that stream need never touch the disk where nobody asked for them or
// wants them kept, and only one other node reads them, itself in one pass. A download is read by such a node while it comes. A
// property of the plan, not of any kind.

import type { Graph } from '../model/graph.js';
import { makerOf, makingBy } from './registry.js';

export interface Fusion {
  /** Whether `input` may stream straight into `consumer`. */
  joins(input: string, consumer: string): boolean;
  /** Whether `input` is a download that `consumer` may read while it comes. */
  flows(input: string, consumer: string): boolean;
}

export function planFusion(graph: Graph, closure: readonly string[], requested: ReadonlySet<string>): Fusion {
  // Counted when it is first asked for: where little is to be done nobody may ask.
  let counted: ReadonlyMap<string, number> | undefined;
  const isOnlyUser = (input: string) => {
    counted ??= countUsers(graph, closure);
    return counted.get(input) === 1;
  };
  const making = (name: string) => {
    const node = graph.nodes.get(name);
    return node && makingBy(node);
  };
  const readsOnce = (input: string, consumer: string) => {
    const into = making(consumer);
    return (
      (into === 'streaming' || into === 'filling') &&
      graph.nodes.get(consumer)?.references.some((r) => r.node === input && r.role !== 'sums') === true
    );
  };
  return {
    flows(input, consumer) {
      const node = graph.nodes.get(input);
      const maker = node && makerOf(node);
      if (maker?.is !== 'source' || maker.source.place !== 'remote') return false;
      // A directory is read when it is whole.
      return maker.source.tree === undefined && readsOnce(input, consumer);
    },
    joins(input, consumer) {
      return (
        readsOnce(input, consumer) &&
        making(input) === 'streaming' &&
        isOnlyUser(input) &&
        !requested.has(input) &&
        graph.nodes.get(input)?.output === undefined &&
        graph.nodes.get(input)?.keep !== 'always'
      );
    },
  };
}

function countUsers(graph: Graph, closure: readonly string[]): ReadonlyMap<string, number> {
  const users = new Map<string, number>();
  for (const name of closure)
    for (const { node } of graph.nodes.get(name)?.references ?? [])
      users.set(node, (users.get(node) ?? 0) + 1);
  return users;
}
