// `res build`: bring nodes up to date.
import { resolve } from 'node:path';
import { build } from '../../execute/build.js';
import { variantWarnings } from '../../graph/variants.js';
import { ResError } from '../../model/error.js';
import type { BuildResult, EventListener } from '../../model/event.js';
import type { Workspace } from '../../plan/workspace.js';
import { resultText } from '../../report/build.js';
import type { Context } from '../context.js';
import { createBuildFace } from '../faces/create.js';
import { openContextWorkspace, select } from '../load.js';
import { openTrace } from '../trace-file.js';

export async function run(context: Context, names: readonly string[]): Promise<number> {
  const { flags, out } = context;
  // How long it took, and what ran when, is of this run.
  if (flags.dryRun || flags.json || flags.progress === 'json' || flags.trace !== undefined) context.once();
  if (flags.dryRun && flags.asIs)
    throw new ResError('usage', '--as-is and --dry-run do not go together', {
      hint: '`res status` shows what was changed by hand.',
    });
  if (flags.dryRun) return (await import('./plan.js')).run(context, names);
  const workspace = await openContextWorkspace(context);
  const result = await buildNodes(context, workspace, select(workspace.graph, names));
  if (flags.json && flags.progress !== 'json') out.json(result);
  else if (!flags.json && !flags.quiet) out.prose(resultText(result));
  return result.ok ? 0 : 1;
}

/** A build as the flags say, with what it shows while it goes on. Rejects with ResError where no node is at fault. */
export async function buildNodes(
  context: Context,
  workspace: Workspace,
  requested: readonly string[],
): Promise<BuildResult> {
  const { flags, err } = context;
  const warnings = variantWarnings(workspace.graph, requested, flags.for);
  // What a live screen wrote of them cannot be written a second time.
  if (warnings.length > 0 && err.isTerminal) context.once();
  const face = await createBuildFace(context, workspace.graph);
  const trace = flags.trace === undefined ? undefined : await openTrace(resolve(context.cwd, flags.trace));
  const listener: EventListener = (event) => {
    trace?.listener(event);
    face.listener(event);
  };
  try {
    for (const warning of warnings) listener(warning);
    return await build(workspace, requested, {
      ...(flags.jobs === undefined ? {} : { jobs: flags.jobs }),
      keepGoing: flags.keepGoing,
      force: flags.force,
      offline: flags.offline,
      frozen: flags.frozen,
      overwrite: flags.overwrite,
      asIs: flags.asIs,
      signal: context.interruptible(),
      listener,
    });
  } finally {
    await face.end();
    await trace?.close();
  }
}
