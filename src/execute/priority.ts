// How urgent a node is: the time that the longest chain of work from its start to the end of the build takes.
import { lastTook } from '../plan/record.js';
import type { Workspace } from '../plan/workspace.js';

/** Counted for a node that never ran, ms: enough for depth to decide where nothing else does. */
const UNKNOWN_MS = 100;

/**
 * Expected ms from the start of each node to the end of the build, from the durations of the last runs.
 * @param names nodes with work to do, inputs first
 */
export function criticalPaths(workspace: Workspace, names: readonly string[]): (node: string) => number {
  const after = new Map<string, number>();
  const remaining = new Map<string, number>();
  for (const name of names.toReversed()) {
    const own = lastTook(workspace.state.nodes.get(name)) ?? UNKNOWN_MS;
    const time = own + (after.get(name) ?? 0);
    remaining.set(name, time);
    for (const { node: input } of workspace.graph.nodes.get(name)?.references ?? []) {
      after.set(input, Math.max(after.get(input) ?? 0, time));
    }
  }
  return (node) => remaining.get(node) ?? 0;
}
