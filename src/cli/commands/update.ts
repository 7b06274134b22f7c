// `res update`: sources are resolved anew and the lock is rewritten.
import { update } from '../../execute/update.js';
import { updateText } from '../../report/update.js';
import type { Context } from '../context.js';
import { createBuildFace } from '../faces/create.js';
import { openContextWorkspace, select } from '../load.js';

export async function run(context: Context, names: readonly string[]): Promise<number> {
  const { flags, out } = context;
  const workspace = await openContextWorkspace(context);
  const requested = select(workspace.graph, names);
  const face = await createBuildFace(context, workspace.graph);
  let report: Awaited<ReturnType<typeof update>>;
  try {
    report = await update(workspace, requested, {
      signal: context.interruptible(),
      listener: face.listener,
      offline: flags.offline,
    });
  } finally {
    await face.end();
  }
  if (flags.json) out.json({ sources: report.sources });
  else out.lines(updateText(report, out.page));
  return 0;
}
