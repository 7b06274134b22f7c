// `res __complete -- WORD…`, which the completion scripts call: candidates for the last word, one a line. Silent about
// all trouble: a shell asks in the middle of typing.
import { dirname } from 'node:path';
import type { Matrix } from '../../graph/matrix.js';
import { ResError } from '../../model/error.js';
import { plainName } from '../../model/node.js';
import { someOf } from '../../report/fold.js';
import { templates } from '../commands/init.js';
import { commands } from '../commands.js';
import type { ManifestContext } from '../context.js';
import { matrixFlag } from '../flags.js';
import type { Host } from '../host.js';
import { readMatrix } from '../matrix.js';
import { findParams } from '../params.js';
import { createProgram } from '../program.js';
import { scan } from '../scan.js';
import { type Candidate, candidates } from './candidates.js';

/** Of so many builds it is said what they were: each is a file that is read. */
const MOST_READ = 20;

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
    nodes: () => nodeCandidates({ ...scanned, ...host, set: {}, matrix: matrixIn(words.slice(0, -1)) }),
    builds: () => buildCandidates({ ...scanned, ...host, set: {} }),
    templates: Object.entries(templates).map(([value, { about }]) => ({ value, about })),
  });
  for (const { value, about } of found)
    host.stdout.write(about === '' ? `${value}\n` : `${value}\t${about}\n`);
  return 0;
}

/** What the words say of --matrix, as far as it is right. */
function matrixIn(words: readonly string[]): Matrix {
  const given = words.flatMap((word, i) =>
    word === '--matrix' ? (words[i + 1] ?? []) : word.startsWith('--matrix=') ? word.slice(9) : [],
  );
  try {
    return readMatrix(given.map(matrixFlag), []);
  } catch (error) {
    if (error instanceof ResError) return {};
    throw error;
  }
}

/** The newest first. */
async function buildCandidates(context: ManifestContext): Promise<readonly Candidate[]> {
  const [{ manifestFile }, { buildIds, readBuild }, { workspacePaths }] = await Promise.all([
    import('../load.js'),
    import('../../store/build-records.js'),
    import('../../store/paths.js'),
  ]);
  try {
    const { builds } = workspacePaths(dirname(manifestFile(context)), context.env);
    const ids = await buildIds(builds);
    const records = await Promise.all(ids.slice(0, MOST_READ).map((id) => readBuild(builds, id)));
    return ids.map((value, i) => {
      const record = records[i];
      return { value, about: record ? `${record.outcome}: ${someOf(record.requested, 3)}` : '' };
    });
  } catch (error) {
    if (error instanceof ResError) return [];
    throw error;
  }
}

async function nodeCandidates(context: ManifestContext): Promise<readonly Candidate[]> {
  const { loadContextGraph } = await import('../load.js');
  try {
    const graph = await loadContextGraph(context);
    // With --matrix, the name of a node in all combinations stands before those in each.
    const offered = new Map<string, string>();
    for (const { name, kind, description } of graph.manifest.nodes) {
      const plain = plainName(name);
      if (!offered.has(plain)) offered.set(plain, plain === name ? (description ?? kind) : kind);
      offered.set(name, description ?? kind);
    }
    return Array.from(offered, ([value, about]) => ({ value, about }));
  } catch (error) {
    if (error instanceof ResError) return [];
    throw error;
  }
}
