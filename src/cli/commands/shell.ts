// `res shell NODE`: a shell where the node's command runs.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openShell } from '../../execute/shell.js';
import type { Context } from '../context.js';
import { createBuildFace } from '../faces/create.js';
import { checkNode, openContextWorkspace } from '../load.js';

export async function run(context: Context, [name = '']: readonly string[]): Promise<number> {
  const { flags, err } = context;
  const workspace = await openContextWorkspace(context);
  checkNode(workspace.graph, name);
  const face = await createBuildFace(context, workspace.graph);
  const shell = await openShell(workspace, name, {
    offline: flags.offline,
    frozen: flags.frozen,
    signal: context.interruptible(),
    listener: face.listener,
  }).finally(() => face.end());
  if (!shell) return 1;
  try {
    if (!flags.quiet) {
      const fate = shell.isKept ? 'as its last run, which failed, left it' : 'removed when the shell ends';
      err.prose(`scratch directory: ${err.page.path(shell.scratch)} (${fate})`);
      err.line(`sandbox: ${shell.sandbox ?? 'none'}`);
      err.line(`to run the command of ${name}: ${shell.byHand}`);
    }
    const { line, cwd, env } = shell.command;
    const [file, ...args] = line;
    const child = spawn(file, args, { cwd, env, stdio: 'inherit' });
    const [status]: unknown[] = await once(child, 'exit');
    return typeof status === 'number' ? status : 1;
  } finally {
    await shell.close();
  }
}
