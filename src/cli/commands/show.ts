// `res show NODE`: all that is known of it.
import { showNode } from '../../library/show.js';
import { showJson, showText } from '../../report/show.js';
import type { Context } from '../context.js';
import { checkNode, openContextWorkspace } from '../load.js';

export async function run(context: Context, [name = '']: readonly string[]): Promise<number> {
  const { flags, out } = context;
  const workspace = await openContextWorkspace(context);
  const shown = await showNode(workspace, checkNode(workspace.graph, name), flags);
  if (flags.json) out.json(showJson(shown));
  else out.lines(showText(shown, out.page));
  return 0;
}
