// A build under way: what must be known is found out, what must be there is brought or made, each node at most once.
// Two questions drive it, asked from the requested nodes down: what is the content of a node (`know`), and are its
// bytes where they should be (`obtain`). A node whose new content equals the old leaves everything above it alone.
import { rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { makingOf } from '../kinds/kind.js';
import type { Content, Item } from '../model/content.js';
import { contentSize } from '../model/content.js';
import { type Digest, digestAlgorithm } from '../model/digest.js';
import { ResError } from '../model/error.js';
import type { EventListener, Work } from '../model/event.js';
import type { Node } from '../model/node.js';
import { type Assessment, artifactContent, assess } from '../plan/assess.js';
import type { Fusion } from '../plan/fusion.js';
import {
  checkNames,
  type Holding,
  Holdings,
  holds,
  leftovers,
  occupantOf,
  outputPaths,
} from '../plan/places.js';
import { makerOf } from '../plan/registry.js';
import type { Workspace } from '../plan/workspace.js';
import type { Fetcher } from '../sources/fetch.js';
import { errorCode, ioError } from '../store/files.js';
import { digestFile } from '../store/hashing.js';
import { ChainFailure, type ChainNode, type MadeNode, runAction, type Supply } from './action.js';
import { download } from './download.js';
import { errorReport } from './errors.js';
import { copyHolding, correctMode, placeOutput, restoreOutput, temporaryFor } from './outputs.js';
import type { PoolName, Pools } from './pools.js';
import { Throttle } from './progress.js';
import { isLocal, offlineError, type RemoteNode, remoteNodes, saveLock } from './resolve.js';
import { Turns } from './turns.js';
import { verifyContent } from './verify-content.js';

export interface ExecutionOptions {
  readonly workspace: Workspace;
  readonly closure: readonly string[];
  readonly requested: ReadonlySet<string>;
  /** Nodes that nobody asked for, whose outputs hold another variant and can be put right without work. */
  readonly outdated: readonly string[];
  readonly fusion: Fusion;
  readonly pools: Pools;
  readonly priority: (node: string) => number;
  readonly fetcher: () => Fetcher;
  readonly listener: EventListener;
  readonly signal: AbortSignal;
  readonly force: boolean;
  readonly offline: boolean;
  readonly overwrite: boolean;
  readonly keepGoing: boolean;
}

/** Thrown to the users of a node that failed, or that was not started because another one had failed. */
export class Unavailable extends Error {
  readonly node: string;
  constructor(node: string) {
    super(`${node} is not available`);
    this.node = node;
  }
}

/** Paths of the lists of sums, by the node that is held against one. */
type Sums = ReadonlyMap<string, string | undefined>;

/** What the pools refuse with once the build winds down. */
class WindingDown extends Error {}

export class Execution {
  readonly ran = new Set<string>();
  readonly restored = new Set<string>();
  readonly failed = new Map<string, unknown>();
  readonly skipped = new Map<string, string>();
  downloadedBytes = 0;

  readonly #o: ExecutionOptions;
  readonly #workspace: Workspace;
  readonly #contents = new Map<string, Content>();
  readonly #peeking = new Map<string, Promise<Content | null>>();
  readonly #knowing = new Map<string, Promise<Content>>();
  readonly #producing = new Map<string, Promise<Content>>();
  readonly #obtaining = new Map<string, Promise<void>>();
  readonly #obtained = new Set<string>();
  readonly #holdings: Holdings;
  /** Paths that an action reads at the moment: they are copied from, not moved. */
  readonly #reading = new Map<string, number>();
  /** By source: two nodes may name one, and the second one is to find the files at hand. */
  readonly #fetching = new Turns();
  /** By digest: content is not moved away between the moment it was found and that it is held. */
  readonly #moving = new Turns();
  #savingLock: Promise<void> = Promise.resolve();
  /** Failures that are being written down. */
  readonly #recording: Promise<void>[] = [];
  /** Intermediates that were written to the store in this build. */
  readonly #dropped = new Map<string, Item>();

  constructor(options: ExecutionOptions) {
    this.#o = options;
    this.#workspace = options.workspace;
    this.#holdings = new Holdings(options.workspace);
    options.signal.addEventListener('abort', () => options.pools.close(new WindingDown()), { once: true });
  }

  /** Brings every requested node up to date. Failures are kept in `failed` and `skipped`; only bugs reject. */
  async run(): Promise<void> {
    const obtained = new Set([...this.#o.requested, ...this.#o.outdated]);
    const targets = this.#o.force ? this.#o.closure : [...obtained];
    const outcomes = await Promise.allSettled(
      targets.map(async (name) => {
        if (obtained.has(name)) await this.obtain(name);
        else if (!this.#streamsAway(name)) await this.#know(name);
      }),
    );
    await Promise.allSettled(this.#producing.values());
    await Promise.all(this.#recording);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected' && !(outcome.reason instanceof Unavailable)) throw outcome.reason;
    }
  }

  /** Removes intermediates that were made on the way, that nobody asked for and that no failed node will want again. */
  async dropIntermediates(): Promise<void> {
    const kept = new Set<string>();
    for (const [name, content] of this.#contents) {
      if (!this.#dropped.has(name) || this.#isAwaited(name))
        for (const { digest } of content) kept.add(digest);
    }
    for (const { digest, type } of this.#dropped.values()) {
      if (!kept.has(digest)) await this.#workspace.store.remove(digest, type);
    }
  }

  /** Whether a user of the node did not come to its end. */
  #isAwaited(name: string): boolean {
    return this.#o.closure.some(
      (user) =>
        (this.failed.has(user) || this.skipped.has(user)) &&
        this.#node(user).references.some(({ node }) => node === name),
    );
  }

  /**
   * What was to be done and was not come to, as what needs it failed before: it counts as skipped.
   * @param planned nodes with work to do, inputs first
   */
  skipUnreached(planned: readonly string[]): void {
    for (const name of planned.toReversed()) {
      const reached = [this.failed, this.skipped, this.ran, this.restored, this.#obtained];
      if (reached.some((nodes) => nodes.has(name)) || !this.#isAwaited(name)) continue;
      this.#skip(name, new WindingDown());
    }
  }

  /** The bytes of a node: in the place of its output, or at hand for an intermediate. */
  obtain(name: string): Promise<void> {
    return memo(this.#obtaining, name, async () => {
      await this.#obtain(this.#node(name));
      this.#obtained.add(name);
    });
  }

  async #obtain(node: Node): Promise<void> {
    const maker = makerOf(node);
    const making = maker.is === 'kind' ? makingOf(maker.kind, node.recipe).by : undefined;
    if (making === 'naming') {
      const outcomes = await Promise.allSettled(
        node.references.map((reference) => this.obtain(reference.node)),
      );
      const broken = outcomes.find((outcome) => outcome.status === 'rejected');
      if (broken) throw this.#skip(node.name, broken.reason);
      return;
    }
    const content = await this.#know(node.name);
    if (this.#producing.has(node.name) || (await this.#inPlace(node, content))) return;
    const holdings = await this.#holdings.findAll(node, content);
    if (holdings && node.output === undefined) return;
    if (making === 'sharing') {
      if (!holdings) await this.#upstream(node, () => this.obtain(node.references[0]?.node ?? ''));
      if (node.output !== undefined) await this.#guard(node, () => this.#restore(node, content, 'execute'));
    } else if (holdings) {
      await this.#guard(node, () => this.#restore(node, content, 'restore'));
    } else {
      await this.#produce(node.name);
    }
  }

  /** The content of a node, found by its trace or else by making it. */
  #know(name: string): Promise<Content> {
    return memo(this.#knowing, name, async () => (await this.#peek(name)) ?? this.#produce(name));
  }

  /** The content of a node if it can be known without making the node itself, or what streams into it. */
  #peek(name: string): Promise<Content | null> {
    return memo(this.#peeking, name, async () => {
      const node = this.#node(name);
      const known = await this.#upstream(node, () => this.#peekInputs(node));
      if (!known || this.#forced(node)) return null;
      return this.#guardAssess(node);
    });
  }

  /** Whether the contents of all inputs are known. */
  async #peekInputs(node: Node): Promise<boolean> {
    const contents = await settleAll(
      node.references.map(async ({ node: input }) => {
        const content = this.#o.fusion.joins(input, node.name)
          ? await this.#peek(input)
          : await this.#know(input);
        if (content) this.#contents.set(input, content);
        return content;
      }),
    );
    return contents.every((content) => content !== null);
  }

  async #guardAssess(node: Node): Promise<Content | null> {
    try {
      const { content } = await this.#assess(node);
      if (content) this.#contents.set(node.name, content);
      return content;
    } catch (error) {
      throw this.#fail(node, error);
    }
  }

  #assess(node: Node): Promise<Assessment> {
    return assess(this.#workspace, node, (input) => this.#contents.get(input) ?? null);
  }

  #produce(name: string): Promise<Content> {
    return memo(this.#producing, name, async () => {
      const node = this.#node(name);
      const maker = makerOf(node);
      if (maker.is === 'source') return this.#produceArtifact(node);
      const by = makingOf(maker.kind, node.recipe).by;
      if (by === 'naming') throw new Error(`${name} has no action of its own`);
      if (by === 'sharing') return this.#verifyShared(node);
      return this.#produceTarget(node, maker.kind.pool);
    });
  }

  async #produceArtifact(node: Node): Promise<Content> {
    const sums = await this.#upstream(node, () => this.#sumsPath(node));
    return this.#guard(node, async () => {
      const held = await this.#verifyHeld(node, sums);
      if (held) return held;
      const [remote] = remoteNodes(this.#workspace, [node.name]);
      if (!remote) throw new ResError('file-not-found', `${node.name}: its files are gone`);
      if (this.#o.offline && !isLocal(this.#workspace, node.name))
        throw offlineError(node.name, remote.identity);
      return this.#fetching.run(remote.identity, () => this.#fetch(node, remote, sums));
    });
  }

  async #fetch(node: Node, remote: RemoteNode, sums: string | undefined): Promise<Content> {
    const started = Date.now();
    checkNames(node, this.#workspace.lock.get(remote.identity)?.files ?? []);
    this.#start(node.name, 'download', this.#downloadName(remote), []);
    const progress = new Throttle(node.name, this.#o.listener);
    const { content, bytes } = await download(
      {
        workspace: this.#workspace,
        fetcher: this.#o.fetcher(),
        signal: this.#o.signal,
        pooled: (work) => this.#pooled('network', node, work),
        onProgress: (done, total) => progress.bytes(done, total),
        onNotice: (message) => this.#o.listener({ type: 'notice', node: node.name, message }),
        check: (item) => verifyContent(node, item.digest, [node.output, item.name].filter(isText), sums),
        learned: () => this.#saveLock(),
        place: async (temp, item) => {
          const output = outputPaths(this.#workspace, node, [item])[0];
          if (output) await this.#place(temp, node, item, output.path);
          else await this.#workspace.store.put(temp, item.digest, item.type);
        },
      },
      remote,
    );
    this.downloadedBytes += bytes;
    this.#holdings.refresh();
    await this.#complete(node, content, 'download', started);
    return content;
  }

  /** What of an artifact is at hand is held against its sums, and need not be fetched; undefined where it has to be. */
  async #verifyHeld(node: Node, sums: string | undefined): Promise<Content | undefined> {
    const maker = makerOf(node);
    if (sums === undefined || maker.is !== 'source') return undefined;
    const content = await artifactContent(this.#workspace, node, maker.source);
    if (!content || !(await this.#holdings.findAll(node, content))) return undefined;
    const started = Date.now();
    this.#start(node.name, 'execute', `verify ${node.name}`, []);
    for (const item of content)
      await verifyContent(node, item.digest, [node.output, item.name].filter(isText), sums);
    await this.#complete(node, content, 'execute', started);
    return content;
  }

  /** The content of a node's input is held against what `verify` says of it under the node's own name. */
  async #verifyShared(node: Node): Promise<Content> {
    const [input] = node.references;
    if (!input) throw new Error(`${node.name} has no input`);
    const sums = await this.#upstream(node, () => this.#sumsPath(node));
    const supply = await this.#upstream(node, () => this.#supply(node, input.node));
    if (supply.from !== 'files') throw new Error(`${input.node} was to be at hand`);
    const { holdings, items } = supply;
    return this.#guard(node, () =>
      this.#pooled('disk', node, async () => {
        const started = Date.now();
        this.#start(node.name, 'execute', describeWork(node), []);
        for (const [i, item] of items.entries()) {
          const sha256 = await this.#plainDigest(node, item, holdings[i]?.path ?? '');
          await verifyContent(node, sha256, [node.output, item.name].filter(isText), sums);
        }
        this.#letGo(holdings);
        await this.#complete(node, items, 'execute', started);
        return items;
      }),
    );
  }

  async #plainDigest(node: Node, item: Item, path: string): Promise<Digest> {
    if (item.type === 'directory') throw unverifiable(node);
    if (digestAlgorithm(item.digest) === 'sha256') return item.digest;
    return (await digestFile(path, 'sha256', { signal: this.#o.signal })).digest;
  }

  /** Accepted content gets its place, and is written down. */
  async #complete(node: Node, content: Content, work: Work, started: number): Promise<void> {
    this.#contents.set(node.name, content);
    if (node.verify) {
      const { key } = await this.#assess(node);
      const durationMs = Date.now() - started;
      if (key !== null) this.#workspace.state.traces.set(key, { content, durationMs, at: Date.now() });
    }
    if (node.output !== undefined && !(await this.#inPlace(node, content)))
      await this.#putBack(node, content);
    await this.#record(node, Date.now() - started);
    this.#finish(node, work, started, content);
  }

  /** Runs work in its turn. When it fails the pool is closed before its place is given to the next one. */
  #pooled<T>(pool: PoolName, node: Node, work: () => Promise<T>): Promise<T> {
    const { pools, priority, keepGoing } = this.#o;
    return pools.run(pool, priority(node.name), async () => {
      try {
        return await work();
      } catch (error) {
        if (!keepGoing) pools.close(new WindingDown());
        throw error;
      }
    });
  }

  /** What is fetched, in short: the file's name, or how many there are. */
  #downloadName({ identity }: RemoteNode): string {
    const [first, ...more] = this.#workspace.lock.get(identity)?.files ?? [];
    if (!first) return identity;
    return more.length === 0 ? first.name : `${more.length + 1} files`;
  }

  #saveLock(): Promise<void> {
    this.#savingLock = this.#savingLock.then(() => saveLock(this.#workspace));
    return this.#savingLock;
  }

  async #produceTarget(node: Node, pool: 'cpu' | 'disk'): Promise<Content> {
    const chain = await this.#upstream(node, () => this.#chain(node));
    // Before a place in the pool is taken: to make them may need it.
    const sums = new Map<string, string | undefined>();
    for (const made of [...streamedNodes(chain), node]) {
      sums.set(made.name, await this.#upstream(node, () => this.#upstream(made, () => this.#sumsPath(made))));
    }
    return this.#guard(node, () => this.#pooled(pool, node, () => this.#runChain(node, chain, sums)));
  }

  /** Makes the inputs' bytes ready and says where each comes from. */
  async #chain(node: Node): Promise<ChainNode> {
    const inputs = await settleAll(
      node.references
        .filter(({ role }) => role !== 'sums')
        .map(async ({ role, node: name }) => ({ role, node: name, supply: await this.#supply(node, name) })),
    );
    return { node, inputs };
  }

  async #supply(consumer: Node, name: string): Promise<Supply> {
    const input = this.#node(name);
    if (this.#o.fusion.joins(name, consumer.name)) {
      const content = this.#contents.get(name);
      const holdings = content && !this.#forced(input) ? await this.#hold(input, content) : undefined;
      if (content && holdings) return { from: 'files', holdings, items: content };
      return { from: 'stream', chain: await this.#upstream(input, () => this.#chain(input)) };
    }
    await this.obtain(name);
    const content = await this.#know(name);
    const holdings = await this.#hold(input, content);
    if (!holdings) throw new Error(`${name} was obtained but is not at hand`);
    return { from: 'files', holdings, items: content };
  }

  async #sumsPath(node: Node): Promise<string | undefined> {
    if (!node.verify || !('sums' in node.verify)) return undefined;
    const name = node.verify.sums;
    await this.obtain(name);
    const holdings = await this.#hold(this.#node(name), await this.#know(name));
    return holdings?.[0]?.path;
  }

  /** Finds content and keeps it from being moved until `#letGo`, or to the end of the build. */
  #hold(node: Node, content: Content): Promise<readonly Holding[] | undefined> {
    return this.#moving.runAll(
      content.map(({ digest }) => digest),
      async () => {
        const found = await this.#holdings.findAll(node, content);
        const holdings = found && (await this.#secure(node, content, found));
        for (const { path } of holdings ?? []) this.#reading.set(path, (this.#reading.get(path) ?? 0) + 1);
        return holdings;
      },
    );
  }

  /** What lies where another node is about to put something else is needed in two places at once: it is copied. */
  async #secure(node: Node, content: Content, found: readonly Holding[]): Promise<readonly Holding[]> {
    const { store, paths } = this.#workspace;
    const secured: Holding[] = [];
    for (const [i, holding] of found.entries()) {
      const item = content[i];
      if (!item || holding.place !== 'output' || this.#stays(holding.path, item)) {
        secured.push(holding);
        continue;
      }
      const temp = await temporaryFor(this.#workspace, `${paths.tmp}/object`);
      try {
        await copyHolding(this.#workspace, holding, item, temp, { signal: this.#o.signal });
        const path = await store.put(temp, item.digest, item.type);
        secured.push({ place: 'store', path });
      } finally {
        await rm(temp, { recursive: true, force: true });
      }
      if (!this.#o.requested.has(node.name)) this.#dropped.set(node.name, item);
    }
    return secured;
  }

  /** Whether what this build does leaves an output as it is. */
  #stays(path: string, { digest }: Item): boolean {
    const { outputDir } = this.#workspace.graph.manifest;
    const owner = this.#o.closure.find((name) => {
      const { output } = this.#node(name);
      const place = output === undefined ? undefined : join(outputDir, output);
      return place !== undefined && (path === place || path.startsWith(`${place}/`));
    });
    if (owner === undefined) return true;
    return this.#contents.get(owner)?.some((item) => item.digest === digest) === true;
  }

  #letGo(holdings: readonly Holding[]): void {
    for (const { path } of holdings) this.#reading.set(path, (this.#reading.get(path) ?? 1) - 1);
  }

  /** Puts a new file at an output path, when nobody is about to take what stood there. */
  #place(temp: string, node: Node, item: Item, path: string): Promise<void> {
    return this.#moving.runAll([item.digest, ...this.#formerDigests(path)], () =>
      placeOutput(this.#workspace, temp, { node, item, path, overwrite: this.#o.overwrite }),
    );
  }

  #formerDigests(path: string): readonly Digest[] {
    const record = this.#workspace.state.outputs.get(path);
    return record ? [record.digest, ...(record.previous === undefined ? [] : [record.previous])] : [];
  }

  async #runChain(node: Node, chain: ChainNode, sums: Sums): Promise<Content> {
    const started = Date.now();
    const through = streamedNodes(chain).map(({ name }) => name);
    this.#start(node.name, 'execute', describeWork(node), through);
    const progress = new Throttle(node.name, this.#o.listener);
    const output = outputPaths(this.#workspace, node, null)[0]?.path;
    const temp = await temporaryFor(this.#workspace, output ?? `${this.#workspace.paths.tmp}/object`);
    try {
      const made = await runAction(chain, {
        workspace: this.#workspace,
        temp,
        signal: this.#o.signal,
        onBytes: (done, total) => progress.bytes(done, total),
        onPercent: (percent) => progress.percent(percent),
        onOutput: (name, text) => this.#o.listener({ type: 'output', node: name, text }),
      });
      await this.#checkUntouched(node, chain);
      await this.#accept(made, sums, Date.now() - started);
      const item = made.at(-1)?.item;
      if (!item) throw new Error(`${node.name} made nothing`);
      if (output !== undefined) {
        await this.#place(temp, node, item, output);
      } else {
        // What was there before is somebody else's, or the one copy of another variant.
        const mine = !this.#workspace.store.has(item.digest, item.type);
        await this.#workspace.store.put(temp, item.digest, item.type);
        if (mine && !this.#o.requested.has(node.name)) this.#dropped.set(node.name, item);
      }
      this.#holdings.refresh();
      this.#finish(node, 'execute', started, [item]);
      return [item];
    } finally {
      for (const { holdings } of chainSupplies(chain)) this.#letGo(holdings);
      await rm(temp, { recursive: true, force: true });
    }
  }

  /** What was made of an input that somebody wrote to in the meantime must not be recorded as made of what it was before. */
  async #checkUntouched(node: Node, chain: ChainNode): Promise<void> {
    const { cache, graph } = this.#workspace;
    await cache.settle();
    for (const { holdings, items } of chainSupplies(chain)) {
      for (const [i, { place, path }] of holdings.entries()) {
        const item = items[i];
        // Objects in the store are nobody's to write to.
        if (place === 'store' || item?.type !== 'file') continue;
        const algorithm = digestAlgorithm(item.digest) === 'tree' ? 'derived' : 'sha256';
        const known = cache.knownSync(path, algorithm) ?? (await cache.digestOf(path, algorithm));
        if (known.digest === item.digest) continue;
        throw new ResError(
          'io',
          `${node.name}: ${relative(graph.manifest.dir, path)} was changed while it was read`,
          {
            hint: 'Nothing was made of it. Build again when no other program writes to it.',
          },
        );
      }
    }
  }

  /** Checks what a chain made and writes it down, in the order of the bytes. */
  async #accept(made: readonly MadeNode[], sums: Sums, durationMs: number): Promise<void> {
    for (const { node, item, sha256, names } of made) {
      if (node.verify) {
        if (!sha256) throw new ChainFailure(node.name, unverifiable(node), undefined);
        await verifyContent(node, sha256, names, sums.get(node.name)).catch((error: unknown) => {
          throw new ChainFailure(node.name, error, undefined);
        });
      }
      const { action, key } = await this.#assess(node);
      if (!action || key === null) throw new Error(`${node.name} ran with inputs that are not known`);
      const at = Date.now();
      this.#contents.set(node.name, [item]);
      this.#workspace.state.traces.set(key, { content: [item], durationMs, at });
      this.#workspace.state.nodes.set(node.name, { key, action, status: 'done', at, durationMs });
      this.ran.add(node.name);
    }
  }

  /** Puts a node's known content at its output paths. */
  async #restore(node: Node, content: Content, work: Work): Promise<void> {
    const started = Date.now();
    this.#start(node.name, work, work === 'execute' ? describeWork(node) : (node.output ?? ''), []);
    await this.#putBack(node, content);
    await this.#record(node);
    this.#finish(node, work, started, content);
  }

  async #putBack(node: Node, content: Content): Promise<void> {
    const progress = new Throttle(node.name, this.#o.listener);
    const total = contentSize(content);
    let done = 0;
    const onBytes = (bytes: number) => {
      done += bytes;
      progress.bytes(done, total);
    };
    for (const [i, { path, item }] of outputPaths(this.#workspace, node, content).entries()) {
      if (!item) throw new Error(`${node.name} was to be restored but is not known`);
      await this.#moving.runAll([item.digest, ...this.#formerDigests(path)], async () => {
        const holding = (await this.#holdings.findAll(node, content))?.[i];
        if (!holding) throw new Error(`${node.name} was to be restored but is not at hand`);
        const placing = { node, item, path, overwrite: this.#o.overwrite };
        if (holding.path === path) return correctMode(this.#workspace, placing);
        await restoreOutput(this.#workspace, holding, placing, {
          mayMove: !this.#isRead(holding),
          signal: this.#o.signal,
          onBytes,
        });
        this.#holdings.refresh();
      });
    }
    await this.#clearFolder(node, content);
  }

  /** Into the store with what is no longer one of a node's files: in its folder it would be taken for one. */
  async #clearFolder(node: Node, content: Content): Promise<void> {
    const { state, store, cache } = this.#workspace;
    for (const { path, item } of await leftovers(this.#workspace, node, content)) {
      await this.#moving.runAll(this.#formerDigests(path), async () => {
        await store.put(path, item.digest, item.type);
        state.outputs.delete(path);
        cache.forget(path);
        this.#holdings.refresh();
      });
    }
  }

  #isRead({ path }: Holding): boolean {
    return (this.#reading.get(path) ?? 0) > 0;
  }

  async #inPlace(node: Node, content: Content): Promise<boolean> {
    if (node.output === undefined) return false;
    for (const { path, item } of outputPaths(this.#workspace, node, content)) {
      if (!holds(node, item, await occupantOf(this.#workspace, path, item))) return false;
    }
    return (await leftovers(this.#workspace, node, content)).length === 0;
  }

  /** @param took ms; left out where the node did not run, and its last run says how long that takes */
  async #record(node: Node, took?: number): Promise<void> {
    const { traces, nodes } = this.#workspace.state;
    const { action, key } = await this.#assess(node);
    if (key === null) return;
    const durationMs = took ?? (traces.get(key) ?? nodes.get(node.name))?.durationMs ?? 0;
    nodes.set(node.name, { key, action, status: 'done', at: Date.now(), durationMs });
  }

  #start(node: string, work: Work, detail: string, through: readonly string[]): void {
    this.#o.listener({ type: 'started', node, work, detail, through });
  }

  #finish(node: Node, work: Work, started: number, content: Content): void {
    if (work === 'restore') this.restored.add(node.name);
    else this.ran.add(node.name);
    this.#o.listener({
      type: 'finished',
      node: node.name,
      work,
      duration_ms: Date.now() - started,
      size: contentSize(content),
      digests: content.map(({ digest }) => digest),
      output: node.output ?? null,
    });
  }

  /** Waits for other nodes on behalf of one: when they are not to be had, it is skipped. */
  async #upstream<T>(node: Node, wait: () => Promise<T>): Promise<T> {
    try {
      return await wait();
    } catch (error) {
      throw error instanceof Unavailable || error instanceof WindingDown
        ? this.#skip(node.name, error)
        : this.#fail(node, error);
    }
  }

  /** Does a node's own work: an error in it is the node's failure. */
  async #guard<T>(node: Node, work: () => Promise<T>): Promise<T> {
    try {
      this.#o.signal.throwIfAborted();
      return await work();
    } catch (error) {
      throw error instanceof WindingDown ? this.#skip(node.name, error) : this.#fail(node, error);
    }
  }

  #skip(name: string, reason: unknown): unknown {
    if (reason instanceof Unavailable || reason instanceof WindingDown) {
      const because = reason instanceof Unavailable ? reason.node : 'another failure';
      if (!this.failed.has(name) && !this.skipped.has(name)) {
        this.skipped.set(name, because);
        this.#o.listener({ type: 'skipped', node: name, because });
      }
      return new Unavailable(because);
    }
    return reason;
  }

  #fail(node: Node, error: unknown): Unavailable {
    const at = error instanceof ChainFailure ? error.node : node.name;
    const cause = userError(error instanceof ChainFailure ? error.cause : error, at, this.#workspace);
    const log = error instanceof ChainFailure ? (error.log ?? null) : null;
    if (!this.failed.has(at)) {
      this.failed.set(at, cause);
      const interrupted = this.#o.signal.aborted;
      if (!interrupted) {
        const report = errorReport(cause, log);
        this.#o.listener({ type: 'failed', node: at, error: report });
        this.#recording.push(this.#recordFailure(this.#node(at), report.message));
      }
      if (interrupted || !this.#o.keepGoing) this.#o.pools.close(new WindingDown());
    }
    return at === node.name
      ? new Unavailable(at)
      : (this.#skip(node.name, new Unavailable(at)) as Unavailable);
  }

  async #recordFailure(node: Node, error: string): Promise<void> {
    const { action, key } = await this.#assess(node).catch(() => ({ action: null, key: null }));
    const last = this.#workspace.state.nodes.get(node.name);
    this.#workspace.state.nodes.set(node.name, {
      key: key ?? '',
      action: action ?? last?.action ?? null,
      status: 'failed',
      at: Date.now(),
      durationMs: last?.durationMs ?? 0,
      error,
    });
  }

  #forced(node: Node): boolean {
    const maker = makerOf(node);
    if (!this.#o.force || maker.is !== 'kind' || this.#contents.has(node.name)) return false;
    const { by } = makingOf(maker.kind, node.recipe);
    return by !== 'naming' && by !== 'sharing';
  }

  /** Whether the node streams into its one user and is made with it. */
  #streamsAway(name: string): boolean {
    return this.#o.closure.some((consumer) => this.#o.fusion.joins(name, consumer));
  }

  #node(name: string): Node {
    const node = this.#workspace.graph.nodes.get(name);
    if (!node) throw new Error(`${name} is not in the graph`);
    return node;
  }
}

