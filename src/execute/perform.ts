// A build with work to do: lock, resolve, plan, check that nothing of the user's would be lost and that there is room,
// then execute.

import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { closure } from '../graph/select.js';
import { ResError } from '../model/error.js';
import type { BuildResult, EventListener } from '../model/event.js';
import { countSteps, type Step } from '../model/plan.js';
import type { PlannedBuild } from '../model/report.js';
import { holdsContent } from '../plan/places.js';
import { type DetailedPlan, planBasis, planNodes } from '../plan/plan.js';
import { makingBy } from '../plan/registry.js';
import { register } from '../plan/roots.js';
import { type InOrder, keepSettled } from '../plan/settled.js';
import { refreshWorkspace, type Workspace } from '../plan/workspace.js';
import { createFetcher, type Fetcher } from '../sources/fetch.js';
import type { BuildOptions } from './api.js';
import { acceptAsIs } from './as-is.js';
import { BuildRecorder } from './build-recorder.js';
import { errorReport } from './errors.js';
import { Execution } from './execution.js';
import { weigh } from './glimpse.js';
import { inTurn } from './in-turn.js';
import { checkStanding } from './leaning.js';
import { lockWorkspace } from './lock-workspace.js';
import { checkFolder, checkNotBusy, occupiedError, removeTemporaries } from './outputs.js';
import { Pools, poolLimits } from './pools.js';
import { criticalPaths } from './priority.js';
import { adoptOutputs } from './recognised.js';
import {
  isLocal,
  offlineError,
  type ResolveFailure,
  remoteNodes,
  resolveMissing,
  saveLock,
} from './resolve.js';
import { buildResult } from './result.js';
import { checkSandbox } from './sandbox.js';
import { checkSpace, estimateSpace } from './space.js';
import { dropWritten } from './written-objects.js';

const silent: EventListener = () => undefined;

/** What was found before the work began, without the workspace's lock. */
export interface Front {
  /** ms since 1970 */
  readonly started: number;
  /** A plan, and what it follows from: it is used where that is still so under the lock. */
  readonly early: { readonly plan: DetailedPlan; readonly basis: string | undefined } | undefined;
}

/** Does the work of `build`, alone in the workspace: a second build waits. */
export async function perform(
  workspace: Workspace,
  requested: readonly string[],
  options: BuildOptions,
  { started, early }: Front,
): Promise<BuildResult> {
  const recorder = new BuildRecorder(workspace, requested, options, started, options.listener ?? silent);
  const { listener } = recorder;
  const signal = options.signal ?? new AbortController().signal;
  let waited = false;
  const unlock = await lockWorkspace(workspace, {
    describe: `res build ${requested.join(' ')}`,
    onWait: (holder) => {
      waited = true;
      listener({ type: 'waiting', for: holder });
    },
    signal,
  });
  const network = new LazyFetcher(workspace, listener);
  try {
    await workspace.shared?.join(`res build ${requested.join(' ')}`);
    refreshWorkspace(workspace);
    await removeTemporaries(workspace);
    // Whatever was looked at may be another one by now.
    const still = waited ? undefined : early;
    const locked = { options, listener, signal, network, started, early: still, recorder };
    const result = await buildLocked(workspace, requested, locked).catch(async (error: unknown) => {
      await recorder.end({ error });
      throw error;
    });
    await removeTemporaries(workspace);
    return result;
  } finally {
    await inTurn([() => network.close(), unlock]);
  }
}

interface Locked extends Front {
  readonly options: BuildOptions;
  readonly listener: EventListener;
  readonly signal: AbortSignal;
  readonly network: LazyFetcher;
  readonly recorder: BuildRecorder;
}

