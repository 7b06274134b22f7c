// Nodes in the plan that shows them as `res status` does.
import { closure, selectNodes } from '../graph/select.js';
import type { Plan } from '../model/plan.js';
import { planNodes } from './plan.js';
import type { Workspace } from './workspace.js';

/**
 * The plan of the default nodes where these are part of it: an intermediate that nobody needs is fresh there, while in a
 * plan that asks for its bytes it would not be. The names may be those of groups.
 */
export async function planAround(workspace: Workspace, names: readonly string[]): Promise<Plan> {
  const { graph } = workspace;
  const groups = closure(graph, graph.manifest.defaults).filter(
    (name) => graph.nodes.get(name)?.kind === 'group',
  );
  const around = [...selectNodes(graph, []), ...groups.filter((name) => names.includes(name))];
  const known = new Set(closure(graph, around));
  return planNodes(workspace, names.every((name) => known.has(name)) ? around : names);
}
