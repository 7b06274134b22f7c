// One node in the plan that shows it as `res status` does.
import type { Plan } from '../model/plan.js';
import { planNodes } from '../plan/plan.js';
import type { Workspace } from '../plan/workspace.js';
import { select } from './load.js';

/**
 * The plan of the default nodes where the node is part of it: an intermediate that nobody needs is fresh there, while
 * in a plan that asks for its bytes it would not be.
 */
export async function planAround(workspace: Workspace, name: string): Promise<Plan> {
  const { graph } = workspace;
  const plan = graph.manifest.defaults.length > 0 ? await planNodes(workspace, select(graph, [])) : undefined;
  return plan?.nodes.has(name) ? plan : planNodes(workspace, [name]);
}