async function buildLocked(
  workspace: Workspace,
  requested: readonly string[],
  locked: Locked,
): Promise<BuildResult> {
  const { options, listener, signal, network, started, early, recorder } = locked;
  const names = closure(workspace.graph, requested);
  const failures = await resolveMissing(workspace, names, () => network.fetcher, {
    offline: options.offline ?? false,
    frozen: options.frozen ?? false,
    signal,
    listener,
  });
  if (signal.aborted) throw interrupted();
  throwTogether(failures);
  await saveLock(workspace);
  if (options.asIs) await acceptAsIs(workspace, requested, listener);
  const force = options.force ?? false;
  const isStill = early?.basis !== undefined && planBasis(workspace) === early.basis;
  const plan = isStill
    ? early.plan
    : await planNodes(workspace, requested, { force, quick: true, brief: true });
  recorder.planned(plan);
  await dropWritten(workspace, plan);
  await register(workspace);
  await checkBefore(workspace, plan, options);
  adoptOutputs(workspace, plan);
  const weighed = await weigh(workspace, plan, {
    fetcher: () => network.fetcher,
    offline: options.offline ?? false,
    signal,
  });
  checkSpace(await estimateSpace(workspace, weighed), listener);
  announce(listener, plan);
  const jobs = options.jobs ?? availableParallelism();
  const planned = plan.steps.flatMap(({ node, through }) => [...through, node]);
  const pools = new Pools(poolLimits(jobs, workspace.graph.manifest.pools));
  recorder.runsIn(pools);
  const execution = new Execution({
    workspace,
    closure: names,
    requested: new Set(requested),
    outdated: plan.steps.filter((step) => isMove(workspace, step)).map(({ node }) => node),
    planned,
    fusion: plan.fusion,
    // Where all is to be made anew, what is known of it does not count.
    assessed: (name) => (force ? undefined : plan.assessed(name)),
    isFresh: (name) => !force && plan.nodes.get(name)?.state === 'fresh',
    pools,
    priority: criticalPaths(workspace, planned),
    fetcher: () => network.fetcher,
    listener,
    signal,
    force,
    offline: options.offline ?? false,
    overwrite: options.overwrite ?? false,
    keepGoing: options.keepGoing ?? false,
    expectedBytes: (name) => weighed.weights.get(name)?.bytes ?? null,
  });
  const ledger = await execution
    .run()
    .finally(() =>
      inTurn([
        () => saveLock(workspace),
        () => workspace.cache.settle(),
        () => workspace.state.flush(),
        () => register(workspace),
      ]),
    );
  recorder.downloaded(ledger.downloads);
  if (signal.aborted) throw interrupted();
  const result = buildResult(names, ledger, started);
  if (result.ok && !force) await keepOrder(workspace, names, plan, execution);
  await recorder.end({ result });
  return finish(listener, result);
}

/** Whether all that a step does is to bring what is known to its place. */
function isMove({ graph }: Workspace, { node: name, work }: Step): boolean {
  const node = graph.nodes.get(name);
  return work === 'restore' || (node !== undefined && makingBy(node) === 'sharing');
}

/** What is in order now need not be looked into by the next plan. */
async function keepOrder(
  workspace: Workspace,
  names: readonly string[],
  plan: DetailedPlan,
  execution: Execution,
): Promise<void> {
  const vouches = (name: string) => plan.settled?.vouches(name) === true && !execution.hasTouched(name);
  const found = new Map<string, InOrder>();
  for (const name of names) {
    if (vouches(name)) continue;
    const { key, content } = await execution.outcomeOf(name);
    if (key !== null && content) found.set(name, { key, content });
  }
  const former = plan.settled && { settled: plan.settled.settled, vouches };
  keepSettled(workspace, names, (name) => found.get(name), former);
}

/** A plan is still of use when the network is not there; a release that does not exist is an error all the same. */
function isOutOfReach(error: unknown): boolean {
  return (
    error instanceof ResError && ['network', 'offline', 'rate-limited', 'http-status'].includes(error.code)
  );
}

async function checkBefore(workspace: Workspace, plan: DetailedPlan, options: BuildOptions): Promise<void> {
  const touched = new Set([...plan.steps.map(({ node }) => node), ...plan.requested]);
  const occupied = [...touched]
    .flatMap((name) => plan.placements.get(name) ?? [])
    .filter(({ occupant }) => occupant.is === 'changed' || occupant.is === 'foreign');
  if (occupied.length > 0 && !options.overwrite) throw occupiedError(workspace, occupied);
  await checkStanding(workspace, plan, options.overwrite ? touched : new Set());
  if (plan.steps.some((step) => runsProgram(workspace, step))) await checkSandbox(workspace.env);
  for (const name of touched)
    for (const { path, item, occupant } of plan.placements.get(name) ?? [])
      if (occupant.is !== 'absent' && !holdsContent(item, occupant)) checkNotBusy(workspace, path);
  const folders = new Map(
    plan.steps.flatMap(({ node }) =>
      (plan.placements.get(node) ?? []).map(({ path }) => [dirname(path), path] as const),
    ),
  );
  for (const path of folders.values()) await checkFolder(path);
  if (options.offline) {
    const absent = plan.steps.find(({ node, work }) => work === 'download' && !isLocal(workspace, node));
    if (absent) {
      const [remote] = remoteNodes(workspace, [absent.node]);
      throw offlineError(absent.node, remote?.identity ?? 'its content');
    }
  }
}

