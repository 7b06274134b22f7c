// Where bytes are: what stands at an output path, and from where known content can be had.
import { type BigIntStats, lstatSync } from 'node:fs';
import { basename, join } from 'node:path';
import { makingOf } from '../kinds/kind.js';
import type { Content, Item } from '../model/content.js';
import type { Digest } from '../model/digest.js';
import { ResError } from '../model/error.js';
import { sawLink } from '../model/looks.js';
import { type NamedOutput, type Node, plainName } from '../model/node.js';
import { workspaceFiles } from '../sources/path.js';
import { errorCode, ioError } from '../store/files.js';
import { algorithmOf } from '../store/hashing.js';
import { type OutputRecord, pathsByDigest } from '../store/state.js';
import { outputPlace } from './output-place.js';
import { makerOf } from './registry.js';
import type { Workspace } from './workspace.js';

export interface OutputPath {
  /** Absolute. */
  readonly path: string;
  /** Null while the content is not known. */
  readonly item: Item | null;
}

/**
 * Where a node's content appears: one path, one for each of `outputs`, or for a list of files one path a file in the folder that `output` names.
 * Empty for an intermediate, and for a list that is not known yet.
 */
export function outputPaths(
  workspace: Workspace,
  node: Node,
  content: Content | null,
): readonly OutputPath[] {
  if (node.outputs) return namedPaths(workspace, node.outputs, content);
  if (node.output === undefined) return [];
  const path = outputPlace(workspace.graph, node.output);
  const maker = makerOf(node);
  const many =
    maker.is === 'source' ? (maker.source.many?.(node.recipe) ?? false) : (content?.length ?? 1) !== 1;
  if (!many) return [{ path, item: content?.[0] ?? null }];
  checkNames(node, content ?? []);
  return (content ?? []).map((item) => ({ path: join(path, item.name), item }));
}

/** Of outputs by name, those that the content has; all of them while it is not known. */
function namedPaths(
  workspace: Workspace,
  outputs: readonly NamedOutput[],
  content: Content | null,
): readonly OutputPath[] {
  return outputs.flatMap(({ name, path }) => {
    const item = content?.find((each) => each.name === name) ?? null;
    return content && !item ? [] : [{ path: outputPlace(workspace.graph, path), item }];
  });
}

/** Throws ResError when two files of a node would have one place. */
export function checkNames(node: Node, files: readonly { readonly name: string }[]): void {
  if (node.output === undefined) return;
  const names = new Set<string>();
  for (const { name } of files) {
    if (names.has(name)) {
      throw new ResError('bad-format', `${node.name}: two of its files are named ${name}`, {
        hint: 'They cannot both lie in one folder: leave `output` out, and `merge` them.',
        diagnostics: [{ message: 'the folder is named here', location: node.locate(['output']) }],
      });
    }
    names.add(name);
  }
}

/** Whether a node has a folder of its own, in which there may be `leftovers`. */
export function mayLeave(
  workspace: Workspace,
  { output }: Node,
  placements: readonly { readonly path: string }[],
): boolean {
  if (output === undefined) return false;
  return placements.length !== 1 || placements[0]?.path !== outputPlace(workspace.graph, output);
}

/** Files that a node of many once put into its folder, that are still as res made them and are none of its own any more. */
export async function leftovers(
  workspace: Workspace,
  node: Node,
  content: Content,
): Promise<readonly (OutputPath & { readonly item: Item })[]> {
  if (node.output === undefined) return [];
  const folder = outputPlace(workspace.graph, node.output);
  const paths = new Set(outputPaths(workspace, node, content).map(({ path }) => path));
  if (paths.has(folder)) return [];
  const found: (OutputPath & { readonly item: Item })[] = [];
  for (const [path, { type, size, node: maker }] of [...workspace.state.outputs.entries()]) {
    if (plainName(maker) !== plainName(node.name) || !path.startsWith(`${folder}/`) || paths.has(path))
      continue;
    const occupant = await occupantOf(workspace, path, null);
    if (occupant.is !== 'ours') continue;
    found.push({ path, item: { name: basename(path), type, digest: occupant.digest, size } });
  }
  return found;
}

