// What becomes of each node of a build: told to the listener, counted for the result, written into the state. Whatever
// is done for a node is done under its name here, so that no failure is lost and none is told twice.
import type { Demand } from '../kinds/kind.js';
import type { Content } from '../model/content.js';
import { contentSize } from '../model/content.js';
import { ResError } from '../model/error.js';
import type { EventListener, Work } from '../model/event.js';
import { type Node, outputsByName } from '../model/node.js';
import { makerOf } from '../plan/registry.js';
import type { Workspace } from '../plan/workspace.js';
import type { Slot } from '../sources/segments.js';
import { bytesText, errorCode, ioError } from '../store/files.js';
import { ChainFailure } from './action.js';
import { errorReport } from './errors.js';
import type { Known } from './known.js';
import { machineMemory, type PoolName, type Pools } from './pools.js';

export interface LedgerOptions {
  readonly workspace: Workspace;
  readonly closure: readonly string[];
  readonly pools: Pools;
  readonly priority: (node: string) => number;
  readonly listener: EventListener;
  readonly signal: AbortSignal;
  readonly keepGoing: boolean;
}

const WRITE_DOWN_MS = 200;

/** Thrown to the users of a node that failed, or that was not started because another one had failed. */
export class Unavailable extends Error {
  readonly node: string;
  constructor(node: string) {
    super(`${node} is not available`);
    this.node = node;
  }
}

/** What the pools refuse with once the build winds down. */
class WindingDown extends Error {}

/** Work on a node that was begun. */
export interface Begun {
  readonly node: Node;
  readonly work: Work;
  /** ms since 1970 */
  readonly at: number;
}

export class Ledger {
  readonly ran = new Set<string>();
  readonly restored = new Set<string>();
  readonly failed = new Map<string, unknown>();
  readonly skipped = new Set<string>();
  /** Nodes that were asked for, and whose bytes are where they should be. */
  readonly obtained = new Set<string>();
  /** Bytes over the network, by node. */
  readonly downloads = new Map<string, number>();

  readonly #o: LedgerOptions;
  readonly #known: Known;
  /** By node, how long the work on it that begins now had waited for its place, ms. */
  readonly #waited = new Map<string, number>();
  /** By node, when work on it last gave its place in a pool back, ms of `performance.now`. */
  readonly #left = new Map<string, number>();
  /** When the state was last written down, ms of `performance.now`. */
  #writtenDown = 0;
  /** Failures that are being written down. */
  readonly #recording: Promise<void>[] = [];

  constructor(options: LedgerOptions, known: Known) {
    this.#o = options;
    this.#known = known;
    options.signal.addEventListener('abort', () => this.#windDown(), { once: true });
  }

  get downloadedBytes(): number {
    return [...this.downloads.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  downloaded(node: string, bytes: number): void {
    if (bytes > 0) this.downloads.set(node, (this.downloads.get(node) ?? 0) + bytes);
  }

  /** @param through nodes that are made in the same pass */
  start(node: Node, work: Work, detail: string, through: readonly string[] = []): Begun {
    const waited_ms = Math.round(this.#waited.get(node.name) ?? 0);
    this.#waited.delete(node.name);
    this.#o.listener({
      type: 'started',
      node: node.name,
      work,
      detail,
      through,
      ...(waited_ms > 0 ? { waited_ms } : {}),
    });
    return { node, work, at: Date.now() };
  }

  finish({ node, work, at }: Begun, content: Content): void {
    this.#waited.delete(node.name);
    const left = this.#left.get(node.name);
    this.#left.delete(node.name);
    const duration_ms = Date.now() - at;
    const placing_ms = left === undefined ? 0 : Math.min(duration_ms, Math.round(performance.now() - left));
    if (work === 'restore') this.restored.add(node.name);
    else this.ran.add(node.name);
    this.#o.listener({
      type: 'finished',
      node: node.name,
      work,
      duration_ms,
      ...(placing_ms > 0 ? { placing_ms } : {}),
      size: contentSize(content),
      digests: content.map(({ digest }) => digest),
      output: node.output ?? null,
      ...(node.outputs ? { outputs: outputsByName(node.outputs) } : {}),
    });
  }