function runsProgram({ graph }: Workspace, { node: name, work }: Step): boolean {
  const node = graph.nodes.get(name);
  return work === 'execute' && node !== undefined && makingBy(node) === 'running';
}

function announce(listener: EventListener, plan: DetailedPlan): void {
  const download = plan.steps.map(({ downloadBytes }) => downloadBytes);
  listener({
    type: 'planned',
    ...countSteps(plan),
    download_bytes: download.reduce<number | null>(
      (sum, bytes) => (sum === null || bytes === null ? null : sum + bytes),
      0,
    ),
  });
}

function finish(listener: EventListener, result: BuildResult): BuildResult {
  listener({ type: 'summary', ...result });
  return result;
}

function interrupted(): ResError {
  return new ResError('interrupted', 'interrupted; partial downloads are kept and will be resumed');
}

/** One failure as it is; several as one error that holds them all. */
function throwTogether(failures: readonly ResolveFailure[]): void {
  const [first] = failures;
  if (!first) return;
  const bug = failures.find(({ error }) => !(error instanceof ResError));
  if (bug) throw bug.error;
  const errors = failures.map(({ error }) => error).filter((error) => error instanceof ResError);
  const distinct = errors.filter(
    (error, i) => errors.findIndex(({ message }) => message === error.message) === i,
  );
  const [only] = distinct;
  if (distinct.length === 1 && only) throw only;
  throw new ResError(distinct[0]?.code ?? 'network', distinct.map(({ message }) => message).join('\n'), {
    hint: [...new Set(distinct.flatMap(({ hint }) => hint ?? []))].join('\n'),
    diagnostics: distinct.flatMap(({ diagnostics }) => diagnostics),
  });
}

/** The network, opened when it is first needed. */
class LazyFetcher {
  readonly #workspace: Workspace;
  readonly #listener: EventListener;
  #fetcher: Fetcher | undefined;

  constructor(workspace: Workspace, listener: EventListener) {
    this.#workspace = workspace;
    this.#listener = listener;
  }

  get fetcher(): Fetcher {
    this.#fetcher ??= createFetcher({
      env: this.#workspace.env,
      mirrors: this.#workspace.graph.manifest.mirrors,
      onNotice: (message) => this.#listener({ type: 'warning', message, hint: null }),
    });
    return this.#fetcher;
  }

  async close(): Promise<void> {
    await this.#fetcher?.close();
  }
}

/** What a build would do. Sources are asked, in memory; nothing is written. */
export async function preview(
  workspace: Workspace,
  requested: readonly string[],
  options: BuildOptions,
): Promise<PlannedBuild> {
  const listener = options.listener ?? silent;
  const network = new LazyFetcher(workspace, listener);
  try {
    const failures = await resolveMissing(
      workspace,
      closure(workspace.graph, requested),
      () => network.fetcher,
      {
        offline: options.offline ?? false,
        frozen: options.frozen ?? false,
        signal: options.signal ?? new AbortController().signal,
        listener,
      },
    );
    const final = failures.filter(({ error }) => !isOutOfReach(error));
    throwTogether(final);
    const planned = await planNodes(workspace, requested, { force: options.force ?? false, quick: true });
    const weighed = await weigh(workspace, planned, {
      fetcher: () => network.fetcher,
      offline: options.offline ?? false,
      signal: options.signal ?? new AbortController().signal,
    });
    const unresolved = failures.map(({ node, error }) => ({ node, message: errorReport(error).message }));
    return { plan: weighed.plan, space: await estimateSpace(workspace, weighed), unresolved };
  } finally {
    await network.close();
  }
}
