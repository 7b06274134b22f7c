// `res show NODE`: all that is known of it.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { plainSums } from '../../execute/plain-sums.js';
import { lastRun } from '../../plan/record.js';
import { makerOf } from '../../plan/registry.js';
import { type ShownNode, showJson, showText } from '../../report/show.js';
import type { Context } from '../context.js';
import { planAround } from '../known.js';
import { checkNode, openContextWorkspace } from '../load.js';
import { logFile } from './log.js';

export async function run(context: Context, [asked = '']: readonly string[]): Promise<number> {
  const { flags, out } = context;
  const workspace = await openContextWorkspace(context);
  const { graph } = workspace;
  const name = checkNode(graph, asked);
  const node = graph.nodes.get(name);
  const plan = (await planAround(workspace, [name])).nodes.get(name);
  if (!node || !plan) throw new Error(`${name} is not in its own plan`);
  const maker = makerOf(node);
  const source =
    maker.is === 'source' && maker.source.place === 'remote' ? maker.source.identity(node.recipe) : undefined;
  const log = logFile(workspace, name);
  const shown: ShownNode = {
    node,
    plan,
    output: node.output === undefined ? null : join(graph.manifest.outputDir, node.output),
    source: source === undefined ? undefined : { id: source, entry: workspace.lock.get(source) },
    lastRun: lastRun(workspace, name),
    log: existsSync(log) ? log : undefined,
    sha256: flags.sha256 ? await plainSums(workspace, plan) : undefined,
  };
  if (flags.json) out.json(showJson(shown));
  else out.lines(showText(shown, out.page));
  return 0;
}
