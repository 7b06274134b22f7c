// `res watch`: a build, and another one whenever the content of the manifest or of a `path` file has changed.

import { errorReport } from '../../execute/errors.js';
import { ResError } from '../../model/error.js';
import type { BuildEvent, Change } from '../../model/event.js';
import { keepFindings, openWorkspace, type Workspace } from '../../plan/workspace.js';
import { resultText } from '../../report/build.js';
import { forgetAfterwards } from '../afterwards.js';
import type { Context } from '../context.js';
import { eventLines } from '../faces/words.js';
import { loadContextGraph, manifestFile, select } from '../load.js';
import { reportError } from '../trouble.js';
import {
  changesBetween,
  type Inputs,
  joinInputs,
  manifestInputs,
  type Snapshot,
  takeSnapshot,
  workspaceInputs,
} from '../watch/inputs.js';
import { rootsOf, Watcher } from '../watch/watcher.js';
import { buildNodes } from './build.js';

const INTERRUPTED = 130;
/** What is wrong with the words of the command, which no change of a file mends. */
const USAGE: ReadonlySet<string> = new Set([
  'unknown-node',
  'unknown-param',
  'param-value',
  'usage',
  'variant-unsupported',
]);

/** One round: what is to be built, and what it is made of. */
interface Round {
  readonly inputs: Inputs;
  readonly manifestFiles: readonly string[];
  readonly snapshot: Snapshot;
  /** Undefined when the manifest or the state cannot be read: `trouble` says why. */
  readonly target: { readonly workspace: Workspace; readonly requested: readonly string[] } | undefined;
  readonly trouble: ResError | undefined;
}

export async function run(context: Context, names: readonly string[]): Promise<number> {
  const signal = context.interruptible();
  const manifest = manifestFile(context);
  let watcher: Watcher | undefined;
  let watched = '';
  let before: Snapshot | undefined;
  try {
    for (;;) {
      let round = await look(context, manifest, names);
      const places = JSON.stringify([round.inputs.files, round.inputs.folders, rootsOf(round.inputs)]);
      if (places !== watched) {
        const next = await Watcher.open(round.inputs);
        await watcher?.close();
        watcher = next;
        watched = places;
        // What happened before that was not told of.
        round = await look(context, manifest, names);
      }
      if (!watcher) throw new Error('nothing is watched');
      if (!before && round.trouble && USAGE.has(round.trouble.code)) throw round.trouble;
      const changes = before && triggers(before, round);
      if (!changes || changes.length > 0) {
        if (changes) say(context, { type: 'changed', files: changes });
        before = round.snapshot;
        await buildRound(context, round);
        const there = [...round.snapshot.values()].filter((digest) => digest !== undefined);
        say(context, { type: 'watching', files: there.length });
      }
      if (!(await isSettled(watcher, signal))) return INTERRUPTED;
    }
  } finally {
    await watcher?.close();
  }
}

/** False when it was interrupted: how a watch ends that has nothing to do. */
async function isSettled(watcher: Watcher, signal: AbortSignal): Promise<boolean> {
  try {
    await watcher.settled(signal);
    return true;
  } catch (error) {
    if (signal.aborted && error === signal.reason) return false;
    throw error;
  }
}

/** Of another manifest other files count: that they do is no change of theirs. */
function triggers(before: Snapshot, { snapshot, manifestFiles }: Round): readonly Change[] {
  const changes = changesBetween(before, snapshot);
  if (!changes.some(({ path }) => manifestFiles.includes(path))) return changes;
  return changes.filter(({ path }) => before.has(path) && snapshot.has(path));
}

function say({ flags, err }: Context, event: BuildEvent): void {
  if (flags.progress === 'json') err.line(JSON.stringify(event));
  else if (!flags.quiet)
    err.lines(eventLines(event, err.page, { place: (output) => output, verbose: false }));
}

async function look(context: Context, manifest: string, names: readonly string[]): Promise<Round> {
  const own = manifestInputs(manifest, context.cwd);
  const target = await openTarget(context, names);
  const there = target instanceof ResError ? undefined : target;
  const inputs = there ? joinInputs(own, workspaceInputs(there.workspace, there.requested)) : own;
  const signal = context.interruptible();
  const snapshot = await takeSnapshot(own.files, inputs.patterns, there?.workspace, signal);
  // So that a large file is not read again the next time, or by the build.
  if (there) await keepFindings(there.workspace);
  return {
    inputs,
    manifestFiles: own.files,
    snapshot,
    target: there,
    trouble: target instanceof ResError ? target : undefined,
  };
}

async function openTarget(context: Context, names: readonly string[]): Promise<Round['target'] | ResError> {
  try {
    const workspace = openWorkspace({ graph: await loadContextGraph(context), env: context.env });
    return { workspace, requested: select(workspace.graph, names) };
  } catch (error) {
    if (error instanceof ResError) return error;
    throw error;
  } finally {
    // Graphs that would be kept for later runs: of many, only one is of use, and the next run finds it.
    forgetAfterwards();
  }
}

async function buildRound(context: Context, { target, trouble }: Round): Promise<void> {
  try {
    if (trouble) throw trouble;
    if (!target) throw new Error('there is nothing to build');
    const result = await buildNodes(context, target.workspace, target.requested);
    if (!context.flags.quiet && context.flags.progress !== 'json') context.out.prose(resultText(result));
  } catch (error) {
    if (!(error instanceof ResError) || context.interruptible().aborted) throw error;
    if (context.flags.progress === 'json')
      context.err.line(JSON.stringify({ ok: false, error: errorReport(error) }));
    else reportError(error, context.err);
  }
}
