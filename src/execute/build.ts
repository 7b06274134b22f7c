// The front of a build: when everything is in its place, that is all there is to it, and no lock is taken, no
// connection opened, no program run. The machinery for real work is loaded only when there is some.
import { existsSync } from 'node:fs';
import type { BuildResult } from '../model/event.js';
import type { PlannedBuild } from '../model/report.js';
import { type DetailedPlan, planBasis, planNodes } from '../plan/plan.js';
import { keepSettled } from '../plan/settled.js';
import type { Workspace } from '../plan/workspace.js';
import { prepareWorkspace } from '../store/paths.js';
import type { BuildOptions } from './api.js';
import { hasUnrecordedOutputs } from './recognised.js';
import { emptyResult } from './result.js';

/**
 * Brings nodes up to date. Failures of nodes are in the result and in `failed` events; rejects with ResError for what
 * stops the build before any work (a modified output, a source that cannot be resolved, no room), and when interrupted.
 *
 * @param requested names of nodes, groups taken apart already
 */
export async function build(
  workspace: Workspace,
  requested: readonly string[],
  options: BuildOptions = {},
): Promise<BuildResult> {
  const started = Date.now();
  // The first one of all: what is hashed for the plan can be remembered only where there is a clock to tell how old a stat is.
  // A folder that cannot be written to is told of when there is something to write.
  if (!existsSync(workspace.paths.state)) await prepareWorkspace(workspace.paths).catch(() => undefined);
  const isAsked = options.force || options.asIs;
  const plan = isAsked ? undefined : await planNodes(workspace, requested, { quick: true, brief: true });
  if (plan && isDone(workspace, plan)) {
    keepOrder(workspace, plan);
    await workspace.shared?.renew();
    const result = emptyResult(workspace.graph, requested, started);
    options.listener?.({ type: 'summary', ...result });
    return result;
  }
  const early = plan && { plan, basis: planBasis(workspace) };
  const { perform } = await import('./perform.js');
  return perform(workspace, requested, options, { started, early });
}

/** What a build would do. Sources are asked, in memory; nothing is written. Rejects with ResError. */
export async function planBuild(
  workspace: Workspace,
  requested: readonly string[],
  options: BuildOptions = {},
): Promise<PlannedBuild> {
  const { preview } = await import('./perform.js');
  return preview(workspace, requested, options);
}

function isDone(workspace: Workspace, plan: DetailedPlan): boolean {
  const { steps, requested, nodes } = plan;
  if (steps.length > 0 || requested.some((name) => nodes.get(name)?.state !== 'fresh')) return false;
  // To write down whose they are is work, if only a little: it needs the lock.
  return !hasUnrecordedOutputs(workspace, plan);
}

/** What is in order need not be looked into again; there is nothing to keep where all of it was known to be. */
function keepOrder(workspace: Workspace, plan: DetailedPlan): void {
  const names = [...plan.nodes.keys()];
  const { settled } = plan;
  if (settled && !names.some((name, i) => settled.settled.has(i) && !settled.vouches(name))) return;
  keepSettled(
    workspace,
    names,
    (name) => {
      const { state, key, content } = plan.nodes.get(name) ?? {};
      return state === 'fresh' && key && content ? { key, content } : undefined;
    },
    settled,
  );
}
