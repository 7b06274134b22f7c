// What is to be said of the variants chosen, as events, before anything is done.
import { checkVariants } from '../graph/variants.js';
import type { BuildEvent } from '../model/event.js';
import type { Graph } from '../model/graph.js';

/**
 * One warning for all nodes whose variant is not stable, or none. Throws ResError `variant-unsupported` when one does
 * not work with the simulator.
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
