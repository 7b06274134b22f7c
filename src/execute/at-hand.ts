// The inputs of a node, brought to hand for something else than a build of it: to make it a second time, to look into how it is made.
import type { Node } from '../model/node.js';
import { Holdings } from '../plan/places.js';
import { type DetailedPlan, planNodes } from '../plan/plan.js';
import type { Workspace } from '../plan/workspace.js';
import { ownsStore } from '../store/paths.js';
import type { ChainNode } from './action.js';
import type { BuildOptions } from './api.js';
import { build } from './build.js';
import { pick } from './chain.js';

export interface Borrowed {
  /** False when they could not be built; the listener has heard why. */
  readonly ok: boolean;
  /** Removes what was made for this alone, and what no build would have kept. Only under the workspace's lock. */
  giveBack(): Promise<void>;
}

/** Builds what the nodes are made of, intermediates too. Rejects as `build` does. */
export async function borrowInputs(
  workspace: Workspace,
  nodes: readonly Node[],
  options: BuildOptions,
): Promise<Borrowed> {
  const names = [...new Set(nodes.flatMap(inputNames))];
  const nothing = { ok: true, giveBack: async () => undefined };
  if (names.length === 0) return nothing;
  const before = await planNodes(workspace, names);
  const absent = names.filter((name) => before.nodes.get(name)?.present === false);
  const { ok } = await build(workspace, names, options);
  return { ok, giveBack: () => drop(workspace, absent) };
}

function inputNames(node: Node): readonly string[] {
  return node.references.flatMap(({ role, node: name }) => (role === 'sums' ? [] : [name]));
}

/** In a store that others use, they may count on it by now. */
async function drop(workspace: Workspace, names: readonly string[]): Promise<void> {
  if (!ownsStore(workspace.paths)) return;
  const plan = await planNodes(workspace, names);
  for (const name of names) {
    const node = workspace.graph.nodes.get(name);
    if (node?.section !== 'target' || node.keep === 'always') continue;
    for (const { digest, type } of plan.nodes.get(name)?.content ?? [])
      if (workspace.store.has(digest, type)) await workspace.store.remove(digest, type);
  }
}

/** A node with its inputs as they lie there. Undefined when one is not at hand any more. */
export async function chainAtHand(
  workspace: Workspace,
  node: Node,
  plan: DetailedPlan,
): Promise<ChainNode | undefined> {
  const holdings = new Holdings(workspace);
  const inputs: ChainNode['inputs'][number][] = [];
  for (const reference of node.references) {
    const { role, node: name } = reference;
    if (role === 'sums') continue;
    const input = workspace.graph.nodes.get(name);
    const items = plan.nodes.get(name)?.content;
    const found = input && items ? await holdings.findAll(input, items) : undefined;
    if (!items || !found) return undefined;
    inputs.push({ role, node: name, supply: pick(reference, { from: 'files', holdings: found, items }) });
  }
  return { node, inputs };
}
