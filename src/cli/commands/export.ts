// `res export DIR`: a folder to publish.
import { resolve } from 'node:path';
import { exportAsCrate } from '../../library/crate.js';
import { count, formatBytes } from '../../report/format.js';
import type { Context } from '../context.js';
import { openContextWorkspace, select } from '../load.js';
import { sayWaiting } from '../waiting.js';

export async function run(context: Context, [folder = '', ...names]: readonly string[]): Promise<number> {
  const { flags, out, err } = context;
  const workspace = await openContextWorkspace(context);
  const dir = resolve(context.cwd, folder);
  const exported = await exportAsCrate(workspace, select(workspace.graph, names), dir, {
    license: flags.license,
    signal: context.interruptible(),
    onWait: sayWaiting(context),
  });
  const outputs = exported.nodes.flatMap((node) => node.outputs);
  const size = formatBytes(outputs.reduce((sum, output) => sum + output.size, 0));
  if (!flags.quiet)
    out.prose(
      `${out.page.path(dir)}: ${count(outputs.length, 'output')}, ${size}, with manifest and provenance`,
    );
  if (!flags.quiet && flags.license === undefined)
    err.prose('no licence is stated: --license URL states one for those who may use it');
  return 0;
}
