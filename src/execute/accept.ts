// Content that a node turns out to have: held against `verify`, brought to its place, written down and told of.
import type { Content } from '../model/content.js';
import type { Digest } from '../model/digest.js';
import { ResError } from '../model/error.js';
import type { EventListener } from '../model/event.js';
import type { Node } from '../model/node.js';
import type { Workspace } from '../plan/workspace.js';
import type { Known } from './known.js';
import type { Begun, Ledger } from './ledger.js';
import type { Moves } from './moves.js';
import { verifyContent } from './verify-content.js';

/** What all work of a build shares. */
export interface Site {
  readonly workspace: Workspace;
  readonly known: Known;
  readonly ledger: Ledger;
  readonly moves: Moves;
  readonly listener: EventListener;
  readonly signal: AbortSignal;
  /** Bytes on disk that a node's output is expected to take, where that is known. */
  readonly expectedBytes: (node: string) => number | null;
}

/**
 * Rejects with ResError when content is not what the node's `verify`, if any, says.
 * @param sha256 undefined for a directory
 * @param names what a list of sums may call it, most exact first
 * @param sums path of that list
 */
export async function check(
  node: Node,
  sha256: Digest | undefined,
  names: readonly (string | undefined)[],
  sums: string | undefined,
): Promise<void> {
  if (!node.verify) return;
  if (sha256 === undefined) throw unverifiable(node);
  await verifyContent(
    node,
    sha256,
    names.filter((name) => name !== undefined),
    sums,
  );
}

/** Accepts what a node was found to have when it was fetched or held against its sums. */
export async function complete(site: Site, begun: Begun, content: Content): Promise<void> {
  const { known, ledger, moves } = site;
  const { node, at } = begun;
  known.learn(node.name, content);
  if (node.verify) await ledger.trace(node, content, Date.now() - at);
  if (!(await moves.inPlace(node, content))) await moves.putBack(node, content);
  await ledger.record(node, Date.now() - at);
  ledger.finish(begun, content);
}

/** Brings what a node is known to have, and is at hand, to its place. */
export async function restore(site: Site, node: Node, content: Content, work: Begun['work']): Promise<void> {
  const { ledger, moves } = site;
  const begun = ledger.start(node, work, work === 'execute' ? describeWork(node) : (node.output ?? ''));
  await moves.putBack(node, content);
  await ledger.record(node);
  ledger.finish(begun, content);
}

/** `convert qcow2`: the kind and what it is done to. */
export function describeWork(node: Node): string {
  const inputs = node.references.filter(({ role }) => role !== 'sums').map((reference) => reference.node);
  return [node.kind, ...inputs].join(' ');
}

function unverifiable(node: Node): ResError {
  return new ResError(
    'bad-format',
    `${node.name}: a directory has no checksum that \`verify\` could ask for`,
    {
      hint: 'Verify the archive that it comes from.',
      diagnostics: [{ message: 'asked for here', location: node.locate(['verify']) }],
    },
  );
}
