// The full answer to "why": a node's own reasons, and the chain from the root cause down to it.
import type { Graph } from '../model/graph.js';
import type { NodeState, Plan, Reason } from '../model/plan.js';
import type { NodeRecord } from '../store/state.js';
import { differences } from './reasons.js';

export interface Explanation {
  readonly node: string;
  readonly state: NodeState;
  readonly reasons: readonly Reason[];
  /** What its last run failed with, whole; undefined unless the state is `failed`. */
  readonly failure: string | undefined;
  /** From the root cause to the node itself; one entry when the cause is the node's own. */
  readonly chain: readonly { readonly node: string; readonly reasons: readonly Reason[] }[];
}

/** @param recordOf the last run of a node: an input that is fresh by now tells by it what changed */
export function explain(
  plan: Plan,
  graph: Graph,
  name: string,
  recordOf: (node: string, key: string | null) => NodeRecord | undefined,
): Explanation {
  const at = plan.nodes.get(name);
  if (!at) throw new Error(`${name} is not in the plan`);
  const reasonsOf = (node: string): readonly Reason[] => {
    const planned = plan.nodes.get(node);
    if (!planned || planned.reasons.length > 0) return planned?.reasons ?? [];
    const was = recordOf(node, planned.key)?.action;
    const [now, declared] = [planned.action, graph.nodes.get(node)];
    return was && now && declared ? differences(declared, was, now) : [];
  };
  const chain: Explanation['chain'][number][] = [];
  const seen = new Set<string>();
  let reasons = at.reasons;
  for (let node: string | undefined = name; node !== undefined && !seen.has(node); ) {
    seen.add(node);
    chain.push({ node, reasons });
    node = causeOf(graph, node, reasons, reasonsOf);
    if (node !== undefined) reasons = reasonsOf(node);
  }
  return { node: name, state: at.state, reasons: at.reasons, failure: at.failure, chain: chain.toReversed() };
}

/** The input that a reason blames and that has reasons of its own. */
function causeOf(
  graph: Graph,
  node: string,
  reasons: readonly Reason[],
  reasonsOf: (node: string) => readonly Reason[],
): string | undefined {
  const inputs = new Set(graph.nodes.get(node)?.references.map((reference) => reference.node));
  return reasons
    .filter(({ code }) => code === 'input-stale' || code === 'input-changed')
    .map(({ subject }) => subject)
    .find((subject) => subject !== undefined && inputs.has(subject) && reasonsOf(subject).length > 0);
}
