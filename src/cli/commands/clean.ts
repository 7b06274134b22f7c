// `res clean`: what res made is removed, of all nodes and variants where none is named.
import { clean } from '../../execute/clean.js';
import { cleanJson, cleanText } from '../../report/clean.js';
import type { Context } from '../context.js';
import { openContextWorkspace, select } from '../load.js';
import { sayWaiting } from '../waiting.js';

export async function run(context: Context, names: readonly string[]): Promise<number> {
  const { flags, out } = context;
  const workspace = await openContextWorkspace(context);
  const requested = names.length === 0 ? [] : select(workspace.graph, names);
  const report = await clean(workspace, requested, {
    all: flags.all,
    force: flags.force,
    signal: context.interruptible(),
    onWait: sayWaiting(context),
  });
  if (flags.json) out.json(cleanJson(report));
  else if (!flags.quiet) out.lines(cleanText(report, out.page));
  return 0;
}
