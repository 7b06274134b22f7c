// Which intermediates need never touch the disk: those that stream, that nobody asked for or wants kept, and that only
// one other node reads, itself in one pass. A property of the plan, not of any kind.

import { makingOf } from '../kinds/kind.js';
import type { Graph } from '../model/graph.js';
import { makerOf } from './registry.js';

export interface Fusion {
  /** Whether `input` may stream straight into `consumer`. */
  joins(input: string, consumer: string): boolean;
}

export function planFusion(graph: Graph, closure: readonly string[], requested: ReadonlySet<string>): Fusion {
  const users = new Map<string, number>();
  for (const name of closure) {
    for (const { node } of graph.nodes.get(name)?.references ?? [])
      users.set(node, (users.get(node) ?? 0) + 1);
  }
  const making = (name: string) => {
    const node = graph.nodes.get(name);
    const maker = node ? makerOf(node) : undefined;
    return node && maker?.is === 'kind' ? makingOf(maker.kind, node.recipe).by : undefined;
  };
  return {
    joins(input, consumer) {
      const into = making(consumer);
      return (
        (into === 'streaming' || into === 'filling') &&
        making(input) === 'streaming' &&
        users.get(input) === 1 &&
        !requested.has(input) &&
        graph.nodes.get(input)?.output === undefined &&
        graph.nodes.get(input)?.keep !== 'always' &&
        graph.nodes.get(consumer)?.references.some((r) => r.node === input && r.role !== 'sums') === true
      );
    },
  };
}
