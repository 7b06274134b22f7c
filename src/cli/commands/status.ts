// `res status`: a row a node.
import { planNodes } from '../../plan/plan.js';
import { isFresh, statusJson, statusText } from '../../report/status.js';
import type { Context } from '../context.js';
import { openContextWorkspace, select } from '../load.js';

const NOT_FRESH = 3;

export async function run(context: Context, names: readonly string[]): Promise<number> {
  const { flags, out } = context;
  const workspace = await openContextWorkspace(context);
  const plan = await planNodes(workspace, select(workspace.graph, names), { quick: true });
  if (flags.json) out.json(statusJson(plan));
  else if (!flags.quiet) out.lines(statusText(plan, out.page));
  return flags.check && !isFresh(plan) ? NOT_FRESH : 0;
}
