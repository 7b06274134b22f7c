// The command line from its words to its exit status.
import { statSync } from 'node:fs';
import { CommanderError } from 'commander';
import { oneOf, suggest } from '../manifest/nearest.js';
import { ResError } from '../model/error.js';
import { sawType } from '../model/looks.js';
import { version } from '../store/package.js';
import { doAfterwards, forgetAfterwards } from './afterwards.js';
import { type Remembering, startRemembering } from './answer/remember.js';
import { type CommandSpec, commands } from './commands.js';
import type { Context } from './context.js';
import { readFlags } from './flags.js';
import type { Host } from './host.js';
import { readMatrix } from './matrix.js';
import { createOutput } from './output.js';
import { createProgram } from './program.js';
import { type Scanned, scan } from './scan.js';
import { endWith, wanted } from './trouble.js';

const MANIFEST_TROUBLE: ReadonlySet<string> = new Set(['manifest-invalid', 'manifest-not-found']);
const PRINTED: ReadonlySet<string> = new Set([
  'commander.helpDisplayed',
  'commander.help',
  'commander.version',
]);

/** @returns the exit status */
export async function run(argv: readonly string[], host: Host): Promise<number> {
  if (argv[0] === '__complete')
    return (await import('./completion/complete.js')).complete(argv.slice(1), host);
  // Asked for by scripts, and what it costs is what starting costs.
  if (argv.length === 1 && argv[0] === '--version') {
    host.stdout.write(`res ${version()}\n`);
    return 0;
  }
  const scanned = scan(argv, host.cwd);
  const spec = commands.find(({ name }) => name === scanned.command);
  const remembering = spec?.repeatable ? startRemembering(argv, host) : undefined;
  let status: number | undefined;
  try {
    const end = await runScanned(argv, scanned, spec, host, remembering);
    status = end.answered ? end.status : undefined;
    return end.status;
  } finally {
    remembering?.end(status);
    // Other commands may be asked to touch nothing (`gc -n`).
    if (spec?.repeatable) doAfterwards();
    else forgetAfterwards();
  }
}

interface End {
  readonly status: number;
  /** False when it ended with an error, with help, or anything else that no command has said. */
  readonly answered: boolean;
}

async function runScanned(
  argv: readonly string[],
  scanned: Scanned,
  spec: CommandSpec | undefined,
  host: Host,
  remembering: Remembering | undefined,
): Promise<End> {
  const ended = (status: number): End => ({ status, answered: false });
  const misled = folderProblem(scanned.dir, host.cwd) ?? topicProblem(argv);
  if (misled) return ended(endWith(misled, { answer: wanted(argv, spec), host, color: 'auto' }));
  // Only as the first word is it surely the command, and not the value of a param's flag.
  const sure = spec !== undefined && argv[0] === spec.name ? spec : undefined;
  const params =
    sure === undefined || sure.manifest ? (await import('./params.js')).findParams(scanned, host) : [];
  const assigned: [string, string][] = [];
  let status = 0;
  let started: CommandSpec | undefined;
  const program = createProgram(
    params,
    assigned,
    host,
    async (chosen, args, options) => {
      started = chosen;
      if (!chosen.repeatable) remembering?.forget();
      const flags = readFlags(options);
      const { cwd } = host;
      const env = remembering?.env ?? host.env;
      const output = { color: flags.color, env, cwd, verbose: flags.verbose };
      const heard = remembering?.heard;
      const context: Context = {
        flags,
        env,
        dir: scanned.dir,
        cwd,
        file: scanned.file,
        set: Object.fromEntries(assigned),
        matrix: readMatrix(flags.matrix, assigned),
        build: host.build,
        out: createOutput(host.stdout, heard ? { ...output, heard: heard.stdout } : output),
        err: createOutput(host.stderr, heard ? { ...output, heard: heard.stderr } : output),
        interruptible: () => host.interruptible(),
        once: () => remembering?.forget(),
      };
      status = await (await chosen.load()).run(context, args);
    },
    sure?.name,
  );
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return { status, answered: true };
  } catch (error) {
    // Help and version were printed on the way out of the parser; `res` alone gets the help on stderr.
    if (error instanceof CommanderError && PRINTED.has(error.code))
      return ended(error.exitCode === 0 ? 0 : 2);
    const { color } = readFlags(program.opts());
    const answer = wanted(argv, started ?? spec);
    if (!(error instanceof CommanderError)) return ended(endWith(error, { answer, host, color }));
    const load = async () => (await import('./load.js')).loadContextGraph({ ...scanned, ...host, set: {} });
    return ended(endWith(await toUsageError(error, spec, load), { answer, host, color }));
  }
}

/** What is wrong with the folder that -C leads to. */
function folderProblem(dir: string, cwd: string): ResError | undefined {
  if (dir === cwd) return undefined;
  const stats = statSync(dir, { bigint: true, throwIfNoEntry: false });
  sawType(dir, stats);
  if (stats?.isDirectory()) return undefined;
  return new ResError('usage', `-C: there is no folder ${dir}`, {
    hint: 'Check the path, or make the folder.',
  });
}

/** `res help NAME` of something that is no command, to which commander has nothing to say. */
function topicProblem([first, topic]: readonly string[]): ResError | undefined {
  const known = [...commands.map(({ name }) => name), 'help'];
  if (first !== 'help' || topic === undefined || topic.startsWith('-') || known.includes(topic))
    return undefined;
  return new ResError('usage', `unknown command \`${topic}\``, {
    hint: suggest(topic, known) ?? '`res --help` lists what there is.',
  });
}

/**
 * Commander's complaints in the form of all others. A flag may be unknown only because the manifest that declares it
 * cannot be read: then that is what there is to mend.
 */
async function toUsageError(
  error: CommanderError,
  spec: CommandSpec | undefined,
  load: () => Promise<unknown>,
): Promise<unknown> {
  if (error.code === 'commander.unknownOption' && spec?.manifest) {
    const trouble = await load().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (trouble instanceof ResError && MANIFEST_TROUBLE.has(trouble.code)) return trouble;
  }
  const [message = '', suggestion] = error.message.replace(/^error: /, '').split('\n');
  const similar = suggestion?.match(/\(Did you mean (?:one of )?(.*)\?\)/)?.[1]?.split(', ');
  const help = spec ? `res ${spec.name} --help` : 'res --help';
  const hint = similar ? `did you mean ${oneOf(similar)}?` : `\`${help}\` lists what there is.`;
  // Quoted as in all other messages.
  return new ResError('usage', message.replace(/\.$/, '').replace(/'([^']*)'/g, '`$1`'), { hint });
}
