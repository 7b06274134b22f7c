// What the live page shows: the graph with the states of its nodes, and the build that runs, if one does.
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { build } from '../../execute/build.js';
import { errorReport } from '../../execute/errors.js';
import { closure, drawnRoots, selectNodes } from '../../graph/select.js';
import { findBuild } from '../../library/records.js';
import { ResError } from '../../model/error.js';
import type { BuildEvent } from '../../model/event.js';
import type { Graph } from '../../model/graph.js';
import {
  LIVE_LINES,
  type LiveBuildRequest,
  type LiveLine,
  type LiveMessage,
  type LiveRun,
  type LiveState,
  type PageNode,
  type PageState,
} from '../../model/page.js';
import { planAround } from '../../plan/around.js';
import { explain } from '../../plan/explain.js';
import { LastRuns, lastTook, logFile } from '../../plan/record.js';
import { openWorkspace, type Workspace } from '../../plan/workspace.js';
import { resultText } from '../../report/build.js';
import { formatBytes, formatDone, formatDuration } from '../../report/format.js';
import { graphNodes } from '../../report/graph-nodes.js';
import { plainPaint } from '../../report/paint.js';
import { oneLine } from '../../report/text.js';
import { whyText } from '../../report/why.js';
import { buildIds } from '../../store/build-records.js';
import { workspacePaths } from '../../store/paths.js';
import type { Context } from '../context.js';
import { loadContextGraph } from '../load.js';

/** Of a log that is shown. */
const LOG_BYTES = 64 * 1024;
const WHY_COLUMNS = 60;

export class Session {
  readonly #context: Context;
  /** As given on the command line: groups, too. */
  readonly #names: readonly string[];
  readonly #listeners = new Set<(message: LiveMessage) => void>();
  #graph: Graph;
  #nodes: readonly PageNode[] = [];
  #states: Record<string, PageState> = {};
  readonly #runs = new Map<string, LiveRun>();
  #lines: LiveLine[] = [];
  #text = '';
  #count = { done: 0, total: 0 };
  /** Whether some build left a record. */
  #hasReport = false;
  #building: { readonly stop: AbortController; readonly end: Promise<void> } | undefined;

  private constructor(context: Context, names: readonly string[], graph: Graph) {
    this.#context = context;
    this.#names = names;
    this.#graph = graph;
  }

  /** Rejects with ResError for a manifest that cannot be read and nodes that are not in it. */
  static async open(context: Context, names: readonly string[]): Promise<Session> {
    const session = new Session(context, names, await loadContextGraph(context));
    await session.#look(openWorkspace({ graph: session.#graph, env: context.env }));
    session.#hasReport = await session.#leftRecord();
    session.#text = 'nothing was built yet';
    return session;
  }

  get title(): string {
    const { name, file } = this.#graph.manifest;
    return name ?? basename(dirname(file));
  }

  get params(): Readonly<Record<string, string>> {
    return this.#graph.manifest.paramValues;
  }

