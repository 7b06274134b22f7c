// `res __complete -- WORD…`, which the completion scripts call: candidates for the last word, one a line. Silent about
// all trouble: a shell asks in the middle of typing.
import { ResError } from '../../model/error.js';
import { templates } from '../commands/init.js';
import { commands } from '../commands.js';
import type { ManifestContext } from '../context.js';
import type { Host } from '../host.js';
import { findParams } from '../params.js';
import { createProgram } from '../program.js';
import { scan } from '../scan.js';
import { type Candidate, candidates } from './candidates.js';

/** @param argv what follows `__complete`. @returns the exit status */
export async function complete(argv: readonly string[], host: Host): Promise<number> {
  const words = argv[0] === '--' ? argv.slice(1) : argv;
  // The words are a command line of their own, with its own -C and -f.
  const scanned = scan(words.slice(0, -1), host.cwd);
  const params = findParams(scanned, host);
  const program = createProgram(params, [], host, async () => undefined);
  const found = await candidates(words, {
    commands,
    options: (name) => (program.commands.find((command) => command.name() === name) ?? program).options,
    params,
    nodes: () => nodeCandidates({ ...scanned, ...host, set: {} }),
    templates: Object.entries(templates).map(([value, { about }]) => ({ value, about })),
  });
  for (const { value, about } of found)
    host.stdout.write(about === '' ? `${value}\n` : `${value}\t${about}\n`);
  return 0;
}

async function nodeCandidates(context: ManifestContext): Promise<readonly Candidate[]> {
  const { loadContextGraph } = await import('../load.js');
  try {
    const graph = await loadContextGraph(context);
    return graph.manifest.nodes.map(({ name, kind, description }) => ({
      value: name,
      about: description ?? kind,
    }));
  } catch (error) {
    if (error instanceof ResError) return [];
    throw error;
  }
}
