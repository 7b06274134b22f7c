// Nodes of a graph as pages show them: with their states, sizes and times as far as these are known.
import { join } from 'node:path';
import { contentSize } from '../model/content.js';
import type { Graph } from '../model/graph.js';
import { type Node, outputsOf } from '../model/node.js';
import type { PageFact, PageNode, PageState } from '../model/page.js';
import type { NodePlan } from '../model/plan.js';
import { redactRecipe } from '../sources/redact.js';
import { fieldLines, shortLines } from './fields.js';
import { formatBytes, formatDuration } from './format.js';
import { reasonText } from './reasons.js';

/** What is known of a graph beside what the manifest says. */
export interface Knowledge {
  planOf(node: string): NodePlan | undefined;
  /** Of its last run; null when it never ran. */
  msOf(node: string): number | null;
  /** Where it is not what the plan says. */
  stateOf?(node: string): PageState | undefined;
}

/** @param names what to show, inputs first */
export function graphNodes(graph: Graph, names: readonly string[], known: Knowledge): readonly PageNode[] {
  const shown = new Set(names);
  return names.flatMap((name) => {
    const node = graph.nodes.get(name);
    if (!node) return [];
    const plan = known.planOf(name);
    const size = plan?.content ? contentSize(plan.content) : null;
    const ms = node.kind === 'group' ? null : known.msOf(name);
    return {
      name,
      kind: node.kind,
      section: node.section,
      state: known.stateOf?.(name) ?? plan?.state ?? null,
      size,
      ms,
      inputs: node.references.filter(({ node: input }) => shown.has(input)),
      facts: factsOf(graph, node, plan, size, ms),
    };
  });
}

function factsOf(
  { manifest }: Graph,
  node: Node,
  plan: NodePlan | undefined,
  size: number | null,
  ms: number | null,
): readonly PageFact[] {
  const all: readonly PageFact[] = [
    ['about', ...(node.description === undefined ? [] : [node.description])],
    ['why', ...(plan?.reasons.map(reasonText) ?? [])],
    ['error', ...(plan?.failure === undefined ? [] : [plan.failure])],
    ['kind', `${node.kind} (${node.section})`],
    ['recipe', ...shortLines(fieldLines('', redactRecipe(node.recipe)))],
    ['output', ...outputsOf(node).map((output) => join(manifest.outputDir, output))],
    ['size', ...(size === null ? [] : [`${formatBytes(size)} (${size} bytes)`])],
    ['content', ...(plan?.content?.map(({ name, digest }) => `${name} ${digest}`) ?? [])],
    ['last run', ...(ms === null ? [] : [formatDuration(ms)])],
    ['tools', ...Object.entries(plan?.action?.tools ?? {}).map(([tool, is]) => `${tool}: ${is}`)],
  ];
  return all.filter(([, ...values]) => values.length > 0);
}
