// What was all in order when a build or a plan last looked: the key and the stat of every node that can be judged by these. The
// next plan looks into a node only where its file's stat is another one, or an input is.
//
// It is believed only for the very graph, the very nodes asked for, and while the logs of traces and outputs are as they were:
// what a key gave, and what is res's own, is then what it was. A node whose state rests on more than one stat (several
// files, a folder, a program's version, the lock) is looked into every time; its key tells whether its users need be.
import { hash } from 'node:crypto';
import { lstatSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { makingOf } from '../kinds/kind.js';
import type { Content } from '../model/content.js';
import { putStamp, STAMP_LENGTH, sawFile, sawLink } from '../model/looks.js';
import type { Node } from '../model/node.js';
import { errorCode } from '../store/files.js';
import { algorithmOf } from '../store/hashing.js';
import { readKeptFile, writeKeptFile } from '../store/kept-file.js';
import { ownsStore } from '../store/paths.js';
import { outputPaths } from './places.js';
import { makerOf } from './registry.js';
import type { Workspace } from './workspace.js';

/** What is known of a node that is in order. */
export interface InOrder {
  readonly key: string;
  readonly content: Content;
}

const KEY_BYTES = 32;
const STAMP_BYTES = STAMP_LENGTH * 8;
const FORMAT = 'res-settled 1';

export class Settled {
  readonly #workspace: Workspace;
  readonly #keys: Buffer;
  /** By node: 1 where its key and its stamp are all there is to it. */
  readonly #plain: Buffer;
  readonly #stamps: BigInt64Array;
  readonly #now = new BigInt64Array(STAMP_LENGTH);

  private constructor(workspace: Workspace, keys: Buffer, plain: Buffer, stamps: BigInt64Array) {
    this.#workspace = workspace;
    this.#keys = keys;
    this.#plain = plain;
    this.#stamps = stamps;
  }

  /** Undefined where nothing holds for these nodes as things are. */
  static read(workspace: Workspace, closure: readonly string[]): Settled | undefined {
    const ground = groundOf(workspace, closure);
    const bytes = ground === undefined ? undefined : readKeptFile(fileOf(workspace));
    const end = bytes?.indexOf('\n') ?? -1;
    if (bytes === undefined || bytes.toString('utf8', 0, end) !== ground) return undefined;
    const { length } = closure;
    const body = bytes.subarray(end + 1);
    if (body.length !== length * (KEY_BYTES + 1 + STAMP_BYTES)) return undefined;
    const [keysEnd, plainEnd] = [length * KEY_BYTES, length * (KEY_BYTES + 1)];
    const stamps = new BigInt64Array(length * STAMP_LENGTH);
    new Uint8Array(stamps.buffer).set(body.subarray(plainEnd));
    return new Settled(workspace, body.subarray(0, keysEnd), body.subarray(keysEnd, plainEnd), stamps);
  }

  /** Of the node at this index of the closure; of one that was not in order, a key that none has. */
  key(index: number): string {
    return this.#keys.toString('hex', index * KEY_BYTES, (index + 1) * KEY_BYTES);
  }

  /** Whether the node can be judged by its file alone. */
  has(index: number): boolean {
    return this.#plain[index] === 1;
  }

  /** Whether the node's own file has the stat it had; one look. */
  holds(index: number, node: Node): boolean {
    if (!this.has(index)) return false;
    if (!putOwnStamp(this.#workspace, node, this.#now)) return false;
    for (let k = 0; k < STAMP_LENGTH; k++)
      if (this.#now[k] !== this.#stamps[index * STAMP_LENGTH + k]) return false;
    return true;
  }

  stamp(index: number): BigInt64Array {
    return this.#stamps.subarray(index * STAMP_LENGTH, (index + 1) * STAMP_LENGTH);
  }
}

/**
 * Keeps what is in order now for the next plan. Looks at every node but those that a former one vouches for.
 * @param inOrder undefined for a node that is not, or of which that is not known
 * @param former with the nodes (by index) that it still vouches for
 */
export function keepSettled(
  workspace: Workspace,
  closure: readonly string[],
  inOrder: (name: string) => InOrder | undefined,
  former: { readonly settled: Settled; readonly vouches: (name: string) => boolean } | undefined,
): void {
  const ground = groundOf(workspace, closure);
  if (ground === undefined) return;
  const keys = Buffer.alloc(closure.length * KEY_BYTES);
  const plain = Buffer.alloc(closure.length);
  const stamps = new BigInt64Array(closure.length * STAMP_LENGTH);
  for (const [i, name] of closure.entries()) {
    const stamp = stamps.subarray(i * STAMP_LENGTH, (i + 1) * STAMP_LENGTH);
    if (former?.vouches(name)) {
      keys.write(former.settled.key(i), i * KEY_BYTES, 'hex');
      stamp.set(former.settled.stamp(i));
      plain[i] = 1;
      continue;
    }
    const known = inOrder(name);
    if (!known) continue;
    keys.write(known.key, i * KEY_BYTES, 'hex');
    if (putJudged(workspace, name, known, stamp)) plain[i] = 1;
  }
  const stampBytes = new Uint8Array(stamps.buffer, stamps.byteOffset, stamps.byteLength);
  const body = [Buffer.from(`${ground}\n`), keys, plain, stampBytes];
  writeKeptFile(fileOf(workspace), workspace.paths.tmp, body);
}

/** Puts the stat of the file into `stamp` by which, with its key, a node can be judged; false for one that cannot. */
function putJudged(
  workspace: Workspace,
  name: string,
  { key, content }: InOrder,
  stamp: BigInt64Array,
): boolean {
  const node = workspace.graph.nodes.get(name);
  const [item, ...more] = content;
  if (!node || !item || more.length > 0 || item.type !== 'file' || !isPlain(node)) return false;
  const { traces, outputs } = workspace.state;
  if (node.section === 'target' && traces.get(key)?.content[0]?.digest !== item.digest) return false;
  const own = ownPath(workspace, node);
  if (own === undefined) return true;
  if (own.manner === 'link' && outputs.get(own.path)?.digest !== item.digest) return false;
  // The stat counts that the digest is known by, and only when the clock has left it behind.
  const stats = lookAt(own);
  if (!stats?.isFile()) return false;
  if (workspace.cache.knownBy(own.path, stats, algorithmOf(item.digest))?.digest !== item.digest)
    return false;
  putStamp(stamp, 0, stats, own.manner);
  return true;
}

/** Whether a node's state follows from its recipe, its inputs and one file. */
function isPlain(node: Node): boolean {
  if (node.outputs) return false;
  const maker = makerOf(node);
  if (maker.is === 'source') return maker.source.place === 'workspace' && !maker.source.many?.(node.recipe);
  const { by } = makingOf(maker.kind, node.recipe);
  return by !== 'naming' && by !== 'sharing' && maker.kind.tools(node.recipe).length === 0;
}

/** The content of a node that is vouched for, from what is on record: nothing is looked at. */
export function contentInOrder(workspace: Workspace, node: Node, key: string): Content {
  const { traces, files } = workspace.state;
  if (node.section === 'target') {
    const trace = traces.get(key);
    if (trace) return trace.content;
  } else {
    const own = ownPath(workspace, node);
    const record = own && files.get(own.path);
    if (record) return [{ name: basename(own.path), type: 'file', digest: record.digest, size: record.size }];
  }
  throw new Error(`${node.name} is in order, and there is no record of it`);
}

interface OwnPath {
  readonly path: string;
  readonly manner: 'link' | 'file';
}

/** The one file of a node that is plain; undefined for an intermediate. */
function ownPath(workspace: Workspace, node: Node): OwnPath | undefined {
  const maker = makerOf(node);
  if (maker.is === 'source') {
    const path = resolve(workspace.graph.manifest.dir, maker.source.identity(node.recipe));
    return { path, manner: 'file' };
  }
  const path = outputPaths(workspace, node, null)[0]?.path;
  return path === undefined ? undefined : { path, manner: 'link' };
}

/** False when there is nothing to look at that could be compared. */
function putOwnStamp(workspace: Workspace, node: Node, to: BigInt64Array): boolean {
  const own = ownPath(workspace, node);
  if (own === undefined) {
    to.fill(0n);
    return true;
  }
  const stats = lookAt(own);
  if (stats === undefined) return false;
  putStamp(to, 0, stats, own.manner);
  return true;
}

/** Undefined also for what cannot be looked at: who looks into it says why. */
function lookAt({ path, manner }: OwnPath) {
  const o = { bigint: true, throwIfNoEntry: false } as const;
  try {
    const stats = manner === 'link' ? lstatSync(path, o) : statSync(path, o);
    if (manner === 'link') sawLink(path, stats);
    else sawFile(path, stats);
    return stats;
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    return undefined;
  }
}

function fileOf({ graph, paths }: Workspace): string {
  return join(paths.cache, `settled-${basename(graph.manifest.file)}`);
}

/** What all of it rests on, as one line; undefined where nothing can be kept. */
function groundOf({ graph, state, paths }: Workspace, closure: readonly string[]): string | undefined {
  const [traces, outputs, files] = [state.traces.position, state.outputs.position, state.files.head];
  // A trace, or the last copy of an object, may be in a store that others change too.
  if (graph.id === undefined || !ownsStore(paths) || !traces || !outputs || !files) return undefined;
  return JSON.stringify([FORMAT, graph.id, hash('sha256', closure.join('\n')), traces, outputs, files]);
}
