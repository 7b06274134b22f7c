// Questions about a workspace. None of them changes anything but what res remembers of files that it has read.
import { checkNode, namedNodes, selectNodes } from '../graph/select.js';
import type { Node } from '../model/node.js';
import type { Plan } from '../model/plan.js';
import { planAround } from '../plan/around.js';
import { type Explanation, explain } from '../plan/explain.js';
import { planNodes } from '../plan/plan.js';
import { LastRuns } from '../plan/record.js';
import { type EnvReport, envReport } from '../report/env.js';
import type { Drawing } from '../report/graph-edges.js';
import { provenanceStatement, type Statement } from '../report/provenance.js';
import type { ShownNode } from '../report/show.js';
import { version } from '../store/package.js';
import { type Interruptible, interruptible } from './interruptible.js';
import { drawPart, type PictureFormat, partOf, pictureOf } from './picture.js';
import { type ShowOptions, showNode } from './show.js';
import { engineOf, type Workspace } from './workspace.js';

/** The nodes named, all where none is: what is declared, with the variants. Throws ResError `unknown-node`. */
export function list({ graph }: Workspace, nodes: readonly string[] = []): readonly Node[] {
  const names = nodes.length === 0 ? graph.manifest.nodes.map(({ name }) => name) : namedNodes(graph, nodes);
  return names.flatMap((name) => graph.nodes.get(name) ?? []);
}

/** The state of each node of a build, inputs first, and why it is not fresh. Rejects with ResError. */
export async function status(workspace: Workspace, nodes: readonly string[] = []): Promise<Plan> {
  return planNodes(engineOf(workspace), selectNodes(workspace.graph, nodes));
}

/** Why a node is in its state, from the root cause on. Rejects with ResError. */
export async function why(workspace: Workspace, node: string): Promise<Explanation> {
  const name = checkNode(workspace.graph, node);
  const engine = engineOf(workspace);
  const runs = new LastRuns(engine);
  return explain(await planAround(engine, [name]), workspace.graph, name, (each, key) => runs.of(each, key));
}

/** All that is known of a node: recipe, inputs, content, source, last run, the path of its log. Rejects with ResError. */
export async function show(
  workspace: Workspace,
  node: string,
  options: ShowOptions = {},
): Promise<ShownNode> {
  return showNode(engineOf(workspace), checkNode(workspace.graph, node), options);
}

/** Nodes and edges, with states, for a picture. Groups are part of it. Rejects with ResError. */
export async function graph(workspace: Workspace, nodes: readonly string[] = []): Promise<Drawing> {
  return drawPart(await partOf(workspace.graph, workspace.env, nodes));
}

/** The same as a text to write into a file: `await picture(workspace, 'svg')`. Rejects with ResError. */
export async function picture(
  workspace: Workspace,
  format: PictureFormat,
  nodes: readonly string[] = [],
): Promise<string> {
  return pictureOf(await partOf(workspace.graph, workspace.env, nodes), format);
}

/** Where things are, as variables for programs: the manifest's `exports`, and `RES_<NODE>` for each output. */
export function env({ graph }: Workspace): EnvReport {
  return envReport(graph.manifest, graph.nodes.values());
}

/** Where a built node comes from: an in-toto statement with SLSA provenance. Rejects with ResError, also for a node that is not built. */
export function provenance(
  workspace: Workspace,
  node: string,
  { signal }: Interruptible = {},
): Promise<Statement> {
  return interruptible([signal], async (signal) => {
    const name = checkNode(workspace.graph, node);
    const { gatherProvenance } = await import('../execute/provenance.js');
    return provenanceStatement(await gatherProvenance(engineOf(workspace), name, signal), version());
  });
}
