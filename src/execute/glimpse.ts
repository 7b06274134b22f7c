// How large that will be which a plan is going to make: a glimpse of the content of each node, from what is at hand of
// it or of its inputs, and for the two ends of a download from its server. Estimates only: nothing here is an error.
import { GLIMPSE_BYTES, type Glimpse, joined, NO_GLIMPSE } from '../kinds/glimpse.js';
import { makingOf } from '../kinds/kind.js';
import { type Content, contentSize } from '../model/content.js';
import { ResError } from '../model/error.js';
import { type LockEntry, type LockedFile, lockedItem } from '../model/lock.js';
import { isIntermediate, type Node, type Reference, selected } from '../model/node.js';
import type { Step } from '../model/plan.js';
import { imageFormatOf, pinnedEntry, traceOf } from '../plan/assess.js';
import { standsOn } from '../plan/leaning.js';
import { type Holding, Holdings } from '../plan/places.js';
import type { DetailedPlan } from '../plan/plan.js';
import { makerOf, makingBy } from '../plan/registry.js';
import type { Workspace } from '../plan/workspace.js';
import type { Fetcher } from '../sources/fetch.js';
import { arrivedBytes } from '../sources/partial.js';
import { peekFile, type Span } from '../sources/peek.js';
import type { FetchLocation } from '../sources/source.js';
import { diskUsage } from '../store/disk-usage.js';
import { errorCode, sameDevice } from '../store/files.js';
import { partialPath } from './download.js';
import { type RemoteNode, remoteNodes, sourceContext } from './resolve.js';
import { findSandbox, sandboxMode } from './sandbox.js';
import { MOUNT_FROM } from './scratch.js';

export interface GlimpseOptions {
  readonly fetcher: () => Fetcher;
  readonly offline: boolean;
  readonly signal: AbortSignal;
}

/** What a step puts on disk. */
export interface Weight {
  /** Bytes, holes not counted; null while not known. */
  readonly bytes: number | null;
  /** Whether that is sure and not an estimate. */
  readonly exact: boolean;
  /** Bytes beside that while it runs. */
  readonly scratchBytes: number;
}

export interface WeighedPlan {
  /** With `writeBytes` of more steps known. */
  readonly plan: DetailedPlan;
  /** By the node of a step. */
  readonly weights: ReadonlyMap<string, Weight>;
}

/**
 * Says of each step what it will put on disk. Servers are asked only for the ends of downloads whose content decides over
 * a step that nothing else is known of. Rejects with ResError `interrupted`.
 */
export async function weigh(
  workspace: Workspace,
  plan: DetailedPlan,
  options: GlimpseOptions,
): Promise<WeighedPlan> {
  const glimpses = new Glimpses(workspace, plan, options);
  const weights = new Map<string, Weight>();
  const steps: Step[] = [];
  for (const step of plan.steps) {
    const weight = await glimpses.weight(step);
    weights.set(step.node, weight);
    steps.push({ ...step, writeBytes: weight.bytes });
  }
  return { plan: { ...plan, steps }, weights };
}

class Glimpses {
  readonly #workspace: Workspace;
  readonly #plan: DetailedPlan;
  readonly #options: GlimpseOptions;
  readonly #holdings: Holdings;
  readonly #made = new Map<string, Promise<Glimpse>>();

  constructor(workspace: Workspace, plan: DetailedPlan, options: GlimpseOptions) {
    this.#workspace = workspace;
    this.#plan = plan;
    this.#options = options;
    this.#holdings = new Holdings(workspace);
  }

  async weight(step: Step): Promise<Weight> {
    const { node: name, work, through } = step;
    if (work === 'download') return { bytes: step.downloadBytes, exact: true, scratchBytes: 0 };
    const node = this.#node(name);
    if (work === 'restore' || makingBy(node) === 'sharing') return this.#restored(node);
    if (makerOf(node).is === 'source') return { bytes: 0, exact: true, scratchBytes: 0 };
    const glimpse = await this.#of(name);
    const spooledBytes = through.length > 0 ? (glimpse.scratchBytes ?? 0) : 0;
    const scratchBytes = makingBy(node) === 'running' ? await this.#copied(node) : spooledBytes;
    if (glimpse.diskBytes !== null) return { bytes: glimpse.diskBytes, exact: glimpse.exact, scratchBytes };
    // The last run of the same node, with another recipe or other inputs, gives an idea.
    return { bytes: this.#lastTime(name), exact: false, scratchBytes };
  }

  #node(name: string): Node {
    const node = this.#workspace.graph.nodes.get(name);
    if (!node) throw new Error(`${name} is not in the graph`);
    return node;
  }

