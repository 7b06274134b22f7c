// Which face: what the user asked for, else what stderr is.
import { join } from 'node:path';
import type { Graph } from '../../model/graph.js';
import type { Context } from '../context.js';
import type { Face, FaceOptions, Progress } from './face.js';

/** The face of a command that works on a graph. `--json --progress json` makes the events themselves the answer. */
export function createBuildFace({ flags, env, out, err }: Context, graph: Graph): Promise<Face> {
  return createFace({
    to: flags.json && flags.progress === 'json' ? out : err,
    progress: flags.progress,
    quiet: flags.quiet,
    verbose: flags.verbose,
    env,
    place: (output) => err.page.path(join(graph.manifest.outputDir, output)),
  });
}

async function createFace(options: FaceOptions): Promise<Face> {
  switch (chooseFace(options)) {
    case 'json':
      return (await import('./json.js')).jsonFace(options.to);
    case 'fancy':
      return (await import('./live.js')).liveFace(options);
    case 'plain':
      return (await import('./plain.js')).plainFace(options);
  }
}

export function chooseFace({ progress, quiet, to, env }: FaceOptions): Exclude<Progress, 'auto'> {
  if (progress === 'json') return 'json';
  if (quiet) return 'plain';
  if (progress !== 'auto') return progress;
  const ci = env.CI !== undefined && env.CI !== '' && env.CI !== 'false' && env.CI !== '0';
  return to.isTerminal && !ci && env.TERM !== 'dumb' ? 'fancy' : 'plain';
}
