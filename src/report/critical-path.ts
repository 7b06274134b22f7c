// The chain of work that decided how long a build took: each piece waited for the one before it, or for a place to run.
import type { RecordedNode, RecordedRun } from '../model/build-record.js';

export interface PathStep {
  readonly node: string;
  readonly run: RecordedRun;
}

/** From the first piece of work to the one that ended last; empty where nothing ran. */
export function criticalPath(nodes: readonly RecordedNode[]): readonly PathStep[] {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const runs = nodes.flatMap(({ name, runs }) => runs.map((run) => ({ node: name, run })));
  const path: PathStep[] = [];
  const seen = new Set<RecordedRun>();
  let step = latest(runs);
  while (step && !seen.has(step.run)) {
    seen.add(step.run);
    path.unshift(step);
    const inputs = waitedFor(byName, step, seen);
    step = latest(inputs);
  }
  return path;
}

/** The runs of what a piece of work is made of, and the earlier ones of the node itself. */
function waitedFor(
  byName: ReadonlyMap<string, RecordedNode>,
  { node, run }: PathStep,
  seen: ReadonlySet<RecordedRun>,
): readonly PathStep[] {
  const found: PathStep[] = [];
  const reached = new Set<string>();
  const waiting = [node, ...run.through];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (reached.has(name)) continue;
    reached.add(name);
    const at = byName.get(name);
    if (!at) continue;
    const earlier = at.runs.filter((other) => !seen.has(other) && other.start_ms <= run.start_ms);
    found.push(...earlier.map((other) => ({ node: name, run: other })));
    // What did not run by itself was made in the same pass, or needed nothing: what it is made of may have been waited for.
    if (earlier.length === 0) for (const input of at.inputs) waiting.push(input.node);
  }
  return found;
}

function latest(steps: readonly PathStep[]): PathStep | undefined {
  return steps.reduce<PathStep | undefined>(
    (last, step) => (last === undefined || step.run.end_ms > last.run.end_ms ? step : last),
    undefined,
  );
}

/** How long something of the path ran, ms: one that reads what another one brings runs beside it. */
export function pathTime(path: readonly PathStep[]): number {
  let [time, until] = [0, 0];
  for (const { run } of path.toSorted((a, b) => a.run.start_ms - b.run.start_ms)) {
    time += Math.max(0, run.end_ms - Math.max(run.start_ms, until));
    until = Math.max(until, run.end_ms);
  }
  return time;
}