/** What stands at a path. `changed`: res made a file there, and somebody wrote to it since. */
export type Occupant =
  | { readonly is: 'absent' }
  | {
      readonly is: 'ours';
      readonly digest: Digest;
      readonly type: Item['type'];
      /** Whether res made it a program; of a file without a record, false when it is none. Undefined: does not matter. */
      readonly executable: boolean | undefined;
    }
  | { readonly is: 'changed' }
  | { readonly is: 'foreign' };

/** An output path with what stands there. */
export interface Placement extends OutputPath {
  readonly occupant: Occupant;
}

/**
 * Looks at an output path. A promise only where something has to be read. Content is read only where its stat is not the recorded one, and of a file that res has
 * no record of only when its size is that of the content expected (which is then taken for what it is).
 */
export function occupantOf(
  workspace: Workspace,
  path: string,
  expected: Item | null,
): Occupant | Promise<Occupant> {
  const { cache, state } = workspace;
  const stat = lookAt(path);
  if (!stat) return { is: 'absent' };
  const record = state.outputs.get(path);
  if (record && record.type === 'file' && stat.isFile() && Number(stat.size) === record.size) {
    const { digest, executable } = record;
    if (cache.knownBy(path, stat, algorithmOf(digest))?.digest === digest)
      return { is: 'ours', digest, type: 'file', executable };
  }
  return examine(workspace, path, expected, stat, record);
}

async function examine(
  { cache }: Workspace,
  path: string,
  expected: Item | null,
  stat: BigIntStats,
  record: OutputRecord | undefined,
): Promise<Occupant> {
  const type = stat.isDirectory() ? 'directory' : stat.isFile() ? 'file' : undefined;
  if (record) {
    if (type === undefined) return { is: 'changed' };
    const whole = type === record.type && (type === 'directory' || Number(stat.size) === record.size);
    // A build that was killed between writing its record and renaming the file leaves the one before, of any type.
    for (const digest of [whole ? record.digest : undefined, record.previous]) {
      if (digest === undefined || (await digestAt(cache, path, type, digest)) !== digest) continue;
      return { is: 'ours', digest, type, executable: type === 'file' ? record.executable : undefined };
    }
    return { is: 'changed' };
  }
  if (!expected || type !== expected.type || (type === 'file' && Number(stat.size) !== expected.size))
    return { is: 'foreign' };
  const { digest } = expected;
  if ((await digestAt(cache, path, type, digest)) !== digest) return { is: 'foreign' };
  const isProgram = (stat.mode & 0o100n) !== 0n;
  return { is: 'ours', digest, type, executable: type === 'directory' || isProgram ? undefined : false };
}

/** Whether a path holds just what it should: the content, and made a program or not. */
export function holds(node: Node, item: Item | null, occupant: Occupant): boolean {
  return holdsContent(item, occupant) && hasMode(node, item, occupant);
}

/** Whether the content at a path is the one that should be there. */
export function holdsContent(item: Item | null, occupant: Occupant): boolean {
  return item !== null && occupant.is === 'ours' && occupant.digest === item.digest;
}

export function hasMode(node: Node, item: Item | null, occupant: Occupant): boolean {
  if (occupant.is !== 'ours' || occupant.executable === undefined) return true;
  return occupant.executable === shouldBeExecutable(node, item);
}

/** Whether a node's file is to be a program: the manifest says so, or the content itself. */
export function shouldBeExecutable(node: Node, item: Item | null): boolean {
  return node.executable || item?.executable === true;
}

/** Undefined when nothing is there, also where a file stands in the place of a folder above it. */
function lookAt(path: string): BigIntStats | undefined {
  try {
    const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    sawLink(path, stats);
    return stats;
  } catch (error) {
    if (errorCode(error) === 'ENOTDIR') {
      sawLink(path, undefined);
      return undefined;
    }
    throw ioError(error, 'cannot look at', path);
  }
}

/**
 * Undefined for what has no digest: a folder with a socket in it, a file that somebody is writing to. It is not as res
 * left it, and no reason to say nothing of all the others. Rejects with ResError for what cannot be read.
 */
async function digestAt(
  cache: Workspace['cache'],
  path: string,
  type: 'file' | 'directory',
  like: Digest,
): Promise<Digest | undefined> {
  const algorithm = algorithmOf(like);
  try {
    if (type === 'directory') return (await cache.digestOfDirectory(path)).digest;
    return (cache.knownSync(path, algorithm) ?? (await cache.digestOf(path, algorithm))).digest;
  } catch (error) {
    // Errors of the system have a cause.
    if (error instanceof ResError && error.code === 'io' && error.cause === undefined) return undefined;
    throw error;
  }
}

