// One action: the chain of nodes that runs in one pass, from its inputs' bytes to a checked file under a temporary name.

import { randomUUID } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { KindContext, KindInput, Making, Places, Program } from '../kinds/kind.js';
import { makingOf } from '../kinds/kind.js';
import type { Item } from '../model/content.js';
import { ResError } from '../model/error.js';
import type { LockedFile } from '../model/lock.js';
import type { Node } from '../model/node.js';
import { imageFormatOf, isMany } from '../plan/assess.js';
import { leansOn, placesOf, standsOn } from '../plan/leaning.js';
import { type Holding, shouldBeExecutable } from '../plan/places.js';
import { makerOf } from '../plan/registry.js';
import { findProgram } from '../plan/tools.js';
import type { Workspace } from '../plan/workspace.js';
import { digestDirectory } from '../store/directory.js';
import { diskUsage } from '../store/disk-usage.js';
import { isNoSpace, noSpaceError, sameDevice } from '../store/files.js';
import { FollowingDigest, type FollowingOptions } from '../store/following-digest.js';
import { type ContentDigests, digestFile, digestHoledFile } from '../store/hashing.js';
import { writingBack } from '../store/writeback.js';
import type { Arrival } from './arrival.js';
import { counted, readFiles, spoolPath, tap, writeStream } from './pipeline.js';
import { NodeLog, type ProcessContext, pipeProgram, runProgram } from './process.js';
import { runInScratch } from './running.js';
import { scratchPath } from './scratch.js';

/** Where an input of an action comes from: files at rest, or the stream of a node that runs in the same pass. */
export type Supply =
  | { readonly from: 'files'; readonly holdings: readonly Holding[]; readonly items: readonly Item[] }
  | { readonly from: 'stream'; readonly chain: ChainNode }
  | ArrivingSupply;

/** Files of a download, read while they come. */
export interface ArrivingSupply {
  readonly from: 'arrival';
  readonly files: readonly LockedFile[];
  /** In their order. */
  readonly arrivals: readonly Arrival[];
  /** Settled when all of it is there and checked: what is made of it counts only then. */
  readonly whole: Promise<Extract<Supply, { from: 'files' }>>;
}

/** A node with the supplies of its inputs (`sums` left out), in the order of its references. */
export interface ChainNode {
  readonly node: Node;
  readonly inputs: readonly { readonly role: string; readonly node: string; readonly supply: Supply }[];
}

export interface ActionOptions {
  readonly workspace: Workspace;
  /** For each output a name that does not exist yet, on the file system of its final place. */
  readonly temps: readonly string[];
  /** Where a program is run, another place than the node's own. */
  readonly scratch?: string;
  /** Where the last node's log is written, another place than its own. */
  readonly log?: string;
  readonly signal: AbortSignal;
  /** Bytes on disk that the output is expected to take; null when there is no telling. */
  readonly expectedBytes: number | null;
  readonly onBytes: (done: number, total: number | null) => void;
  readonly onPercent: (percent: number) => void;
  readonly onOutput: (node: string, line: string) => void;
}

export interface MadeNode {
  readonly node: Node;
  /** In the order of its content. */
  readonly items: readonly MadeItem[];
}

export interface MadeItem {
  readonly item: Item;
  /** Present when the node is verified. */
  readonly sha256: ContentDigests['sha256'];
  /** What a list of sums may call it. */
  readonly names: readonly string[];
}

/** An error with the node of the chain that it happened in. */
export class ChainFailure extends Error {
  readonly node: string;
  readonly log: string | undefined;
  constructor(node: string, cause: unknown, log: string | undefined) {
    super(`in ${node}`, { cause });
    this.node = node;
    this.log = log;
  }
}

/**
 * Runs the chain that ends in `chain.node`. Gives every node made, in the order of the bytes, the last one at
 * `options.temps`. Rejects with ChainFailure; the caller removes the temporary.
 */
