// All that is known of a node, gathered from plan, lock and records: for `show` of the library and of the command line.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { plainSums } from '../execute/plain-sums.js';
import { planAround } from '../plan/around.js';
import { LastRuns, logFile } from '../plan/record.js';
import { makerOf } from '../plan/registry.js';
import type { Workspace } from '../plan/workspace.js';
import type { ShownNode } from '../report/show.js';

export interface ShowOptions {
  /** Plain sha256 too, of contents that are known by another digest: their bytes are read. */
  readonly sha256?: boolean;
}

/** @param name of a node of the graph */
export async function showNode(
  workspace: Workspace,
  name: string,
  { sha256 = false }: ShowOptions,
): Promise<ShownNode> {
  const { graph } = workspace;
  const node = graph.nodes.get(name);
  const plan = (await planAround(workspace, [name])).nodes.get(name);
  if (!node || !plan) throw new Error(`${name} is not in its own plan`);
  const maker = makerOf(node);
  const source =
    maker.is === 'source' && maker.source.place === 'remote' ? maker.source.identity(node.recipe) : undefined;
  const log = logFile(workspace, name);
  return {
    node,
    plan,
    output: node.output === undefined ? null : join(graph.manifest.outputDir, node.output),
    source: source === undefined ? undefined : { id: source, entry: workspace.lock.get(source) },
    lastRun: new LastRuns(workspace).of(name, plan.key),
    log: existsSync(log) ? log : undefined,
    sha256: sha256 ? await plainSums(workspace, plan) : undefined,
  };
}