  /** Nodes that are built when no other is asked for. */
  get requested(): readonly string[] {
    return selectNodes(this.#graph, this.#names);
  }

  /** As they are now, inputs first. */
  get nodes(): readonly PageNode[] {
    return this.#nodes.map((node) => ({ ...node, state: this.#states[node.name] ?? node.state }));
  }

  get live(): LiveState {
    return {
      building: this.#building !== undefined,
      text: this.#text,
      ...this.#count,
      states: this.#states,
      runs: [...this.#runs.values()],
      lines: this.#lines,
      hasReport: this.#hasReport,
    };
  }

  /** @returns to be called when no more is to be heard */
  listen(listener: (message: LiveMessage) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Reads manifest and state again, unless a build runs. Rejects with ResError. */
  async refresh(): Promise<void> {
    if (this.#building) return;
    await this.#look(await this.#reload());
  }

  /** Begins a build. Rejects with ResError where none can be begun, `usage` when one runs. */
  async start({ nodes, force }: LiveBuildRequest): Promise<void> {
    if (this.#building) throw new ResError('usage', 'a build is under way');
    const stop = new AbortController();
    let ended: () => void = () => undefined;
    const end = new Promise<void>((resolve) => {
      ended = resolve;
    });
    // Before anything is waited for: a second request may come in between.
    this.#building = { stop, end };
    let workspace: Workspace;
    let requested: readonly string[];
    try {
      workspace = await this.#reload();
      requested = selectNodes(this.#graph, nodes.length > 0 ? nodes : this.#names);
    } catch (error) {
      this.#building = undefined;
      ended();
      throw error;
    }
    void this.#build(workspace, requested, force, stop.signal).finally(ended);
  }

  /** Stops the build under way, and waits for its end. */
  async stop(): Promise<void> {
    this.#building?.stop.abort(new ResError('interrupted', 'interrupted'));
    await this.#building?.end;
  }

  /** What `res why` says. Rejects with ResError `unknown-node`. */
  async why(name: string): Promise<string> {
    selectNodes(this.#graph, [name]);
    const workspace = openWorkspace({ graph: this.#graph, env: this.#context.env });
    const plan = await planAround(workspace, [name]);
    const runs = new LastRuns(workspace);
    const explanation = explain(plan, this.#graph, name, (node, key) => runs.of(node, key));
    const { path } = this.#context.out.page;
    return whyText(explanation, {
      paint: plainPaint,
      width: WHY_COLUMNS,
      most: Number.POSITIVE_INFINITY,
      path,
    }).join('\n');
  }

  /** The page about the last build that did something. Rejects with ResError `file-not-found` before there was one. */
  async report(): Promise<string> {
    const { buildReport } = await import('../../report/build-report.js');
    return buildReport(await findBuild(this.#builds(), undefined));
  }

  #builds(): string {
    return workspacePaths(this.#graph.manifest.dir, this.#context.env).builds;
  }

  async #leftRecord(): Promise<boolean> {
    return (await buildIds(this.#builds())).length > 0;
  }

  /** The end of what a node's last run printed. Rejects with ResError `unknown-node`. */
  async log(name: string): Promise<string> {
    selectNodes(this.#graph, [name]);
    const path = logFile(openWorkspace({ graph: this.#graph, env: this.#context.env }), name);
    if (!existsSync(path)) return 'It has no log: no program was run for it.';
    const file = await open(path);
    try {
      const { size } = await file.stat();
      const from = Math.max(0, size - LOG_BYTES);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(LOG_BYTES), 0, LOG_BYTES, from);
      const text = buffer.subarray(0, bytesRead).toString('utf8').split('\n').map(oneLine).join('\n');
      return from === 0 ? text : `…\n${text}`;
    } finally {
      await file.close();
    }
  }

  async #build(
    workspace: Workspace,
    requested: readonly string[],
    force: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    this.#runs.clear();
    this.#lines = [];
    this.#count = { done: 0, total: 0 };
    this.#text = `building ${requested.length > 3 ? `${requested.length} nodes` : requested.join(', ')}`;
    this.#tell({ type: 'begun', text: this.#text });
    const { flags } = this.#context;
    try {
      // What became of nodes in the build before is over.
      await this.#look(workspace);
      const result = await build(workspace, requested, {
        ...(flags.jobs === undefined ? {} : { jobs: flags.jobs }),
        keepGoing: flags.keepGoing,
        offline: flags.offline,
        frozen: flags.frozen,
        force,
        signal,
        listener: (event) => this.#take(event),
      });
      this.#text = result.ok ? `done: ${resultText(result)}` : `failed: ${resultText(result)}`;
    } catch (error) {
      const { code, message, hint } = errorReport(error);
      this.#text =
        code === 'interrupted'
          ? 'stopped; what is done stays, and downloads are resumed'
          : `failed: ${firstLine(message)}`;
      if (code !== 'interrupted') {
        this.#line(null, 'error', message);
        if (hint !== null) this.#line(null, 'error', hint);
      }
    }
    this.#runs.clear();
    await this.#afterwards();
    this.#building = undefined;
    this.#hasReport ||= await this.#leftRecord();
    this.#tell({ type: 'ended', text: this.#text, hasReport: this.#hasReport });
  }

  /** What became of nodes stays to be seen; of all others, how they are now. */
  async #afterwards(): Promise<void> {
    const outcomes: PageState[] = ['ran', 'restored', 'failed', 'skipped'];
    const kept = Object.entries(this.#states).filter(([, state]) => outcomes.includes(state));
    try {
      await this.#look(await this.#reload());
    } catch (error) {
      this.#line(null, 'error', errorReport(error).message);
    }
    this.#setStates(Object.fromEntries(kept.filter(([name]) => this.#graph.nodes.has(name))));
  }

  /** The manifest as it is now, which may be another one. */
  async #reload(): Promise<Workspace> {
    const graph = await loadContextGraph(this.#context);
    const nodes = graphNodes(graph, closure(graph, this.#asked(graph)), NOTHING_KNOWN);
    const isOther = shapeOf(this.#graph, this.#nodes) !== shapeOf(graph, nodes);
    this.#graph = graph;
    if (isOther) {
      // At once: a page that comes before the states are known again is to have these nodes.
      this.#nodes = nodes;
      this.#states = {};
      this.#tell({ type: 'reload' });
    }
    return openWorkspace({ graph, env: this.#context.env });
  }

  /** What is drawn. Throws ResError `unknown-node`. */
  #asked(graph: Graph): readonly string[] {
    return drawnRoots(graph, this.#names);
  }

  async #look(workspace: Workspace): Promise<void> {
    const asked = this.#asked(this.#graph);
    const plan = await planAround(workspace, asked);
    const runs = new LastRuns(workspace);
    this.#nodes = graphNodes(this.#graph, closure(this.#graph, asked), {
      planOf: (name) => plan.nodes.get(name),
      msOf: (name) => lastTook(runs.of(name, plan.nodes.get(name)?.key ?? null)),
    });
    this.#setStates(
      Object.fromEntries(this.#nodes.flatMap(({ name, state }) => (state === null ? [] : [[name, state]]))),
    );
  }

  #take(event: BuildEvent): void {
    switch (event.type) {
      case 'waiting':
        this.#line(null, 'info', `waiting for ${event.for}`);
        break;
      case 'resolving':
        this.#line(null, 'info', `asking for ${event.source}`);
        break;
      case 'planned':
        this.#count = { done: 0, total: event.run + event.restore };
        this.#tell({ type: 'count', ...this.#count });
        break;
      case 'started': {
        const { node, detail, work, through } = event;
        this.#setStates(Object.fromEntries([...through, node].map((name) => [name, 'running'])));
        this.#run({ node, detail: work === 'execute' ? detail : `${work} ${detail}`, share: null, text: '' });
        this.#running.set(node, through);
        break;
      }
      case 'progress': {
        const { node, done, total, unit } = event;
        const run = this.#runs.get(node);
        if (!run) break;
        const text = unit === 'percent' ? `${Math.round(done)} %` : formatDone(done, total);
        this.#run({ ...run, share: total === null || total === 0 ? null : Math.min(1, done / total), text });
        break;
      }
      case 'finished': {
        const { node, work, size, duration_ms } = event;
        this.#endRun(node, work === 'restore' ? 'restored' : 'ran');
        this.#line(
          node,
          'info',
          `${work === 'restore' ? 'restored' : work === 'download' ? 'downloaded' : 'made'} ${formatBytes(size)} in ${formatDuration(duration_ms)}`,
        );
        break;
      }
      case 'failed':
        this.#endRun(event.node, 'failed');
        this.#line(event.node, 'error', event.error.message);
        if (event.error.hint !== null) this.#line(event.node, 'error', event.error.hint);
        break;
      case 'skipped':
        this.#setStates({ [event.node]: 'skipped' });
        break;
      case 'notice':
        this.#line(event.node, 'info', event.message);
        break;
      case 'output':
        this.#line(event.node, 'output', event.text);
        break;
      case 'warning':
        this.#line(null, 'warning', event.message);
        break;
      default:
    }
  }

  /** What streams through each node that runs. */
  readonly #running = new Map<string, readonly string[]>();

  #run(run: LiveRun): void {
    this.#runs.set(run.node, run);
    this.#tell({ type: 'run', run });
  }

  #endRun(node: string, state: PageState): void {
    const through = this.#running.get(node) ?? [];
    this.#running.delete(node);
    this.#runs.delete(node);
    this.#setStates(
      Object.fromEntries(
        [...through, node].map((name) => [name, name === node || state !== 'failed' ? state : 'skipped']),
      ),
    );
    this.#count = { ...this.#count, done: this.#count.done + 1 + through.length };
    this.#tell({ type: 'run-ended', node });
    this.#tell({ type: 'count', ...this.#count });
  }

  #setStates(states: Readonly<Record<string, PageState>>): void {
    this.#states = { ...this.#states, ...states };
    this.#tell({ type: 'states', states });
  }

  #line(node: string | null, kind: LiveLine['kind'], text: string): void {
    for (const each of text.split('\n')) {
      const line = { node, kind, text: oneLine(each) };
      this.#lines.push(line);
      this.#tell({ type: 'line', line });
    }
    if (this.#lines.length > LIVE_LINES) this.#lines = this.#lines.slice(-LIVE_LINES);
  }

  #tell(message: LiveMessage): void {
    for (const listener of this.#listeners) listener(message);
  }
}

const NOTHING_KNOWN = { planOf: () => undefined, msOf: () => null };

/** What a page that is shown depends on. */
function shapeOf(graph: Graph, nodes: readonly PageNode[]): string {
  const { name, paramValues } = graph.manifest;
  return JSON.stringify([
    name,
    paramValues,
    nodes.map(({ name, kind, inputs }) => [name, kind, inputs]),
    nodes.map((node) => graph.nodes.get(node.name)?.recipe),
  ]);
}

function firstLine(text: string): string {
  return oneLine(text.split('\n', 1)[0] ?? '');
}
