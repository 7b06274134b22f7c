// What two builds that are about to do the same work have in common, also where an input is made in the same pass and so the
// action key is not known before.
import { createHash } from 'node:crypto';
import { sha256Digest } from '../model/digest.js';
import { canonicalJson, type Json } from '../model/json.js';
import type { ChainNode, Supply } from './action.js';
import type { Known } from './known.js';
import type { RemoteNode } from './resolve.js';

/** 64 hexadecimal digits: the action key where it is known. */
export async function workKey(known: Known, chain: ChainNode): Promise<string> {
  const { node } = chain;
  const { key } = await known.action(node);
  if (key !== null) return key;
  const inputs: Json[] = [];
  for (const { role, supply } of chain.inputs) {
    const of = supply.from === 'stream' ? await workKey(known, supply.chain) : contentsOf(supply);
    inputs.push({ role, of });
  }
  return digest({ kind: node.kind, recipe: node.recipe, inputs });
}

function contentsOf(supply: Exclude<Supply, { from: 'stream' }>): Json {
  if (supply.from === 'files') return supply.items.map(({ digest }) => digest);
  return supply.files.map(({ name, url, sha256 }) =>
    sha256 === undefined ? [name, url] : sha256Digest(sha256),
  );
}

/** Of fetching an artifact's files. */
export function fetchKey({ identity }: RemoteNode): string {
  return digest({ fetch: identity });
}

function digest(what: Json): string {
  return createHash('sha256').update(canonicalJson(what)).digest('hex');
}
