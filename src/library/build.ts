// A build as a program follows it: its events one by one, and its result.
import type { BuildOptions as EngineOptions } from '../execute/api.js';
import { build as perform, planBuild } from '../execute/build.js';
import { selectNodes } from '../graph/select.js';
import { variantWarnings } from '../graph/variants.js';
import { ResError } from '../model/error.js';
import type { BuildEvent, BuildResult } from '../model/event.js';
import type { PlannedBuild } from '../model/report.js';
import { EventQueue } from './event-queue.js';
import { interruptible } from './interruptible.js';
import { engineOf, type Workspace } from './workspace.js';

export interface BuildOptions extends Omit<EngineOptions, 'listener'> {
  /** Refuse variants that do not work with this simulator: ResError `variant-unsupported`. */
  readonly for?: 'qemu' | 'gem5';
}

/** A build under way, from the moment that `build` was called. */
export interface BuildRun extends AsyncIterable<BuildEvent> {
  /**
   * Nodes that failed are in it. Rejects with ResError for what stops a build as a whole: an output that was changed by hand, no
   * room, an interruption.
   */
  readonly result: Promise<BuildResult>;
  /**
   * All that happens, from the beginning, to one reader; whoever wants the result only need not read. The loop ends with the build,
   * throws what `result` rejects with, and when it is left early, the build is interrupted and has ended when the loop is left.
   *
   * The build does not wait for the reader. What happens meanwhile is kept for it, but for this: of the `progress` of a node only the
   * newest, and of lines of `output` the newest 1000, with a `notice` for each node that says how many older ones are in its log only.
   */
  [Symbol.asyncIterator](): AsyncIterator<BuildEvent>;
}

/**
 * Brings nodes up to date, and what they are made of. A second build of the same workspace, also by another process, waits.
 *
 * @param nodes as on the command line: the default ones where none is named; groups stand for their members
 */
export function build(
  workspace: Workspace,
  nodes: readonly string[] = [],
  { signal, for: simulator, ...options }: BuildOptions = {},
): BuildRun {
  const left = new AbortController();
  const events = new EventQueue();
  const result = interruptible([signal, left.signal], async (signal) => {
    const engine = engineOf(workspace);
    const requested = selectNodes(workspace.graph, nodes);
    for (const message of engine.state.damage) events.push({ type: 'warning', message, hint: null });
    for (const warning of variantWarnings(workspace.graph, requested, simulator)) events.push(warning);
    return perform(engine, requested, { ...options, signal, listener: (event) => events.push(event) });
  }).finally(() => events.end());
  return { result, [Symbol.asyncIterator]: () => follow(events, result, left) };
}

async function* follow(
  events: EventQueue,
  result: Promise<BuildResult>,
  left: AbortController,
): AsyncGenerator<BuildEvent, void, undefined> {
  // The loop throws it: nobody else need wait for it.
  result.catch(() => undefined);
  let ended = false;
  try {
    yield* events;
    ended = true;
    await result;
  } finally {
    if (!ended) {
      left.abort();
      await result.catch((error: unknown) => {
        if (!(error instanceof ResError) || error.code !== 'interrupted') throw error;
      });
    }
  }
}

/**
 * What a build would do, in order, why, and what it would download and write. Sources that are not in the lock are asked; nothing is
 * written. Rejects with ResError.
 */
export function plan(
  workspace: Workspace,
  nodes: readonly string[] = [],
  options: Pick<BuildOptions, 'force' | 'offline' | 'frozen' | 'for' | 'signal'> = {},
): Promise<PlannedBuild> {
  const { signal, for: simulator, ...rest } = options;
  return interruptible([signal], async (signal) => {
    const requested = selectNodes(workspace.graph, nodes);
    variantWarnings(workspace.graph, requested, simulator);
    return planBuild(engineOf(workspace), requested, { ...rest, signal });
  });
}
