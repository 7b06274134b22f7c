// The face of a command that works on a graph. `--json --progress json` makes the events themselves the answer.
import { join } from 'node:path';
import type { Graph } from '../../model/graph.js';
import type { Context } from '../context.js';
import { createFace, type Face } from './face.js';

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
