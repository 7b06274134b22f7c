// The part of a graph that is drawn: nodes in order, edges from input to user, states where they are known.
import type { Graph } from '../model/graph.js';
import { type Node, type NodeSection, outputsByName } from '../model/node.js';
import type { NodeState } from '../model/plan.js';

export interface Drawing {
  readonly nodes: readonly DrawnNode[];
  readonly edges: readonly { readonly from: string; readonly to: string; readonly role: string }[];
  /** What was asked for, in that order. */
  readonly roots: readonly string[];
}

export interface DrawnNode {
  readonly name: string;
  readonly kind: string;
  readonly section: NodeSection;
  /** Null for what is not part of the plan. */
  readonly state: NodeState | null;
  readonly output: string | null;
  /** Instead, of a node with outputs by name. */
  readonly outputs?: Readonly<Record<string, string>>;
}

/** @param names what to draw, inputs first */
export function drawing(
  graph: Graph,
  names: readonly string[],
  roots: readonly string[],
  stateOf: (name: string) => NodeState | null,
): Drawing {
  const drawn = new Set(names);
  const nodes = names.flatMap((name): Node[] => {
    const node = graph.nodes.get(name);
    return node ? [node] : [];
  });
  return {
    roots,
    nodes: nodes.map(({ name, kind, section, output, outputs }) => ({
      name,
      kind,
      section,
      state: stateOf(name),
      output: output ?? null,
      ...(outputs ? { outputs: outputsByName(outputs) } : {}),
    })),
    edges: nodes.flatMap((node) =>
      node.references
        .filter((reference) => drawn.has(reference.node))
        .map((reference) => ({ from: reference.node, to: node.name, role: reference.role })),
    ),
  };
}
