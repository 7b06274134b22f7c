// Notes down what a build does, from its events and its plan, for the record that it leaves.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { basename, isAbsolute, join, relative } from 'node:path';
import {
  type BuildRecord,
  RECORD_VERSION,
  type RecordedBytes,
  type RecordedError,
  type RecordedNode,
  type RecordedOutcome,
  type RecordedPool,
  type RecordedRun,
} from '../model/build-record.js';
import { type Content, contentSize } from '../model/content.js';
import { ResError } from '../model/error.js';
import type { BuildEvent, BuildResult, ErrorReport, EventListener } from '../model/event.js';
import type { Node } from '../model/node.js';
import type { Plan } from '../model/plan.js';
import { artifactContent } from '../plan/assess.js';
import { lastTook } from '../plan/record.js';
import { makerOf, makingBy } from '../plan/registry.js';
import type { Workspace } from '../plan/workspace.js';
import { redactRecipe } from '../sources/redact.js';
import { lastBuild, newBuildId, pruneBuilds, writeBuild } from '../store/build-records.js';
import { fileSystemName } from '../store/file-system-name.js';
import { ioError } from '../store/files.js';
import { gitHead } from '../store/git-head.js';
import { version } from '../store/package.js';
import type { BuildOptions } from './api.js';
import { changesSince } from './build-changes.js';
import { errorReport } from './errors.js';
import { type Pools, poolLimits } from './pools.js';

/** A build in trouble may say a lot. */
const MOST_NOTICES = 200;
/** Of more nodes than these a record holds only what is worth telling: it costs what the build did, not what the graph has. */
const MOST_NODES = 1000;
const NO_BYTES: RecordedBytes = { downloaded: 0, read: 0, written: 0 };

interface Running {
  readonly started: Extract<BuildEvent, { type: 'started' }>;
  readonly at: number;
}

export class BuildRecorder {
  readonly #workspace: Workspace;
  readonly #requested: readonly string[];
  readonly #options: BuildOptions;
  /** ms since 1970 */
  readonly #started: number;
  readonly #listener: EventListener;
  readonly #running = new Map<string, Running>();
  readonly #runs = new Map<string, RecordedRun[]>();
  readonly #outcomes = new Map<string, RecordedOutcome>();
  readonly #errors = new Map<string, RecordedError>();
  readonly #notices: BuildRecord['notices'][number][] = [];
  #plan: Plan | undefined;
  #downloads: ReadonlyMap<string, number> = new Map();
  #pools: Pools | undefined;

  /** @param started ms since 1970 */
  constructor(
    workspace: Workspace,
    requested: readonly string[],
    options: BuildOptions,
    started: number,
    listener: EventListener,
  ) {
    this.#workspace = workspace;
    this.#requested = requested;
    this.#options = options;
    this.#started = started;
    this.#listener = listener;
  }

  /** In place of the build's own listener, which it passes everything on to. */
  readonly listener: EventListener = (event) => {
    this.#note(event);
    this.#listener(event);
  };

  planned(plan: Plan): void {
    this.#plan = plan;
  }

  runsIn(pools: Pools): void {
    this.#pools = pools;
  }

  /** @param downloads bytes over the network, by node */
  downloaded(downloads: ReadonlyMap<string, number>): void {
    this.#downloads = downloads;
  }

