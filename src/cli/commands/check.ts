// `res check`: nodes are made a second time, and what differs is told.
import { check } from '../../execute/check.js';
import type { CheckReport } from '../../model/report.js';
import { checkJson, checkText } from '../../report/check.js';
import type { Context } from '../context.js';
import { createBuildFace } from '../faces/create.js';
import { openContextWorkspace, select } from '../load.js';

export async function run(context: Context, names: readonly string[]): Promise<number> {
  const { flags, out } = context;
  const workspace = await openContextWorkspace(context);
  const requested = select(workspace.graph, names);
  const face = await createBuildFace(context, workspace.graph);
  let report: CheckReport;
  try {
    report = await check(workspace, requested, {
      ...(flags.jobs === undefined ? {} : { jobs: flags.jobs }),
      offline: flags.offline,
      frozen: flags.frozen,
      signal: context.interruptible(),
      listener: face.listener,
    });
  } finally {
    await face.end();
  }
  if (flags.json) out.json(checkJson(report));
  else out.lines(checkText(report, out.page));
  return report.ok ? 0 : 1;
}
