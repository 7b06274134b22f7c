// `res verify`: outputs and store are hashed again and compared with the records.
import { verify } from '../../execute/verify.js';
import { verifyText } from '../../report/verify.js';
import type { Context } from '../context.js';
import { createBuildFace } from '../faces/create.js';
import { openContextWorkspace, select } from '../load.js';

export async function run(context: Context, names: readonly string[]): Promise<number> {
  const { flags, out } = context;
  const workspace = await openContextWorkspace(context);
  const requested = select(workspace.graph, names);
  const face = await createBuildFace(context, workspace.graph);
  const node = 'verify';
  let report: Awaited<ReturnType<typeof verify>>;
  try {
    face.listener({
      type: 'started',
      node,
      work: 'execute',
      detail: 'hashing outputs and store',
      through: [],
    });
    report = await verify(workspace, requested, {
      signal: context.interruptible(),
      onProgress: (done, total) => face.listener({ type: 'progress', node, done, total, unit: 'bytes' }),
    });
  } finally {
    await face.end();
  }
  if (flags.json) out.json(report);
  else out.lines(verifyText(report, out.page));
  return report.ok ? 0 : 1;
}