  /** Bytes on disk of the copies that a program is given of its inputs. */
  async #copied({ references }: Node): Promise<number> {
    let bytes = 0;
    for (const reference of references.filter(({ role }) => role !== 'sums')) {
      const [, ...below] = this.#standing(reference.node);
      const glimpses = [this.#meant(reference), ...below.map((name) => this.#of(name))];
      for (const { size, diskBytes } of await Promise.all(glimpses)) {
        if ((size ?? 0) < MOUNT_FROM || !(await this.#canMount())) bytes += diskBytes ?? 0;
      }
    }
    return bytes;
  }

  /** A node, and those that it stands on. */
  #standing(name: string): readonly string[] {
    return [name, ...standsOn(this.#node(name)).flatMap((below) => this.#standing(below))];
  }

  async #canMount(): Promise<boolean> {
    const { env } = this.#workspace;
    return sandboxMode(env) !== 'off' && (await findSandbox(env)) !== undefined;
  }

  /** What is moved takes no room; what is needed in two places at once, or comes from another file system, is copied. */
  async #restored(node: Node): Promise<Weight> {
    const none = { bytes: 0, exact: true, scratchBytes: 0 };
    const placements = this.#plan.placements.get(node.name) ?? [];
    const content = this.#plan.nodes.get(node.name)?.content;
    const holdings = content && (await this.#holdings.findAll(node, content));
    if (!holdings) return this.#shared(node);
    let bytes = 0;
    for (const [i, { path, place }] of holdings.entries()) {
      const to = placements[i]?.path;
      if (to === undefined || to === path || (place === 'store' && sameDevice(path, to))) continue;
      bytes += await diskUsage(path);
    }
    return { ...none, bytes };
  }

  /** A copy of what is yet to be made: of an intermediate it is the only one, and of an output a second one. */
  async #shared(node: Node): Promise<Weight> {
    const [input] = node.references;
    const isSecond = !isIntermediate(node) && input && !isIntermediate(this.#node(input.node));
    if (!isSecond) return { bytes: 0, exact: true, scratchBytes: 0 };
    const { diskBytes, exact } = await this.#of(input.node);
    return { bytes: diskBytes, exact, scratchBytes: 0 };
  }

  /** Of one output of several something is known once it is at hand. */
  async #meant(reference: Reference): Promise<Glimpse> {
    if (reference.item === undefined) return this.#of(reference.node);
    const content = this.#plan.nodes.get(reference.node)?.content;
    const items = content && selected(reference, content);
    const holdings = items && (await this.#holdings.findAll(this.#node(reference.node), items));
    return items && holdings ? this.#atRest(items, holdings) : NO_GLIMPSE;
  }

  #of(name: string): Promise<Glimpse> {
    let glimpse = this.#made.get(name);
    if (!glimpse) {
      glimpse = this.#look(this.#node(name));
      this.#made.set(name, glimpse);
    }
    return glimpse;
  }

  async #look(node: Node): Promise<Glimpse> {
    const known = this.#plan.nodes.get(node.name);
    const content = known?.content;
    const holdings = content && (await this.#holdings.findAll(node, content));
    if (content && holdings) return this.#atRest(content, holdings);
    const maker = makerOf(node);
    if (maker.is === 'source') return this.#remote(node);
    const making = maker.kind.glimpse;
    if (!making || makingOf(maker.kind, node.recipe).by === 'naming') return NO_GLIMPSE;
    const make = async () =>
      making(
        node.recipe,
        await Promise.all(
          node.references
            .filter(({ role }) => role !== 'sums')
            .map(async (reference) => ({
              ...(await this.#meant(reference)),
              format: imageFormatOf(this.#workspace, reference.node),
            })),
        ),
      );
    if (!content) return make();
    // Its bytes are gone, but what they were is on record.
    const trace = known.key === null ? undefined : traceOf(this.#workspace, known.key);
    const again = trace?.diskBytes === undefined ? await make() : undefined;
    return {
      size: contentSize(content),
      diskBytes: trace?.diskBytes ?? again?.diskBytes ?? contentSize(content),
      exact: trace?.diskBytes !== undefined,
      head: async () => (await (again ?? make())).head(),
      tail: async () => (await (again ?? make())).tail(),
    };
  }

  async #atRest(content: Content, holdings: readonly Holding[]): Promise<Glimpse> {
    let diskBytes = 0;
    for (const [i, { path }] of holdings.entries()) {
      const used = await diskUsage(path);
      const item = content[i];
      // The last block of a file is not full; that is not worth counting.
      diskBytes += item?.type === 'file' ? Math.min(used, item.size) : used;
    }
    const end = async (place: Holding | undefined, span: Span) =>
      place && (await peekAt(place.path, span))?.bytes;
    return {
      size: contentSize(content),
      diskBytes,
      exact: true,
      head: () => end(holdings[0], { first: GLIMPSE_BYTES }),
      tail: () => end(holdings.at(-1), { last: GLIMPSE_BYTES }),
    };
  }

  async #remote(node: Node): Promise<Glimpse> {
    const [remote] = remoteNodes(this.#workspace, [node.name]);
    const entry = remote && pinnedEntry(this.#workspace, node, remote.source);
    if (!entry) return NO_GLIMPSE;
    return joined(entry.files.map((_, index) => this.#remoteFile(remote, entry, index)));
  }

  #remoteFile(remote: RemoteNode, entry: LockEntry, index: number): Glimpse {
    const size = entry.files[index]?.size ?? null;
    const look = (span: Span) => this.#peek(remote, entry, index, span);
    return {
      size,
      diskBytes: size,
      exact: true,
      head: once(() => look({ first: GLIMPSE_BYTES })),
      tail: once(() => look({ last: GLIMPSE_BYTES })),
    };
  }

  /** One end of a file of an artifact: from what is here of it, or else from its server. */
  async #peek(
    remote: RemoteNode,
    entry: LockEntry,
    index: number,
    span: Span,
  ): Promise<Uint8Array | undefined> {
    const file = entry.files[index];
    if (!file) return undefined;
    return (await this.#here(remote, entry, file, span)) ?? (await this.#asked(remote, entry, index, span));
  }

  async #here(
    { identity }: RemoteNode,
    { files }: LockEntry,
    file: LockedFile,
    span: Span,
  ): Promise<Uint8Array | undefined> {
    const { size } = file;
    const item = lockedItem(file);
    if (item) {
      const held = await this.#holdings.find(item);
      const found = held && (await peekAt(held.path, span));
      if (found) return found.bytes;
    }
    const path = partialPath(this.#workspace, identity, files, files.indexOf(file));
    const needed = 'first' in span ? Math.min(span.first, size ?? span.first) : (size ?? undefined);
    // Without gaps, which would be read as zeros.
    if (needed === undefined || arrivedBytes(path).beginning < needed) return undefined;
    return (await peekAt(path, span))?.bytes;
  }

  async #asked(
    { node, source }: RemoteNode,
    entry: LockEntry,
    index: number,
    span: Span,
  ): Promise<Uint8Array | undefined> {
    const { offline, fetcher, signal } = this.#options;
    if (offline && entry.files[index]?.url.startsWith('file:') !== true) return undefined;
    const context = sourceContext(this.#workspace, fetcher(), signal);
    let locations: readonly FetchLocation[];
    try {
      locations = await source.locate(node.recipe, entry, context);
    } catch (error) {
      if (error instanceof ResError && error.code !== 'interrupted') return undefined;
      throw error;
    }
    const location = locations[index];
    return location && (await fetcher().peek(location, span, signal))?.bytes;
  }

  #lastTime(name: string): number | null {
    const { nodes } = this.#workspace.state;
    const record = nodes.get(name);
    return (record && traceOf(this.#workspace, record.key)?.diskBytes) ?? null;
  }
}

/** Undefined when the file is gone or cannot be read: whoever needs it will say so. */
async function peekAt(path: string, span: Span) {
  try {
    return await peekFile(path, span);
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    return undefined;
  }
}

function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => {
    answer ??= ask();
    return answer;
  };
}