  /**
   * Remembers what came of a node's present action, to know it another time.
   * @param diskBytes what it takes on disk, where it was written to one
   */
  async trace(node: Node, content: Content, durationMs: number, diskBytes?: number): Promise<void> {
    const { key } = await this.#known.action(node);
    if (key === null) throw new Error(`${node.name} ran with inputs that are not known`);
    this.#o.workspace.state.traces.set(key, {
      content,
      durationMs,
      at: Date.now(),
      ...(diskBytes === undefined ? {} : { diskBytes }),
    });
  }

  /**
   * Writes down that a node is as its present action makes it.
   * @param took ms; left out where the node did not run, and its last run says how long that takes
   */
  async record(node: Node, took?: number): Promise<void> {
    const { traces, nodes, kept } = this.#o.workspace.state;
    const { action, key } = await this.#known.action(node);
    if (key === null) throw new Error(`${node.name} is done with inputs that are not known`);
    if (node.keep === 'always')
      for (const { digest } of this.#known.content(node.name) ?? []) kept.set(digest, node.name);
    await this.#share(key);
    const durationMs = took ?? (traces.get(key) ?? nodes.get(node.name))?.durationMs ?? 0;
    nodes.set(node.name, { key, action, status: 'done', at: Date.now(), durationMs });
  }

  /**
   * Puts on disk what is known of nodes and files, at most every WRITE_DOWN_MS: all that a build that is killed may forget, as it
   * is found out again without making anything anew. At the end of a build everything is written down.
   */
  async writeDown(): Promise<void> {
    const now = performance.now();
    if (now - this.#writtenDown < WRITE_DOWN_MS) return;
    this.#writtenDown = now;
    await this.#o.workspace.state.flush();
  }

  /** What is known of an action becomes known to all who use the store, and to this workspace what they know. */
  async #share(key: string): Promise<void> {
    const { state, shared } = this.#o.workspace;
    if (!shared) return;
    const [own, others] = [state.traces.get(key), shared.actions.get(key)];
    if (own && !own.asIs && !others) await shared.actions.put(key, own);
    else if (others && !own) state.traces.set(key, others);
  }

  /**
   * Does a node's work, or waits for others on its behalf. An error is the node's failure; when another node is not to
   * be had, or the build winds down, it is skipped. Rejects with Unavailable, and with nothing else.
   */
  async guard<T>(node: Node, work: () => Promise<T>): Promise<T> {
    try {
      this.#o.signal.throwIfAborted();
      return await work();
    } catch (error) {
      if (error instanceof Unavailable) throw this.#skip(node.name, error.node);
      if (error instanceof WindingDown) throw this.#skip(node.name);
      throw this.#fail(node, error);
    }
  }

  /** Runs work in its turn. When it fails the pool is closed before its place is given to the next one. */
  pooled<T>(pool: PoolName, node: Node, work: (slot: Slot) => Promise<T>): Promise<T> {
    const { pools, priority, keepGoing } = this.#o;
    const demand = demandOf(node);
    const tooMuch = memoryError(demand);
    return pools.run(
      pool,
      priority(node.name),
      async (waitedMs, slot) => {
        this.#waited.set(node.name, waitedMs);
        try {
          if (tooMuch) throw tooMuch;
          return await work(slot);
        } catch (error) {
          if (!keepGoing) this.#windDown();
          throw error;
        } finally {
          this.#left.set(node.name, performance.now());
        }
      },
      tooMuch ? {} : demand,
    );
  }

  /** Whether a user of the node did not come to its end. */
  isAwaited(name: string): boolean {
    return this.#o.closure.some(
      (user) =>
        (this.failed.has(user) || this.skipped.has(user)) &&
        this.#known.node(user).references.some(({ node }) => node === name),
    );
  }

  /**
   * What was to be done and was not come to, as what needs it failed before: it counts as skipped.
   * @param planned nodes with work to do, inputs first
   */
  skipUnreached(planned: readonly string[]): void {
    for (const name of planned.toReversed()) {
      const reached = [this.failed, this.skipped, this.ran, this.restored, this.obtained];
      if (!reached.some((nodes) => nodes.has(name)) && this.isAwaited(name)) this.#skip(name);
    }
  }

  /** Waits until all that was told is written down too. */
  async settled(): Promise<void> {
    await Promise.all(this.#recording);
  }

  #windDown(): void {
    this.#o.pools.close(new WindingDown());
  }

  #skip(name: string, because = 'another failure'): Unavailable {
    if (!this.failed.has(name) && !this.skipped.has(name)) {
      this.skipped.add(name);
      // Who stops a build knows why the rest of it is not done.
      if (!this.#o.signal.aborted) this.#o.listener({ type: 'skipped', node: name, because });
    }
    return new Unavailable(because);
  }

  #fail(node: Node, error: unknown): Unavailable {
    const inChain = error instanceof ChainFailure ? error : undefined;
    const at = inChain?.node ?? node.name;
    if (!this.failed.has(at)) {
      const cause = userError(inChain ? inChain.cause : error, at, this.#o.workspace);
      this.failed.set(at, cause);
      const interrupted = this.#o.signal.aborted;
      if (!interrupted) {
        const report = errorReport(cause, inChain?.log ?? null);
        this.#o.listener({ type: 'failed', node: at, error: report });
        this.#recording.push(this.#recordFailure(this.#known.node(at), report.message));
      }
      if (interrupted || !this.#o.keepGoing) this.#windDown();
    }
    return at === node.name ? new Unavailable(at) : this.#skip(node.name, at);
  }

  async #recordFailure(node: Node, error: string): Promise<void> {
    // The very thing that failed may have been to find out what the action is.
    const { action, key } = await this.#known.action(node).catch(() => ({ action: null, key: null }));
    const { nodes } = this.#o.workspace.state;
    const last = nodes.get(node.name);
    nodes.set(node.name, {
      key: key ?? '',
      action: action ?? last?.action ?? null,
      status: 'failed',
      at: Date.now(),
      durationMs: last?.durationMs ?? 0,
      error,
    });
  }
}

function demandOf(node: Node): Demand {
  const maker = makerOf(node);
  return (maker.is === 'kind' ? maker.kind.demand?.(node.recipe) : undefined) ?? {};
}

/** Of what could never be run here. */
function memoryError({ memory }: Demand): ResError | undefined {
  if (memory === undefined) return undefined;
  const there = machineMemory();
  if (memory <= there) return undefined;
  return new ResError(
    'no-memory',
    `it needs ${bytesText(memory)} of memory, and this machine has ${bytesText(there)}`,
    { hint: 'Build on a larger machine, or lower `memory` where less will do.' },
  );
}

/** A system error (disk full, no permission) as the user's; anything else as it is. */
function userError(error: unknown, node: string, workspace: Workspace): unknown {
  const system = error instanceof Error && errorCode(error) !== undefined && 'syscall' in error;
  if (!system) return error;
  if (errorCode(error) === 'EISDIR' && error.syscall === 'read') {
    return new ResError('bad-format', `${node}: an input is a directory, and a file is needed`, {
      hint: 'Take one file out of the archive: `extract` with `member`.',
      cause: error,
    });
  }
  const path = 'path' in error && typeof error.path === 'string' ? error.path : workspace.paths.root;
  return ioError(error, 'cannot use', path);
}
