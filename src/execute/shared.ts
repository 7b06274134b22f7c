// A node that has the very content of its input is produced when that content is held against `verify` under the
// node's own name.
import type { Content, Item } from '../model/content.js';
import { type Digest, digestAlgorithm } from '../model/digest.js';
import type { Node } from '../model/node.js';
import { digestFile } from '../store/hashing.js';
import { check, complete, describeWork, type Site } from './accept.js';
import type { FileSupply } from './chain.js';

/** Rejects with ResError for content that is not accepted. Lets go of what was held for it. */
export async function verifyShared(
  site: Site,
  node: Node,
  { holdings, items }: FileSupply,
  sums: string | undefined,
): Promise<Content> {
  const begun = site.ledger.start(node, 'execute', describeWork(node));
  for (const [i, item] of items.entries()) {
    const sha256 = await plainDigest(item, holdings[i]?.path ?? '', site.signal);
    await check(node, sha256, [node.output, item.name], sums);
  }
  site.moves.letGo(holdings);
  await complete(site, begun, items);
  return items;
}

/** The sum that publishers give; a directory has none. */
async function plainDigest(item: Item, path: string, signal: AbortSignal): Promise<Digest | undefined> {
  if (item.type === 'directory') return undefined;
  if (digestAlgorithm(item.digest) === 'sha256') return item.digest;
  return (await digestFile(path, 'sha256', { signal })).digest;
}
