// `res verify`: outputs and store are hashed again and compared with the records; with --repair, what is wrong is mended.
import { type Progress, showProgress } from '../../execute/progress.js';
import { verify } from '../../execute/verify.js';
import { ResError } from '../../model/error.js';
import { verifyJson, verifyText } from '../../report/verify.js';
import type { Context } from '../context.js';
import { createBuildFace } from '../faces/create.js';
import { openContextWorkspace, select } from '../load.js';

export async function run(context: Context, names: readonly string[]): Promise<number> {
  const { flags, out } = context;
  for (const name of ['offline', 'overwrite'] as const) {
    if (!flags[name] || flags.repair) continue;
    throw new ResError('usage', `--${name} goes with --repair only`, {
      hint: '`res verify` alone opens no connection and changes nothing.',
    });
  }
  const workspace = await openContextWorkspace(context);
  const requested = select(workspace.graph, names);
  const face = await createBuildFace(context, workspace.graph);
  const node = 'verify';
  const signal = context.interruptible();
  const look = async (progress: Progress) => {
    const options = {
      signal,
      onProgress: (done: number, total: number) => progress.bytes(done, total),
    };
    if (!flags.repair) return verify(workspace, requested, options);
    // Only that needs the network.
    const { repair } = await import('../../execute/repair.js');
    const { offline, overwrite } = flags;
    return repair(workspace, requested, { ...options, offline, overwrite, listener: face.listener });
  };
  let report: Awaited<ReturnType<typeof verify>>;
  try {
    face.listener({
      type: 'started',
      node,
      work: 'execute',
      detail: 'hashing outputs and store',
      through: [],
    });
    report = await showProgress(node, face.listener, look);
  } finally {
    await face.end();
  }
  if (flags.json) out.json(verifyJson(report));
  else out.lines(verifyText(report, out.page));
  return report.ok ? 0 : 1;
}