  /**
   * Writes the record; none of a build that found nothing to do. That it cannot be written is a warning: what was asked
   * for is done all the same.
   */
  async end(end: { readonly result: BuildResult } | { readonly error: unknown }): Promise<void> {
    if ('result' in end && end.result.ok && this.#runs.size === 0) return;
    const { builds } = this.#workspace.paths;
    try {
      await pruneBuilds(builds, await writeBuild(builds, await this.#record(end)));
    } catch (error) {
      const { message, hint = null } = ioError(error, 'cannot write the record of this build into', builds);
      this.#listener({ type: 'warning', message, hint });
    }
  }

  #note(event: BuildEvent): void {
    switch (event.type) {
      case 'started':
        this.#running.set(event.node, { started: event, at: Date.now() });
        break;
      case 'finished':
        this.#outcomes.set(event.node, event.work === 'restore' ? 'restored' : 'ran');
        // Of what streamed into it no event tells.
        for (const name of this.#running.get(event.node)?.started.through ?? [])
          this.#outcomes.set(name, 'ran');
        this.#endRun(event.node, event.placing_ms);
        break;
      case 'failed':
        this.#outcomes.set(event.node, 'failed');
        this.#errors.set(event.node, shortError(event.error));
        this.#endRun(event.node);
        break;
      case 'skipped':
        this.#outcomes.set(event.node, 'skipped');
        break;
      case 'notice':
        this.#notice(event.node, event.message);
        break;
      case 'warning':
        this.#notice(null, event.message);
        break;
      default:
    }
  }

  #notice(node: string | null, message: string): void {
    if (this.#notices.length < MOST_NOTICES)
      this.#notices.push({ at_ms: Date.now() - this.#started, node, message });
  }

  #endRun(name: string, placing_ms?: number): void {
    const running = this.#running.get(name);
    if (!running) return;
    this.#running.delete(name);
    const { work, detail, through, waited_ms } = running.started;
    const run: RecordedRun = {
      work,
      detail,
      pool: this.#poolOf(name, work),
      start_ms: running.at - this.#started,
      end_ms: Date.now() - this.#started,
      through,
      ...(waited_ms === undefined ? {} : { waited_ms }),
      ...(placing_ms === undefined ? {} : { placing_ms }),
    };
    const runs = this.#runs.get(name);
    if (runs) runs.push(run);
    else this.#runs.set(name, [run]);
  }

  #poolOf(name: string, work: RecordedRun['work']): RecordedPool | null {
    if (work === 'download') return 'network';
    const node = this.#workspace.graph.nodes.get(name);
    if (!node || work === 'restore') return null;
    const maker = makerOf(node);
    if (maker.is === 'source') return 'disk';
    return makingBy(node) === 'sharing' ? null : maker.kind.pool;
  }

  async #record(end: { readonly result: BuildResult } | { readonly error: unknown }): Promise<BuildRecord> {
    const { graph, paths, lockFile } = this.#workspace;
    const { manifest } = graph;
    const duration_ms = Date.now() - this.#started;
    for (const name of [...this.#running.keys()]) {
      this.#endRun(name);
      // What streamed into a node that failed, and under whose name it was told, ended with it.
      if (!this.#outcomes.has(name)) this.#outcomes.set(name, 'error' in end ? 'unfinished' : 'skipped');
    }
    const [[, sha256] = [], ...includes] = manifest.files;
    const [nodes, previous, commit, fileSystem, lockSha256] = await Promise.all([
      this.#nodes(end),
      lastBuild(paths.builds),
      gitHead(manifest.dir),
      fileSystemName(manifest.dir),
      sha256Of(lockFile),
    ]);
    const options = this.#asked();
    const leftOut = (this.#plan?.nodes.size ?? 0) - nodes.length;
    const idle = nodes.filter(({ runs }) => runs.length === 0);
    const failed = 'error' in end ? end.error : undefined;
    const record: Omit<BuildRecord, 'changes'> = {
      version: RECORD_VERSION,
      id: newBuildId(this.#started),
      started: new Date(this.#started).toISOString(),
      duration_ms,
      outcome:
        'result' in end
          ? end.result.ok
            ? 'done'
            : 'failed'
          : failed instanceof ResError && failed.code === 'interrupted'
            ? 'interrupted'
            : 'failed',
      error: 'error' in end ? shortError(errorReport(end.error)) : null,
      requested: this.#requested,
      options,
      manifest: {
        name: manifest.name ?? null,
        file: basename(manifest.file),
        sha256: sha256 ?? null,
        includes: Object.fromEntries(includes.map(([file, sum]) => [relative(manifest.dir, file), sum])),
        lock_sha256: lockSha256,
        params: manifest.paramValues,
        commit,
      },
      environment: {
        res: version(),
        node: process.version,
        platform: process.platform,
        arch: process.arch,
        release: release(),
        cpus: availableParallelism(),
        cpu: cpus()[0]?.model.trim() ?? '',
        memory_bytes: totalmem(),
        file_system: fileSystem,
        tools: Object.assign({}, ...nodes.map(({ tools }) => tools)),
      },
      pools: poolLimits(options.jobs, manifest.pools),
      ...(this.#pools ? { pool_use: usedPools(this.#pools) } : {}),
      nodes,
      left_out: leftOut,
      notices: this.#notices,
      bytes: nodes.reduce(
        (sum, { bytes }) => ({
          downloaded: sum.downloaded + bytes.downloaded,
          read: sum.read + bytes.read,
          written: sum.written + bytes.written,
        }),
        NO_BYTES,
      ),
      cache: {
        fresh: leftOut + nodes.filter(({ outcome }) => outcome === 'fresh').length,
        restored: nodes.filter(({ outcome }) => outcome === 'restored').length,
        ran: nodes.filter(({ outcome }) => outcome === 'ran').length,
        saved_ms: nodes
          .filter(({ outcome }) => outcome === 'fresh' || outcome === 'restored')
          .reduce((sum, { last_ms }) => sum + (last_ms ?? 0), 0),
        saved_download_bytes: idle
          .filter(({ source }) => source !== null)
          .reduce((sum, { content }) => sum + sizeOf(content), 0),
      },
    };
    return { ...record, changes: previous ? changesSince(previous, record, new Set(graph.order)) : null };
  }

  #asked(): BuildRecord['options'] {
    const { jobs, keepGoing, force, offline, frozen, overwrite, asIs } = this.#options;
    return {
      jobs: jobs ?? availableParallelism(),
      keep_going: keepGoing ?? false,
      force: force ?? false,
      offline: offline ?? false,
      frozen: frozen ?? false,
      overwrite: overwrite ?? false,
      as_is: asIs ?? false,
    };
  }

  async #nodes(end: { readonly result: BuildResult } | { readonly error: unknown }): Promise<RecordedNode[]> {
    const plan = this.#plan;
    if (!plan) return [];
    const { graph } = this.#workspace;
    const touched = new Set(plan.steps.flatMap(({ node, through }) => [...through, node]));
    const told = this.#told(plan, touched);
    const contents = new Map<string, Content | null>();
    const nodes: RecordedNode[] = [];
    for (const [name, planned] of plan.nodes) {
      const node = graph.nodes.get(name);
      if (!node || told?.has(name) === false) continue;
      const ended = this.#outcomes.get(name);
      const outcome = ended ?? ('error' in end && touched.has(name) ? 'waiting' : 'fresh');
      const content =
        ended === undefined || ended === 'restored' ? planned.content : await this.#made(node, contents);
      contents.set(name, content);
      const last = this.#workspace.state.nodes.get(name);
      const made = last?.status === 'done' ? last : planned;
      const runs = this.#runs.get(name) ?? [];
      nodes.push({
        name,
        section: node.section,
        kind: node.kind,
        description: node.description ?? null,
        recipe: redactRecipe(node.recipe),
        verify: node.verify === undefined ? null : { ...node.verify },
        inputs: node.references,
        output: node.output === undefined ? null : this.#place(node.output),
        ...(node.outputs
          ? {
              outputs: Object.fromEntries(
                node.outputs.map(({ name: item, path }) => [item, this.#place(path)]),
              ),
            }
          : {}),
        state: planned.state,
        reasons: planned.reasons.map(({ code, detail }) => ({ code, detail })),
        outcome,
        key: made.key,
        tools: made.action?.tools ?? {},
        content: content?.map(({ name: item, digest, size }) => ({ name: item, digest, size })) ?? null,
        source: this.#sourceOf(node),
        runs,
        bytes: {
          downloaded: this.#downloads.get(name) ?? 0,
          read: outcome === 'ran' ? this.#readBy(node, runs, contents) : 0,
          written: outcome === 'ran' ? this.#writtenFor(node, runs, content) : 0,
        },
        last_ms: node.kind === 'group' ? null : lastTook(last),
        error: this.#errors.get(name) ?? null,
      });
    }
    return nodes;
  }

  /** The nodes that are told of; undefined: all. */
  #told(plan: Plan, touched: ReadonlySet<string>): ReadonlySet<string> | undefined {
    if (plan.nodes.size <= MOST_NODES) return undefined;
    const told = new Set([...touched, ...this.#outcomes.keys()]);
    for (const name of [...told])
      for (const { node } of this.#workspace.graph.nodes.get(name)?.references ?? []) told.add(node);
    return told;
  }

  /** What a node has now that it was made. */
  async #made(node: Node, contents: ReadonlyMap<string, Content | null>): Promise<Content | null> {
    const { state } = this.#workspace;
    const maker = makerOf(node);
    if (maker.is === 'source') return artifactContent(this.#workspace, node, maker.source);
    const last = state.nodes.get(node.name);
    if (last?.status !== 'done') return null;
    const shared = makingBy(node) === 'sharing' ? node.references[0]?.node : undefined;
    return state.traces.get(last.key)?.content ?? contents.get(shared ?? '') ?? null;
  }

  /** Of a run, the inputs of all nodes that were made in it, but for what streamed from one to the other. */
  #readBy(node: Node, runs: readonly RecordedRun[], contents: ReadonlyMap<string, Content | null>): number {
    const run = runs.find(({ work }) => work === 'execute');
    if (!run || node.section === 'artifact') return 0;
    const inside = new Set([...run.through, node.name]);
    let bytes = 0;
    for (const name of inside)
      for (const { node: input } of this.#workspace.graph.nodes.get(name)?.references ?? [])
        if (!inside.has(input)) bytes += contentSize(contents.get(input) ?? []);
    return bytes;
  }

  #writtenFor(node: Node, runs: readonly RecordedRun[], content: Content | null): number {
    // What streamed through another node's run has none of its own.
    if (runs.length === 0) return 0;
    if (runs.every(({ work }) => work === 'download')) return this.#downloads.get(node.name) ?? 0;
    const last = this.#workspace.state.nodes.get(node.name);
    const onDisk = last && this.#workspace.state.traces.get(last.key)?.diskBytes;
    return node.section === 'artifact' ? 0 : (onDisk ?? contentSize(content ?? []));
  }

  /** @param output relative to the folder of outputs */
  #place(output: string): string {
    const { outputDir, dir } = this.#workspace.graph.manifest;
    const path = join(outputDir, output);
    const short = relative(dir, path);
    return short.startsWith('..') || isAbsolute(short) ? path : short;
  }

  #sourceOf(node: Node): RecordedNode['source'] {
    const maker = makerOf(node);
    if (maker.is !== 'source' || maker.source.place !== 'remote') return null;
    const id = maker.source.identity(node.recipe);
    const entry = this.#workspace.lock.get(id);
    return {
      id,
      tag: entry?.tag ?? null,
      commit: entry?.commit ?? null,
      urls: entry?.files.map(({ url }) => url) ?? [],
    };
  }
}

function shortError({ code, message, hint, command }: ErrorReport): RecordedError {
  return { code, message, hint, ...(command ? { tail: command.tail } : {}) };
}

function usedPools(pools: Pools): NonNullable<BuildRecord['pool_use']> {
  const uses = [...pools.use()].map(([pool, { pieces, busyMs, waitedMs }]) => [
    pool,
    { pieces, busy_ms: Math.round(busyMs), waited_ms: Math.round(waitedMs) },
  ]);
  return Object.fromEntries(uses);
}

function sizeOf(content: RecordedNode['content']): number {
  return (content ?? []).reduce((sum, { size }) => sum + size, 0);
}

/** Null for what cannot be read. */
async function sha256Of(path: string): Promise<string | null> {
  const content = await readFile(path).catch(() => undefined);
  return content === undefined ? null : createHash('sha256').update(content).digest('hex');
}
