// The command line from its words to its exit status.
import { Argument, Command, CommanderError, Option } from 'commander';
import { ResError } from '../model/error.js';
import type { ParamDeclaration } from '../model/manifest.js';
import { type CommandSpec, commands } from './commands.js';
import type { Context } from './context.js';
import { commonOptions, option, readFlags } from './flags.js';
import type { Host } from './host.js';
import { createOutput } from './output.js';
import { version } from './package.js';
import { type Scanned, scan } from './scan.js';
import { reportError } from './trouble.js';

const MANIFEST_TROUBLE: ReadonlySet<string> = new Set(['manifest-invalid', 'manifest-not-found']);
const PRINTED: ReadonlySet<string> = new Set(['commander.helpDisplayed', 'commander.help', 'commander.version']);

/** @returns the exit status */
export async function run(argv: readonly string[], host: Host): Promise<number> {
  const scanned = scan(argv, host.cwd);
  const spec = commands.find(({ name }) => name === scanned.command);
  const params = !spec || spec.manifest ? await findParams(scanned, host.cwd) : [];
  const assigned: [string, string][] = [];
  let status = 0;
  const program = createProgram(params, assigned, host, async (chosen, args, options) => {
    const flags = readFlags(options);
    const { cwd, env } = host;
    const output = { color: flags.color, env, cwd };
    const context: Context = {
      flags,
      env,
      dir: scanned.dir,
      cwd,
      file: scanned.file,
      set: Object.fromEntries(assigned),
      out: createOutput(host.stdout, output),
      err: createOutput(host.stderr, output),
      interruptible: () => host.interruptible(),
    };
    status = await (await chosen.load()).run(context, args);
  });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return status;
  } catch (error) {
    // Help and version were printed on the way out of the parser; `res` alone gets the help on stderr.
    if (error instanceof CommanderError && PRINTED.has(error.code)) return error.exitCode === 0 ? 0 : 2;
    const { color } = readFlags(program.opts());
    const to = createOutput(host.stderr, { color, env: host.env, cwd: host.cwd });
    if (!(error instanceof CommanderError)) return reportError(error, to);
    const load = async () => (await import('./load.js')).loadContextGraph({ ...scanned, cwd: host.cwd, env: host.env, set: {} });
    return reportError(await toUsageError(error, spec, load), to);
  }
}

/** None where there is no manifest: that must not break `--help` or `doctor`, and is told where one is needed. */
async function findParams({ dir, file }: Scanned, cwd: string): Promise<readonly ParamDeclaration[]> {
  const [{ findManifest }, { readParams }] = await Promise.all([
    import('../manifest/find.js'),
    import('../manifest/params.js'),
  ]);
  const path = file ?? findManifest(dir);
  try {
    return path === undefined ? [] : readParams(path, cwd);
  } catch (error) {
    if (error instanceof ResError) return [];
    throw error;
  }
}

type Action = (spec: CommandSpec, args: readonly string[], options: Record<string, unknown>) => Promise<void>;

/** @param assigned gets the params that the command line sets, in its order */
export function createProgram(
  params: readonly ParamDeclaration[],
  assigned: [string, string][],
  host: Pick<Host, 'stdout' | 'stderr'>,
  action: Action,
): Command {
  const program = new Command('res')
    .description('A make for disk images: declare where things come from and what is made of them.')
    .usage('COMMAND [NODE...] [flags]')
    .version(`res ${version()}`, '--version', 'print the version of res (before a command)')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => host.stdout.write(text),
      writeErr: (text) => host.stderr.write(text),
      getOutHelpWidth: () => host.stdout.columns ?? 80,
      getErrHelpWidth: () => host.stderr.columns ?? 80,
      // Errors are reported by the caller, all in one way.
      outputError: () => undefined,
    });
  addCommonFlags(program, params, assigned);
  program.addHelpText('after', '\nRun `res COMMAND --help` for the flags of a command.');
  for (const spec of commands) {
    const command = program.command(spec.name, { hidden: spec.hidden ?? false }).description(spec.summary);
    if (spec.args !== '') command.addArgument(new Argument(spec.args));
    if (spec.hidden) command.passThroughOptions().allowUnknownOption();
    else {
      for (const name of spec.flags) command.addOption(option(name));
      addCommonFlags(command, spec.manifest ? params : [], assigned);
    }
    command.action(async () => {
      await action(spec, command.args, { ...program.opts(), ...command.opts() });
    });
  }
  return program;
}

function addCommonFlags(command: Command, params: readonly ParamDeclaration[], assigned: [string, string][]): void {
  for (const flag of commonOptions()) command.addOption(flag);
  command.addOption(
    new Option('--set <NAME=VALUE>', 'set a param of the manifest')
      .argParser((text: string) => {
        const at = text.indexOf('=');
        if (at < 1) throw new ResError('usage', `--set ${text}: a param is set as NAME=VALUE`);
        assigned.push([text.slice(0, at), text.slice(at + 1)]);
        return text;
      })
      .helpGroup('Common flags:'),
  );
  for (const param of params) {
    const flag = paramOption(param, assigned);
    // The manifest is told that the name is taken when it is checked as a whole.
    const taken = command.options.some(({ long }) => long === flag.long);
    if (!taken) command.addOption(flag);
  }
}

function paramOption(param: ParamDeclaration, assigned: [string, string][]): Option {
  const notes = [
    ...(param.enum ? [param.enum.join(', ')] : []),
    ...(param.default === undefined ? [] : [`default: ${param.default}`]),
  ];
  const description = [param.description ?? '', notes.length === 0 ? '' : `(${notes.join('; ')})`];
  return new Option(`--${param.name} <VALUE>`, description.filter((part) => part !== '').join(' '))
    .argParser((value: string) => {
      assigned.push([param.name, value]);
      return value;
    })
    .helpGroup('Params of the manifest:');
}

/**
 * Commander's complaints in the form of all others. A flag may be unknown only because the manifest that declares it
 * cannot be read: then that is what there is to mend.
 */
async function toUsageError(error: CommanderError, spec: CommandSpec | undefined, load: () => Promise<unknown>): Promise<unknown> {
  if (error.code === 'commander.unknownOption' && spec?.manifest) {
    const trouble = await load().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (trouble instanceof ResError && MANIFEST_TROUBLE.has(trouble.code)) return trouble;
  }
  const [message = '', suggestion] = error.message.replace(/^error: /, '').split('\n');
  const similar = suggestion?.match(/\(Did you mean (?:one of )?(.*)\?\)/)?.[1];
  const help = spec ? `res ${spec.name} --help` : 'res --help';
  const hint = similar === undefined ? `\`${help}\` lists what there is.` : `Did you mean ${similar}?`;
  return new ResError('usage', message.replace(/\.$/, ''), { hint });
}
