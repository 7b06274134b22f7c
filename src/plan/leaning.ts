// Nodes whose content names its inputs by where they lie (an overlay its backing file): what they stand on, and where that is.
import { realpathSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import type { Places, Support } from '../kinds/kind.js';
import type { Content } from '../model/content.js';
import type { Digest } from '../model/digest.js';
import { ResError } from '../model/error.js';
import type { Graph } from '../model/graph.js';
import type { Node } from '../model/node.js';
import { errorCode, ioError } from '../store/files.js';
import { outputPlace } from './output-place.js';
import { makerOf } from './registry.js';

/** The nodes that must be in their places for this one to be of use. */
export function standsOn(node: Node): readonly string[] {
  const maker = makerOf(node);
  if (maker.is !== 'kind' || !maker.kind.leans) return [];
  return node.references.filter(({ role }) => role !== 'sums').map((reference) => reference.node);
}

/** Throws ResError `manifest-invalid` for an input of several files. */
export function placesOf(graph: Graph, node: Node): Places {
  const out = outputPlace(graph, node.output ?? '');
  const inputs = standsOn(node).map((name) => placeOf(graph, node, name));
  const { outputDir } = graph.manifest;
  if (inputs.every((path) => path.startsWith(`${outputDir}/`))) return { out, inputs };
  // The way leads out of the folder of outputs, which may be a link to one on a larger disk.
  return { out: realPath(out), inputs: inputs.map(realPath) };
}

/** With the links on the way followed, as far as it exists. */
function realPath(path: string): string {
  const folder = dirname(path);
  if (folder === path) return path;
  try {
    return join(realpathSync(folder), basename(path));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return join(realPath(folder), basename(path));
    throw ioError(error, 'cannot look at', folder);
  }
}

function placeOf(graph: Graph, node: Node, name: string): string {
  const input = graph.nodes.get(name);
  const maker = input && makerOf(input);
  if (!input || (maker?.is === 'source' && maker.source.many?.(input.recipe))) {
    throw new ResError(
      'manifest-invalid',
      `${node.name}: ${name} is several files, and \`${node.kind}\` takes one`,
      {
        diagnostics: [{ message: 'several files', location: node.locate([node.kind]) }],
      },
    );
  }
  if (input.output !== undefined) return outputPlace(graph, input.output);
  // A file of the workspace: where it lies is all its recipe says.
  return resolve(graph.manifest.dir, maker?.is === 'source' ? maker.source.identity(input.recipe) : '');
}

/** All files that a node's content leads to, nearest first. */
export function leansOn(graph: Graph, name: string): readonly Support[] {
  const node = graph.nodes.get(name);
  if (!node) return [];
  const below = standsOn(node);
  if (below.length === 0) return [];
  const { out, inputs } = placesOf(graph, node);
  const named = inputs.map((path) => ({ path, way: relative(dirname(out), path) }));
  return [...named, ...below.flatMap((one) => leansOn(graph, one))];
}

/** Digests of all that a node's content leads to: whoever reads the node reads them. Unknown ones are left out. */
export function digestsBelow(
  graph: Graph,
  name: string,
  contentOf: (node: string) => Content | null,
): readonly Digest[] {
  const node = graph.nodes.get(name);
  if (!node) return [];
  return standsOn(node).flatMap((below) => [
    ...(contentOf(below) ?? []).map(({ digest }) => digest),
    ...digestsBelow(graph, below, contentOf),
  ]);
}