export async function runAction(chain: ChainNode, options: ActionOptions): Promise<readonly MadeNode[]> {
  const run = new ActionRun(options, chain);
  const made = await run.run().catch(async (error: unknown) => {
    // The first error says more than what it leads to.
    await run.close().catch(() => undefined);
    throw error;
  });
  await run.close();
  return made;
}

type PlainInput = Pick<KindInput, 'role' | 'node' | 'format' | 'many'>;

class ActionRun {
  readonly #options: ActionOptions;
  readonly #chain: ChainNode;
  readonly #scratch: Scratch;
  readonly #logs: NodeLog[] = [];
  readonly #streamed: (() => Promise<MadeNode>)[] = [];
  readonly #total: number | null;
  #done = 0;
  /** What a download broke off with. */
  #broken: unknown;

  constructor(options: ActionOptions, chain: ChainNode) {
    this.#options = options;
    this.#chain = chain;
    this.#scratch = new Scratch(join(options.workspace.paths.tmp, randomUUID()));
    this.#total = inputBytes(chain);
  }

  async run(): Promise<readonly MadeNode[]> {
    const { node } = this.#chain;
    const log = this.#log(node);
    try {
      const making = targetMaking(node);
      const last = await this.#make(making, log).catch((error: unknown) => this.#explain(error, making));
      const made: MadeNode[] = [];
      // Streams were opened from the last one back.
      for (const finish of this.#streamed.toReversed()) made.push(await finish());
      await Promise.all(arrivingSupplies(this.#chain).map(({ whole }) => whole));
      return [...made, last];
    } catch (error) {
      // A download that fails is its own node's failure.
      if (this.#broken !== undefined) throw this.#broken;
      throw error instanceof ChainFailure ? error : failure(node.name, error, log);
    }
  }

  /** A full disk is told as such where a program found it so, and how much more it would take. */
  async #explain(error: unknown, { by }: Making): Promise<never> {
    const temp = this.#temp;
    if (!(error instanceof Error) || !isNoSpace(error)) throw error;
    const isTold = error instanceof ResError && error.code === 'no-space';
    if (isTold && (by !== 'filling' || !sameDevice(temp, this.#scratch.path))) throw error;
    throw noSpaceError(error, 'cannot write', temp, await this.#missingBytes());
  }

  /** What the output needs beside what is written of it, as far as that is known. */
  async #missingBytes(): Promise<number | undefined> {
    const { expectedBytes } = this.#options;
    return expectedBytes === null ? undefined : Math.max(0, expectedBytes - (await diskUsage(this.#temp)));
  }

  /** Of the one output, as nearly all have. */
  get #temp(): string {
    return this.#options.temps[0] ?? '';
  }

  async close(): Promise<void> {
    const closed = await Promise.allSettled(this.#logs.map((log) => log.close()));
    await this.#scratch.remove();
    for (const log of closed) if (log.status === 'rejected') throw log.reason;
  }

  async #make(making: Making, log: NodeLog): Promise<MadeNode> {
    const { node } = this.#chain;
    const temp = this.#temp;
    const wanted = wantedDigests(node);
    if (making.by === 'running') return this.#run(making.program(node.recipe), log);
    const { graph } = this.#options.workspace;
    const places = standsOn(node).length > 0 ? placesOf(graph, node) : undefined;
    const context = new Context(this.#options, this.#scratch, log, this.#inputs(this.#chain), temp, places);
    switch (making.by) {
      case 'streaming': {
        const digests = await writingBack(temp, (onWritten) =>
          writeStream(making.open(node.recipe, context), temp, {
            ...wanted,
            onWritten,
            missingBytes: () => this.#missingBytes(),
          }),
        );
        return this.#madeFile(node, digests, context);
      }
      case 'writing': {
        const digests = await writingBack(temp, async (onWritten) => {
          const write = async () => {
            await making.write(node.recipe, context);
            onWritten();
          };
          if (wanted.derived && making.isOrdered?.(node.recipe)) return this.#digestWhile(write, temp);
          await write();
          return this.#digestWritten(temp, wanted);
        });
        return this.#madeFile(node, digests, context);
      }
      case 'filling': {
        await mkdir(temp);
        await making.fill(node.recipe, context);
        const { digest, size } = await digestDirectory(temp, { signal: this.#options.signal });
        const item: Item = { name: itemName(node, context.memberName), type: 'directory', digest, size };
        return { node, items: [{ item, sha256: undefined, names: [] }] };
      }
      default:
        throw new Error(`${node.kind} is not made by an action`);
    }
  }

  async #run(program: Program, log: NodeLog): Promise<MadeNode> {
    const { node } = this.#chain;
    const { workspace, temps, signal, scratch } = this.#options;
    const results = await runInScratch(program, {
      workspace,
      node: node.name,
      scratch: scratch ?? scratchPath(workspace, node.name),
      inputs: this.#inputs(this.#chain),
      temps,
      log,
      signal,
    });
    const items: MadeItem[] = [];
    for (const [i, { type, executable }] of results.entries()) {
      const temp = temps[i] ?? '';
      const { name = itemName(node, undefined), path = '' } = program.outputs[i] ?? {};
      if (type === 'directory') {
        const { digest, size } = await digestDirectory(temp, { signal });
        items.push({ item: { name, type, digest, size }, sha256: undefined, names: [] });
        continue;
      }
      const digests = await this.#digestWritten(temp, wantedDigests(node));
      const own = node.output ?? path;
      items.push(madeFile(digests, name, executable, [own, basename(own), name]));
    }
    return { node, items };
  }

  #madeFile(node: Node, digests: ContentDigests, context: Context): MadeNode {
    const names = [context.memberName, node.output, node.name].filter((name) => name !== undefined);
    const name = itemName(node, context.memberName);
    return { node, items: [madeFile(digests, name, context.memberExecutable, names)] };
  }

  async #digestWhile(write: () => Promise<void>, path: string): Promise<ContentDigests> {
    const following = new FollowingDigest(path, this.#hashing);
    try {
      await write();
      const { digest, size } = await following.finish();
      return { size, derived: digest };
    } finally {
      await following.close();
    }
  }

  get #hashing(): FollowingOptions {
    const { signal, workspace } = this.#options;
    return { signal, qemuImg: findProgram('qemu-img', workspace.env) };
  }

  async #digestWritten(path: string, wanted: { sha256: boolean; derived: boolean }): Promise<ContentDigests> {
    const { signal } = this.#options;
    if (wanted.sha256) {
      const { digest, size } = await digestFile(path, 'sha256', { signal });
      return { size, sha256: digest };
    }
    const { digest, size } = await digestHoledFile(path, 'derived', this.#hashing);
    return { size, derived: digest };
  }

  #log(node: Node): NodeLog {
    const own = join(this.#options.workspace.paths.logs, `${node.name}.log`);
    const path = node === this.#chain.node ? (this.#options.log ?? own) : own;
    // That of an earlier run tells nothing of this one, which may have nothing to say.
    rmSync(path, { force: true });
    const log = new NodeLog(path, (line) => this.#options.onOutput(node.name, line));
    this.#logs.push(log);
    return log;
  }

  #inputs(chain: ChainNode): readonly KindInput[] {
    return chain.inputs.map(({ role, node, supply }, index) => {
      const format = imageFormatOf(this.#options.workspace, node);
      const input = { role, node, format, many: this.#isMany(chain.node, role, node) };
      if (supply.from === 'files') return this.#fileInput(input, supply);
      if (supply.from === 'arrival') return this.#arrivingInput(input, supply);
      return this.#streamInput(input, supply.chain, index);
    });
  }

  inputs(): readonly KindInput[] {
    return this.#inputs(this.#chain);
  }

  #isMany(consumer: Node, role: string, node: string): boolean {
    const reference = consumer.references.find((each) => each.role === role && each.node === node);
    return reference !== undefined && isMany(this.#options.workspace.graph, reference);
  }

  #fileInput(input: PlainInput, supply: Extract<Supply, { from: 'files' }>): KindInput {
    const paths = supply.holdings.map(({ path }) => path);
    const node = this.#options.workspace.graph.nodes.get(input.node);
    return {
      ...input,
      items: supply.items.map((item) => ({
        ...item,
        executable: node !== undefined && shouldBeExecutable(node, item),
      })),
      leansOn: leansOn(this.#options.workspace.graph, input.node),
      stored: true,
      stream: () => {
        if (supply.items.some(({ type }) => type === 'directory')) throw isDirectory(input.node);
        return counted(readFiles(paths, this.#options.signal), (bytes) => this.#count(bytes));
      },
      paths: async () => paths,
    };
  }

  #arrivingInput(input: PlainInput, { files, arrivals, whole }: ArrivingSupply): KindInput {
    return {
      ...input,
      items: files.map(({ name, size }) => ({ name, size: size ?? null })),
      stream: () => counted(this.#follow(arrivals), (bytes) => this.#count(bytes)),
      paths: async () => (await whole).holdings.map(({ path }) => path),
    };
  }

  async *#follow(arrivals: readonly Arrival[]): AsyncGenerator<Uint8Array> {
    try {
      for (const arrival of arrivals) yield* arrival.read(this.#options.signal);
    } catch (error) {
      this.#broken ??= error;
      throw error;
    }
  }

  #streamInput(input: PlainInput, chain: ChainNode, index: number): KindInput {
    let context: Context | undefined;
    const stream = () => {
      const opened = this.#open(chain);
      context = opened.context;
      return opened.stream;
    };
    const item = {
      name: input.node,
      size: null,
      /** Known once it was read. */
      get executable() {
        return context?.memberExecutable ?? false;
      },
    };
    return {
      ...input,
      items: [item],
      stream,
      paths: async () => {
        const path = spoolPath(this.#scratch.folder, index);
        await writeStream(stream(), path, { sha256: false, derived: false });
        return [path];
      },
    };
  }

  /** The bytes of a node that streams, hashed on their way; its failures carry its name. */
  #open(chain: ChainNode): { readonly stream: AsyncIterable<Uint8Array>; readonly context: Context } {
    const { node } = chain;
    const making = targetMaking(node);
    if (making.by !== 'streaming') throw new Error(`${node.name} does not stream`);
    const log = this.#log(node);
    const context = new Context(this.#options, this.#scratch, log, this.#inputs(chain), '');
    const tapped = tap(named(node.name, making.open(node.recipe, context), log), wantedDigests(node));
    this.#streamed.push(async () => {
      const digests = await tapped.digests();
      if (!digests) throw failure(node.name, new Error('its stream was left before its end'), log);
      return this.#madeFile(node, digests, context);
    });
    return { stream: tapped.stream, context };
  }

  #count(bytes: number): void {
    this.#done += bytes;
    this.#options.onBytes(this.#done, this.#total);
  }
}

/** A folder for what is written on the way; most actions need none. */
class Scratch {
  readonly path: string;
  #isMade = false;

  constructor(path: string) {
    this.path = path;
  }

  /** It exists. */
  get folder(): string {
    if (!this.#isMade) mkdirSync(this.path, { recursive: true });
    this.#isMade = true;
    return this.path;
  }

  async remove(): Promise<void> {
    if (this.#isMade) await rm(this.path, { recursive: true, force: true });
  }
}

/** The inputs of a node as its kind sees them, of files that are at hand. */
export function inputsAtHand(chain: ChainNode, options: ActionOptions): readonly KindInput[] {
  return new ActionRun(options, chain).inputs();
}

/** What a kind sees of the world. */
class Context implements KindContext {
  readonly inputs: readonly KindInput[];
  readonly out: string;
  readonly places: Places | undefined;
  readonly signal: AbortSignal;
  memberName: string | undefined;
  memberExecutable = false;
  readonly #options: ActionOptions;
  readonly #log: NodeLog;
  readonly #scratch: Scratch;

  constructor(
    options: ActionOptions,
    scratch: Scratch,
    log: NodeLog,
    inputs: readonly KindInput[],
    out: string,
    places?: Places,
  ) {
    this.inputs = inputs;
    this.out = out;
    this.places = places;
    this.signal = options.signal;
    this.#options = options;
    this.#log = log;
    this.#scratch = scratch;
  }

  get scratch(): string {
    return this.#scratch.folder;
  }

  get #process(): ProcessContext {
    return {
      env: this.#options.workspace.env,
      cwd: this.scratch,
      log: this.#log,
      signal: this.signal,
    };
  }

  exec: KindContext['exec'] = (argv, options) => runProgram(this.#process, argv, options);

  pipe: KindContext['pipe'] = (argv, input) => pipeProgram(this.#process, argv, input);

  has(program: string): boolean {
    return findProgram(program, this.#options.workspace.env) !== undefined;
  }

  percent(done: number): void {
    this.#options.onPercent(done);
  }

  log(line: string): void {
    this.#log.line(line);
  }

  member(name: string, { executable }: { readonly executable: boolean }): void {
    this.memberName = name;
    this.memberExecutable = executable;
  }
}

function madeFile(
  digests: ContentDigests,
  name: string,
  executable: boolean,
  names: readonly string[],
): MadeItem {
  const digest = digests.sha256 ?? digests.derived;
  if (!digest) throw new Error(`${name} was not hashed`);
  const item: Item = {
    name,
    type: 'file',
    digest,
    size: digests.size,
    ...(executable ? { executable: true } : {}),
  };
  return { item, sha256: digests.sha256, names };
}

async function* named(
  node: string,
  source: AsyncIterable<Uint8Array>,
  log: NodeLog,
): AsyncGenerator<Uint8Array> {
  try {
    yield* source;
  } catch (error) {
    throw error instanceof ChainFailure ? error : failure(node, error, log);
  }
}

function failure(node: string, error: unknown, log: NodeLog): ChainFailure {
  return new ChainFailure(node, error, log.written ? log.path : undefined);
}

function isDirectory(input: string): ResError {
  return new ResError('bad-format', `${input} is a directory, where a file is needed`, {
    hint: `Take a file out of it first: \`copy: ${input}\`, with the file's path as \`member\`.`,
  });
}

/** Content that is verified is known by the sum that its publisher signs; all else by the derived digest. */
function wantedDigests(node: Node): { sha256: boolean; derived: boolean } {
  return node.verify ? { sha256: true, derived: false } : { sha256: false, derived: true };
}

function itemName(node: Node, member: string | undefined): string {
  return basename(node.output ?? member ?? node.name);
}

function targetMaking(node: Node): Making {
  const maker = makerOf(node);
  if (maker.is !== 'kind') throw new Error(`${node.name} is no target`);
  return makingOf(maker.kind, node.recipe);
}

function inputBytes(chain: ChainNode): number | null {
  let sum = 0;
  for (const { supply } of chain.inputs) {
    const bytes = supply.from === 'stream' ? inputBytes(supply.chain) : sizeOf(supply);
    if (bytes === null) return null;
    sum += bytes;
  }
  return sum;
}

function sizeOf(supply: Exclude<Supply, { from: 'stream' }>): number | null {
  const files = supply.from === 'files' ? supply.items : supply.files;
  return files.reduce<number | null>(
    (sum, { size }) => (sum === null || size === undefined ? null : sum + size),
    0,
  );
}

/** All downloads that a chain reads while they come. */
export function arrivingSupplies(chain: ChainNode): readonly ArrivingSupply[] {
  return chain.inputs.flatMap(({ supply }) => {
    if (supply.from === 'stream') return arrivingSupplies(supply.chain);
    return supply.from === 'arrival' ? [supply] : [];
  });
}
