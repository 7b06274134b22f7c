// Outputs that are known by their content alone, because the log that said whose they are was lost. Only what is recorded can be
// moved aside for another variant.

import { shouldBeExecutable } from '../plan/places.js';
import type { DetailedPlan } from '../plan/plan.js';
import type { Workspace } from '../plan/workspace.js';
import type { OutputRecord } from '../store/state.js';

export function hasUnrecordedOutputs(workspace: Workspace, plan: DetailedPlan): boolean {
  return unrecordedOutputs(workspace, plan).length > 0;
}

/** Records them as made by res; only under the workspace's lock. */
export function adoptOutputs(workspace: Workspace, plan: DetailedPlan): void {
  for (const { path, record } of unrecordedOutputs(workspace, plan))
    workspace.state.outputs.set(path, record);
}

interface Recognised {
  /** Absolute. */
  readonly path: string;
  readonly record: OutputRecord;
}

function unrecordedOutputs({ graph, state }: Workspace, plan: DetailedPlan): readonly Recognised[] {
  return [...plan.placements].flatMap(([name, placements]) => {
    const node = graph.nodes.get(name);
    return placements.flatMap(({ path, item, occupant }): Recognised[] => {
      if (!node || !item || occupant.is !== 'ours' || state.outputs.get(path) !== undefined) return [];
      const { digest, type, size } = item;
      const executable = occupant.executable ?? shouldBeExecutable(node, item);
      return [{ path, record: { digest, node: name, type, size, executable } }];
    });
  });
}
