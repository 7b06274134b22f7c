// What `res env` says: where things are, for a shell.
import { join } from 'node:path';
import type { Manifest } from '../model/manifest.js';
import { type Node, referenceText } from '../model/node.js';
import { quoteFish, quoteSh } from './command-line.js';

/** Variable names to values, those of `exports` first, then RES_<NODE>, or RES_<NODE>_<OUTPUT>, for every output, absolute. */
export type EnvJson = Readonly<Record<string, string>>;

export interface EnvReport {
  readonly variables: EnvJson;
  /** Nodes left out because another one has their variable, as `[node, variable]`. */
  readonly clashes: readonly (readonly [string, string])[];
}

export function envReport(manifest: Manifest, nodes: Iterable<Node>): EnvReport {
  const variables = new Map(Object.entries(manifest.exports));
  const clashes: [string, string][] = [];
  for (const [name, output] of [...nodes].flatMap(placesOf)) {
    const variable = variableOf(name);
    if (variables.has(variable)) {
      // A name that the manifest exports itself was meant.
      if (!Object.hasOwn(manifest.exports, variable)) clashes.push([name, variable]);
    } else variables.set(variable, join(manifest.outputDir, output));
  }
  return { variables: Object.fromEntries(variables), clashes };
}

/** What has a variable, and its path: the node, or each of its outputs by name, as `NODE:OUTPUT`. */
function placesOf({ name: node, output, outputs = [] }: Node): readonly [string, string][] {
  if (output !== undefined) return [[node, output]];
  return outputs.map(({ name: item, path }) => [referenceText({ node, item }), path]);
}

/** `disk-image.raw` is in `RES_DISK_IMAGE_RAW`. */
export function variableOf(node: string): string {
  return `RES_${node.toUpperCase().replace(/[^A-Z0-9]/g, '_')}`;
}

export function envSh(variables: EnvJson): string[] {
  return Object.entries(variables).map(([name, value]) => `export ${name}=${quoteSh(value)}`);
}

export function envFish(variables: EnvJson): string[] {
  return Object.entries(variables).map(([name, value]) => `set -gx ${name} ${quoteFish(value)}`);
}