function memo<T>(map: Map<string, Promise<T>>, name: string, make: () => Promise<T>): Promise<T> {
  let promise = map.get(name);
  if (!promise) {
    promise = make();
    // Whoever awaits it sees the error; a node that nobody awaits any more must not end the process.
    promise.catch(() => undefined);
    map.set(name, promise);
  }
  return promise;
}

/** Waits for all, then gives the values or throws the first error: nothing is left running behind. */
async function settleAll<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const outcomes = await Promise.allSettled(promises);
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}

function streamedNodes(chain: ChainNode): readonly Node[] {
  return chain.inputs.flatMap(({ supply }) =>
    supply.from === 'stream' ? [...streamedNodes(supply.chain), supply.chain.node] : [],
  );
}

type FileSupply = Extract<Supply, { from: 'files' }>;

function chainSupplies(chain: ChainNode): readonly FileSupply[] {
  return chain.inputs.flatMap(({ supply }) =>
    supply.from === 'stream' ? chainSupplies(supply.chain) : [supply],
  );
}

/** `convert qcow2`: the kind and what it is done to. */
function describeWork(node: Node): string {
  const inputs = node.references.filter(({ role }) => role !== 'sums').map((reference) => reference.node);
  return `${node.kind} ${inputs.join(' ')}`;
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

function isText(value: string | undefined): value is string {
  return value !== undefined;
}
