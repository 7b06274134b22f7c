// `build --as-is`: what a person made of an output is taken for what its node has, until the node is made anew.
import { lstat } from 'node:fs/promises';
import { basename, relative } from 'node:path';
import { closure } from '../graph/select.js';
import type { Content, Item } from '../model/content.js';
import { ResError } from '../model/error.js';
import type { EventListener } from '../model/event.js';
import type { Node } from '../model/node.js';
import type { NodePlan } from '../model/plan.js';
import type { Placement } from '../plan/places.js';
import { type DetailedPlan, planNodes } from '../plan/plan.js';
import { makerOf } from '../plan/registry.js';
import type { Workspace } from '../plan/workspace.js';

/**
 * Accepts every output of the nodes, and of what they are made of, that was changed or put there by hand. What is made of
 * it is stale from then on. Rejects with ResError `output-modified` for a download, whose content the lock fixes, for what has a
 * `verify`, and for a node whose inputs are not known yet; nothing is accepted of it then.
 */
export async function acceptAsIs(
  workspace: Workspace,
  requested: readonly string[],
  listener: EventListener,
): Promise<void> {
  const accepted = new Set<string>();
  for (;;) {
    // Planned anew each time: what a node has decides the keys of those that are made of it.
    const found = firstByHand(workspace, requested, await planNodes(workspace, requested), accepted);
    if (!found) break;
    accepted.add(found.placement.path);
    await acceptOutput(workspace, found);
    const { path } = found.placement;
    const shown = relative(workspace.graph.manifest.dir, path);
    listener({ type: 'notice', node: found.node.name, message: `${shown} is accepted as it is now` });
  }
  await workspace.state.flush();
}

interface ByHand {
  readonly node: Node;
  readonly planned: NodePlan;
  readonly placement: Placement;
}

/** The first one in the order of the graph, inputs first. */
function firstByHand(
  { graph }: Workspace,
  requested: readonly string[],
  plan: DetailedPlan,
  accepted: ReadonlySet<string>,
): ByHand | undefined {
  for (const name of closure(graph, requested)) {
    const [node, planned] = [graph.nodes.get(name), plan.nodes.get(name)];
    const placement = plan.placements
      .get(name)
      ?.find(({ path, occupant: { is } }) => (is === 'changed' || is === 'foreign') && !accepted.has(path));
    if (node && planned && placement) return { node, planned, placement };
  }
  return undefined;
}

async function acceptOutput(workspace: Workspace, { node, planned, placement }: ByHand): Promise<void> {
  const { state, cache, graph } = workspace;
  const { path } = placement;
  const shown = relative(graph.manifest.dir, path);
  const { key, action } = planned;
  if (makerOf(node).is === 'source') {
    throw notAccepted(
      `${shown}: it is a download, and the lock says what that holds`,
      `Make a target of your own for it, \`copy: ${node.name}\` with another \`output\`, and change that one.`,
    );
  }
  if (node.verify) {
    throw notAccepted(
      `${shown}: the \`verify\` of ${node.name} says what it must hold`,
      'Take `verify` out of the manifest, or put the old file back with `--overwrite`.',
    );
  }
  if (key === null) {
    throw notAccepted(
      `${shown}: what ${node.name} is made of is not known yet`,
      `Move the file away, run \`res build ${node.name}\`, move the file back, and accept it then.`,
    );
  }
  const stats = await lstat(path);
  if (!stats.isFile() && !stats.isDirectory())
    throw notAccepted(`${shown}: it is neither a file nor a folder`, 'Put a copy of what it leads to there.');
  const type = stats.isDirectory() ? 'directory' : 'file';
  const { digest, size } =
    type === 'directory' ? await cache.digestOfDirectory(path) : await cache.digestOf(path, 'derived');
  const executable = type === 'file' && (stats.mode & 0o100) !== 0;
  const name = placement.item?.name ?? basename(path);
  const item: Item = { name, type, digest, size, ...(executable ? { executable } : {}) };
  const content = node.outputs ? withItem(planned.content, item) : [item];
  if (!content) {
    throw notAccepted(
      `${shown}: what the other outputs of ${node.name} hold is not known yet`,
      `Move the file away, run \`res build ${node.name}\`, move the file back, and accept it then.`,
    );
  }
  const at = Date.now();
  state.traces.set(key, { content, durationMs: 0, at, asIs: true });
  state.outputs.set(path, { digest, node: node.name, type, size, executable });
  state.nodes.set(node.name, { key, action, status: 'done', at, durationMs: 0 });
}

/** One of several outputs is another one. */
function withItem(content: Content | null, item: Item): Content | undefined {
  return content?.map((each) => (each.name === item.name ? item : each));
}

function notAccepted(message: string, hint: string): ResError {
  return new ResError('output-modified', `cannot accept ${message}`, { hint });
}
