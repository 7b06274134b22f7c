// `res plan`: what a build would do, in order, and why. Nothing is touched.
import { planBuild } from '../../execute/build.js';
import { variantWarnings } from '../../graph/variants.js';
import { planJson, planText } from '../../report/plan.js';
import type { Context } from '../context.js';
import { createBuildFace } from '../faces/create.js';
import { openContextWorkspace, select } from '../load.js';

export async function run(context: Context, names: readonly string[]): Promise<number> {
  const { flags, out } = context;
  const workspace = await openContextWorkspace(context);
  const requested = select(workspace.graph, names);
  const warnings = variantWarnings(workspace.graph, requested, flags.for);
  const face = await createBuildFace(context, workspace.graph);
  let planned: Awaited<ReturnType<typeof planBuild>>;
  try {
    for (const warning of warnings) face.listener(warning);
    planned = await planBuild(workspace, requested, {
      force: flags.force,
      offline: flags.offline,
      frozen: flags.frozen,
      signal: context.interruptible(),
      listener: face.listener,
    });
  } finally {
    await face.end();
  }
  if (flags.json) out.json(planJson(planned, flags));
  else out.lines(planText(planned, out.page, flags));
  return 0;
}
