// The full answer to "why": a node's own reasons, and the chain from the root cause down to it.
import type { Graph } from '../model/graph.js';
import type { NodeState, Plan, Reason } from '../model/plan.js';

export interface Explanation {
  readonly node: string;
  readonly state: NodeState;
  readonly reasons: readonly Reason[];
  /** From the root cause to the node itself; one entry when the cause is the node's own. */
  readonly chain: readonly { readonly node: string; readonly reasons: readonly Reason[] }[];
}

export function explain(plan: Plan, graph: Graph, name: string): Explanation {
  const at = plan.nodes.get(name);
  if (!at) throw new Error(`${name} is not in the plan`);
  const chain: Explanation['chain'][number][] = [];
  const seen = new Set<string>();
  for (let node: string | undefined = name; node !== undefined && !seen.has(node); ) {
    seen.add(node);
    const reasons: readonly Reason[] = plan.nodes.get(node)?.reasons ?? [];
    chain.unshift({ node, reasons });
    node = causeOf(plan, graph, node, reasons);
  }
  return { node: name, state: at.state, reasons: at.reasons, chain };
}

/** The input that a reason blames and that has reasons of its own. */
function causeOf(plan: Plan, graph: Graph, node: string, reasons: readonly Reason[]): string | undefined {
  const inputs = new Set(graph.nodes.get(node)?.references.map((reference) => reference.node));
  return reasons
    .filter(({ code }) => code === 'input-stale' || code === 'input-changed')
    .map(({ subject }) => subject)
    .find(
      (subject) =>
        subject !== undefined && inputs.has(subject) && (plan.nodes.get(subject)?.reasons.length ?? 0) > 0,
    );
}
