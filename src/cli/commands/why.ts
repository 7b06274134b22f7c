// `res why NODE`: the full reason of its state, from the root cause on.

import { planAround } from '../../plan/around.js';
import { explain } from '../../plan/explain.js';
import { LastRuns } from '../../plan/record.js';
import { whyJson, whyText } from '../../report/why.js';
import type { Context } from '../context.js';
import { checkNode, openContextWorkspace } from '../load.js';

export async function run(context: Context, [asked = '']: readonly string[]): Promise<number> {
  const { flags, out } = context;
  const workspace = await openContextWorkspace(context);
  const name = checkNode(workspace.graph, asked);
  const plan = await planAround(workspace, [name]);
  const runs = new LastRuns(workspace);
  const explanation = explain(plan, workspace.graph, name, (node, key) => runs.of(node, key));
  if (flags.json) out.json(whyJson(explanation));
  else out.lines(whyText(explanation, out.page));
  return 0;
}
