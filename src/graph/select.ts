// Choosing nodes: those asked for, and all that they need.

import { suggest } from '../manifest/nearest.js';
import { ResError } from '../model/error.js';
import type { Graph } from '../model/graph.js';
import { isIntermediate, plainName } from '../model/node.js';
import { expandGroups } from './groups.js';
import { namePart } from './matrix.js';

export { expandGroups } from './groups.js';

/**
 * The nodes named, or when none is, the manifest's `default`; groups taken apart, in the order asked. A manifest without
 * `default` stands for all its named outputs, or when it has none, for the nodes that no other node uses.
 * Throws ResError `unknown-node`.
 */
export function selectNodes(graph: Graph, names: readonly string[]): readonly string[] {
  return expandGroups(graph, drawnRoots(graph, names));
}

/**
 * The nodes that names of a user stand for, groups as they are. In a graph of several combinations of params a plain name
 * stands for the node in all of them, and `NAME@param=value` for it where the param has that value.
 * Throws ResError `unknown-node`.
 */
export function namedNodes(graph: Graph, names: readonly string[]): readonly string[] {
  const found = names.map((name) => nodesCalled(graph, name));
  const [first, ...others] = names.filter((_, i) => found[i]?.length === 0);
  if (first !== undefined) {
    const message = `no node is called \`${first}\``;
    const hint = nearNode(graph, first, 'nodes') ?? '`res list` shows all nodes';
    const diagnostics = others.map((name) => {
      const near = nearNode(graph, name);
      return { message: `no node is called \`${name}\``, ...(near === undefined ? {} : { hint: near }) };
    });
    throw new ResError('unknown-node', message, { hint, diagnostics });
  }
  return found.flat();
}

/** What a picture is of: the nodes named, or what a build without names is asked for; groups as they are. Throws ResError `unknown-node`. */
export function drawnRoots(graph: Graph, names: readonly string[]): readonly string[] {
  return names.length > 0 ? namedNodes(graph, names) : defaultNodes(graph);
}

/** The one node named. Throws ResError `unknown-node`; `usage` for a name that several have with --matrix. */
export function checkNode(graph: Graph, name: string): string {
  const [first, ...others] = namedNodes(graph, [name]);
  if (first !== undefined && others.length === 0) return first;
  throw new ResError('usage', `\`${name}\` is ${others.length + 1} nodes with --matrix`, {
    hint: `name one of them: ${[first, ...others].slice(0, 20).join(' ')}${others.length >= 20 ? ' …' : ''}`,
  });
}

function nodesCalled(graph: Graph, name: string): readonly string[] {
  if (graph.nodes.has(name)) return [name];
  const plain = plainName(name);
  const wanted = name.slice(plain.length + 1).split(',');
  if (name.endsWith('@')) return [];
  return [...graph.nodes.values()]
    .filter((node) => plainName(node.name) === plain && node.combinations !== undefined)
    .filter(
      ({ combinations }) =>
        name === plain ||
        combinations?.some((values) => {
          const had = new Set(Object.entries(values).map(([param, value]) => namePart(param, value)));
          return wanted.every((part) => had.has(part));
        }),
    )
    .map((node) => node.name);
}

/** A hint at what may be meant. */
function nearNode(graph: Graph, name: string, all?: string): string | undefined {
  const plain = plainName(name);
  const known = new Set([...graph.nodes.keys()].map(plainName));
  if (!known.has(plain)) return suggest(plain, known, all);
  // The node is there, and not for these values.
  const own = [...graph.nodes.keys()].filter((each) => plainName(each) === plain);
  const [only] = own;
  if (own.length === 1 && only === plain && graph.nodes.get(plain)?.combinations === undefined)
    return `\`${name}\` is there with --matrix; without it there is \`${plain}\``;
  return suggest(name, own, 'nodes');
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
