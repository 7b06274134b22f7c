// Choosing nodes: those asked for, and all that they need.

import { suggest } from '../manifest/nearest.js';
import { ResError } from '../model/error.js';
import type { Graph } from '../model/graph.js';
import { isIntermediate } from '../model/node.js';
import { expandGroups } from './groups.js';

export { expandGroups } from './groups.js';

/**
 * The nodes named, or when none is, the manifest's `default`; groups taken apart, in the order asked. A manifest without
 * `default` stands for all its named outputs, or when it has none, for the nodes that no other node uses.
 * Throws ResError `unknown-node`.
 */
export function selectNodes(graph: Graph, names: readonly string[]): readonly string[] {
  const unknown = names.filter((name) => !graph.nodes.has(name));
  const [first, ...others] = unknown;
  if (first !== undefined) {
    const message = `no node is called \`${first}\``;
    const hint = suggest(first, graph.nodes.keys(), 'nodes') ?? '`res list` shows all nodes';
    const diagnostics = others.map((name) => {
      const near = suggest(name, graph.nodes.keys());
      return { message: `no node is called \`${name}\``, ...(near === undefined ? {} : { hint: near }) };
    });
    throw new ResError('unknown-node', message, { hint, diagnostics });
  }
  return expandGroups(graph, names.length > 0 ? names : defaultNodes(graph));
}

/** The names and everything they need, in the graph's order. Names that are not nodes are left out. */
export function closure(graph: Graph, names: readonly string[]): readonly string[] {
  const before = closures.get(names);
  const isSame = before?.graph === graph && before.names.length === names.length;
  if (isSame && names.every((name, i) => name === before.names[i])) return before.closure;
  const found = findClosure(graph, names);
  closures.set(names, { graph, names: [...names], closure: found });
  return found;
}

/** By the very list of names, since one is handed on through a command: planned, checked, built, reported. */
const closures = new WeakMap<
  readonly string[],
  { readonly graph: Graph; readonly names: readonly string[]; readonly closure: readonly string[] }
>();

function findClosure(graph: Graph, names: readonly string[]): readonly string[] {
  const needed = new Set<string>();
  const waiting = [...names];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const node = graph.nodes.get(name);
    if (!node || needed.has(name)) continue;
    needed.add(name);
    for (const reference of node.references) waiting.push(reference.node);
  }
  return graph.order.filter((name) => needed.has(name));
}

function defaultNodes({ manifest, nodes }: Graph): readonly string[] {
  if (manifest.defaults.length > 0) return manifest.defaults;
  const all = [...nodes.values()];
  const named = all.filter((node) => !isIntermediate(node));
  if (named.length > 0) return named.map((node) => node.name);
  const used = new Set(all.flatMap((node) => node.references.map((reference) => reference.node)));
  return all.filter((node) => !used.has(node.name)).map((node) => node.name);
}