/** Whether the content at a path, which others may write to, is that of the item. */
export async function isStill({ cache }: Workspace, path: string, item: Item): Promise<boolean> {
  return (await digestAt(cache, path, item.type, item.digest)) === item.digest;
}

/**
 * Bytes at hand. `store` and `output` are res's own and may be moved; `workspace` is a file of the user's; `elsewhere` is an
 * output of another workspace, to be copied and then read: its owner may be writing to it.
 */
export interface Holding {
  readonly place: 'store' | 'output' | 'workspace' | 'elsewhere';
  readonly path: string;
}

/**
 * Finds known content: in the store, in outputs of other nodes, in files of the workspace, in outputs of other workspaces
 * that use the same store. Built once a plan.
 */
export class Holdings {
  readonly #workspace: Workspace;
  #outputs: Map<Digest, string[]> | undefined;

  constructor(workspace: Workspace) {
    this.#workspace = workspace;
  }

  /** Where the item can be had without work, the cheapest place first; undefined when nowhere. */
  async find(item: Item): Promise<Holding | undefined> {
    const { store, cache, shared } = this.#workspace;
    const object = store.path(item.digest, item.type);
    // A program that had an output open when it was moved into the store may have gone on writing.
    if (store.has(item.digest, item.type) && !cache.wasWritten(object))
      return { place: 'store', path: object };
    for (const path of this.#outputIndex().get(item.digest) ?? [])
      if (await this.#unchanged(path, item)) return { place: 'output', path };
    const path = await shared?.elsewhere(item);
    return path === undefined ? undefined : { place: 'elsewhere', path };
  }

  /** All items of a node, or undefined when one is missing. Files of a `path` artifact are where they lie. */
  async findAll(node: Node, content: Content): Promise<readonly Holding[] | undefined> {
    const maker = makerOf(node);
    if (maker.is === 'source' && maker.source.place === 'workspace') {
      const files = await workspaceFiles(node.recipe, this.#workspace.graph.manifest.dir);
      return files.map(({ path }) => ({ place: 'workspace', path }));
    }
    return (await this.findOwn(node, content)) ?? this.#findShared(node, content);
  }

  /** All items of a node, without a look at what it shares them with. */
  async findOwn(node: Node, content: Content): Promise<readonly Holding[] | undefined> {
    const found: Holding[] = [];
    for (const item of content) {
      // In its own place first: what names other files finds them from there only.
      const holding = (await this.#inPlace(node, content, item)) ?? (await this.find(item));
      if (!holding) return undefined;
      found.push(holding);
    }
    return found;
  }

  /** A node that shares its input's content has it wherever the input has it. */
  async #findShared(node: Node, content: Content): Promise<readonly Holding[] | undefined> {
    const maker = makerOf(node);
    if (maker.is !== 'kind' || makingOf(maker.kind, node.recipe).by !== 'sharing') return undefined;
    const input = this.#workspace.graph.nodes.get(node.references[0]?.node ?? '');
    return input && this.findAll(input, content);
  }

  async #inPlace(node: Node, content: Content, item: Item): Promise<Holding | undefined> {
    const output = outputPaths(this.#workspace, node, content).find((at) => at.item === item);
    if (!output) return undefined;
    const occupant = await occupantOf(this.#workspace, output.path, item);
    return holdsContent(item, occupant) ? { place: 'output', path: output.path } : undefined;
  }

  #outputIndex(): Map<Digest, string[]> {
    if (this.#outputs) return this.#outputs;
    this.#outputs = pathsByDigest([this.#workspace.state.outputs]);
    return this.#outputs;
  }

  async #unchanged(path: string, item: Item): Promise<boolean> {
    const { cache } = this.#workspace;
    const known = item.type === 'directory' ? await cache.knownDirectory(path) : cache.knownSync(path, 'any');
    return known?.digest === item.digest;
  }

  /** Content was put at an output path. What is not there any more is found out by looking. */
  note(path: string, digest: Digest): void {
    const paths = this.#outputs?.get(digest);
    if (paths && !paths.includes(path)) paths.push(path);
    else if (!paths) this.#outputs?.set(digest, [path]);
  }
}
