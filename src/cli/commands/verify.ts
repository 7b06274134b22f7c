// `res verify`: outputs and store are hashed again and compared with the records; with --repair, what is wrong is mended.
import { Throttle } from '../../execute/progress.js';
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
  const progress = new Throttle(node, face.listener);
  const options = {
    signal: context.interruptible(),
    onProgress: (done: number, total: number) => progress.bytes(done, total),
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
    const { offline, overwrite } = flags;
    if (flags.repair) {
      // Only that needs the network.
      const { repair } = await import('../../execute/repair.js');
      report = await repair(workspace, requested, {
        ...options,
        offline,
        overwrite,
        listener: face.listener,
      });
    } else {
      report = await verify(workspace, requested, options);
    }
  } finally {
    await face.end();
  }
  if (flags.json) out.json(verifyJson(report));
  else out.lines(verifyText(report, out.page));
  return report.ok ? 0 : 1;
}
