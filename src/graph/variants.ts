// The support table: which row of a node's `variants` holds, and what to say about it.
import { ResError } from '../model/error.js';
import type { BuildEvent } from '../model/event.js';
import type { Graph } from '../model/graph.js';
import type { Node, NodeDeclaration, Variant } from '../model/node.js';
import { closure } from './select.js';

type ParamValues = Readonly<Record<string, string>>;

/** The first row whose `when` fits; undefined when the table has none for these values. */
export function variantOf(
  node: Pick<NodeDeclaration, 'variants'>,
  paramValues: ParamValues,
): Variant | undefined {
  return node.variants.find((variant) =>
    Object.entries(variant.when).every(([name, value]) => paramValues[name] === value),
  );
}

/**
 * What is to be warned of before the nodes named are built: a sentence for each combination of params that is not stable,
 * with the nodes that it is so for.
 * With a tool (`gem5`), throws ResError `variant-unsupported` when one is not known to work with it.
 */
export function checkVariants(graph: Graph, names: readonly string[], forTool?: string): readonly string[] {
  const warnings = new Map<string, Set<string>>();
  for (const name of closure(graph, names)) {
    const node = graph.nodes.get(name);
    if (!node || node.variants.length === 0) continue;
    for (const paramValues of valuesOf(graph, node)) {
      const variant = variantOf(node, paramValues);
      if (forTool !== undefined && !worksWith(variant, forTool))
        throw unsupported(node, paramValues, forTool);
      const warning = warningFor(node, variant, paramValues);
      if (warning === undefined) continue;
      const label = variant?.label === undefined ? '' : ` (${variant.label})`;
      warnings.set(warning, (warnings.get(warning) ?? new Set()).add(name + label));
    }
  }
  return Array.from(warnings, ([warning, nodes]) => `${warning}: ${[...nodes].join(', ')}`);
}

/** The values of all params for which a node stands in the graph: one set of them, or one for each combination. */
export function valuesOf({ manifest }: Graph, { combinations }: Node): readonly ParamValues[] {
  const { paramValues } = manifest;
  return combinations?.map((values) => ({ ...paramValues, ...values })) ?? [paramValues];
}

/** A row that says nothing of tools leaves none out. */
function worksWith(variant: Variant | undefined, tool: string): boolean {
  return variant !== undefined && (variant.worksWith === undefined || variant.worksWith.includes(tool));
}

function warningFor(
  node: NodeDeclaration,
  variant: Variant | undefined,
  paramValues: ParamValues,
): string | undefined {
  if (!variant) return `nobody has tried ${combination(asked(node, paramValues))}`;
  const { state, when } = variant;
  return state === 'experimental' || state === 'deprecated' ? `${state} for ${combination(when)}` : undefined;
}

function unsupported(node: NodeDeclaration, paramValues: ParamValues, tool: string): ResError {
  const working = node.variants.filter((variant) => worksWith(variant, tool));
  const list = working.map(
    (variant) => `${flags(variant.when)}${variant.label === undefined ? '' : ` (${variant.label})`}`,
  );
  return new ResError(
    'variant-unsupported',
    `${node.name} for ${combination(asked(node, paramValues))} is not known to work with ${tool}`,
    {
      hint:
        list.length === 0 ? `no variant of ${node.name} works with ${tool}` : `these do: ${list.join('; ')}`,
    },
  );
}

/** The values in force of the params that the node's table is about. */
function asked(node: NodeDeclaration, paramValues: ParamValues): Record<string, string> {
  const names = new Set(node.variants.flatMap((variant) => Object.keys(variant.when)));
  return Object.fromEntries([...names].map((name) => [name, paramValues[name] ?? '']));
}

function combination(when: ParamValues): string {
  const parts = Object.entries(when).map(([name, value]) => `${name}=${value}`);
  return parts.length === 0 ? 'all params' : parts.join(' ');
}

function flags(when: ParamValues): string {
  const parts = Object.entries(when).map(([name, value]) => `--${name} ${value}`);
  return parts.length === 0 ? 'any' : parts.join(' ');
}

/**
 * `checkVariants` as what a build tells before it does anything: one warning for all nodes, or none. Throws ResError
 * `variant-unsupported` when one does not work with the simulator.
 */
export function variantWarnings(
  graph: Graph,
  names: readonly string[],
  simulator: string | undefined,
): readonly BuildEvent[] {
  const warnings = checkVariants(graph, names, simulator);
  if (warnings.length === 0) return [];
  return [{ type: 'warning', message: warnings.join('; '), hint: '`res list` shows the variants.' }];
}
