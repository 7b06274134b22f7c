// Groups: names for several nodes. They are taken apart when nodes are chosen; nothing is made for them.
import type { Graph } from '../model/graph.js';

/** The one kind that the graph knows by name: it stands for nodes, so choosing nodes must see through it. */
export const GROUP = 'group';

/** The names with every group replaced by its members, groups in it too; each name once, in the order first met. */
export function expandGroups(graph: Graph, names: readonly string[]): readonly string[] {
  const expanded = new Set<string>();
  const opened = new Set<string>();
  const waiting = [...names].reverse();
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const node = graph.nodes.get(name);
    if (node?.kind !== GROUP) expanded.add(name);
    else if (!opened.has(name)) {
      opened.add(name);
      for (const { node: member } of node.references.toReversed()) waiting.push(member);
    }
  }
  return [...expanded];
}
