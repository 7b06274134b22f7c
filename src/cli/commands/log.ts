// `res log NODE`: what its last run printed.
import { createReadStream, existsSync } from 'node:fs';
import { ResError } from '../../model/error.js';
import { logFile } from '../../plan/record.js';
import type { Context } from '../context.js';
import { checkNode, openContextWorkspace } from '../load.js';

export async function run(context: Context, [name = '']: readonly string[]): Promise<number> {
  const workspace = await openContextWorkspace(context);
  const path = logFile(workspace, checkNode(workspace.graph, name));
  if (!existsSync(path)) {
    throw new ResError('file-not-found', `there is no log of ${name}`, {
      hint: 'Only nodes that a program was run for have one, from their last run here.',
    });
  }
  const { stream } = context.out;
  for await (const chunk of createReadStream(path)) {
    const taken = await new Promise<boolean>((resolve) => {
      stream.write(chunk, (error) => resolve(!error));
    });
    // The reader has gone: `res log NODE | head`.
    if (!taken) break;
  }
  return 0;
}
