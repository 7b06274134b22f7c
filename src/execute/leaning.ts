// Before anything is done: an output that a person has written to, and that stands on another one, is not left standing on
// something else. What was written makes sense only on the content that it was written on.
import { relative } from 'node:path';
import type { Content } from '../model/content.js';
import { ResError } from '../model/error.js';
import type { Node } from '../model/node.js';
import { standsOn } from '../plan/leaning.js';
import { occupantOf, outputPaths } from '../plan/places.js';
import type { DetailedPlan } from '../plan/plan.js';
import type { Workspace } from '../plan/workspace.js';
import { checkNotBusy } from './outputs.js';

/**
 * Rejects with ResError `output-modified`, `output-busy`. Looks at every node of the manifest, also those that the build is not about.
 * @param given up: nodes whose output may be replaced, whatever is in it
 */
export async function checkStanding(
  workspace: Workspace,
  plan: DetailedPlan,
  givenUp: ReadonlySet<string>,
): Promise<void> {
  const { graph } = workspace;
  const steps = new Set(plan.steps.map(({ node }) => node));
  for (const node of graph.nodes.values()) {
    const replaced = standsOn(node).find(
      (name, i) => (steps.has(name) || steps.has(node.name)) && !isSame(workspace, plan, node, name, i),
    );
    if (replaced === undefined || givenUp.has(node.name)) continue;
    for (const { path } of outputPaths(workspace, node, null)) {
      // A machine that runs on it goes on with the former disk, and will have written to it in a moment.
      checkNotBusy(workspace, path);
      if (!(await isWrittenTo(workspace, node, path))) continue;
      const shown = relative(graph.manifest.dir, path);
      throw new ResError(
        'output-modified',
        `${shown} was written to, and stands on what ${replaced} had before: ${replaced} is not replaced under it`,
        {
          hint: `To keep what was written, first move it away together with the output of ${replaced}, or make one image of both (\`qemu-img convert\`). To give it up: \`res build ${node.name} --overwrite\`.`,
        },
      );
    }
  }
}

/** Whether what a node stands on will be what it stood on when it was made. Unknown content may be anything. */
function isSame({ state }: Workspace, plan: DetailedPlan, node: Node, below: string, index: number): boolean {
  const was = state.nodes.get(node.name)?.action?.inputs[index]?.digests;
  const now: Content | null | undefined = plan.nodes.get(below)?.content;
  // Not in the plan: nothing happens to it.
  if (now === undefined || was === undefined) return true;
  return now?.every(({ digest }, i) => digest === was[i]) ?? false;
}

/** Changed since res made it; or, once it was, accepted as it is. */
async function isWrittenTo(workspace: Workspace, { name }: Node, path: string): Promise<boolean> {
  const { is } = await occupantOf(workspace, path, null);
  if (is !== 'ours') return is === 'changed';
  const record = workspace.state.nodes.get(name);
  return record !== undefined && workspace.state.traces.get(record.key)?.asIs === true;
}
