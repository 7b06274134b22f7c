// The commands, their flags and the manifest's params as one commander program.
import { Argument, Command, Option } from 'commander';
import { hasHoles } from '../manifest/interpolate.js';
import type { ParamDeclaration } from '../model/manifest.js';
import { hang } from '../report/text.js';
import { version } from '../store/package.js';
import { environment, exitStatuses } from './around.js';
import { type CommandSpec, commands, type ExitSpec, shownArguments } from './commands.js';
import { commonOptions, helpOption, option, setOption } from './flags.js';
import type { Host } from './host.js';

type Action = (spec: CommandSpec, args: readonly string[], options: Record<string, unknown>) => Promise<void>;

/** Names that are longer stand alone. */
const NAMES = 26;

function environmentHelp(): string {
  const lines = environment.map(({ names, what }) => `  ${names.join(', ').padEnd(NAMES)}${what}`.trimEnd());
  return ['', 'Environment:', ...lines].join('\n');
}

function exitHelp(exits: readonly ExitSpec[], width: number): readonly string[] {
  if (exits.length === 0) return [];
  return [
    '',
    'Exit status:',
    ...exits.flatMap(({ status, what }) => hang(`  ${String(status).padEnd(3)}  `, what, width)),
  ];
}

/** What the definition of a command says beside its arguments and flags. */
function furtherHelp({ exits = [], examples }: CommandSpec, width: number): string {
  const least = Math.max(...examples.map(({ line }) => line.length)) + 2;
  return [
    ...exitHelp(exits, width),
    '',
    'Examples:',
    ...examples.flatMap(({ line, what }) =>
      2 + least + what.length <= width
        ? [`  ${line.padEnd(least)}${what}`]
        : [`  ${line}`, ...hang('      ', what, width)],
    ),
  ].join('\n');
}

/**
 * @param assigned gets the params that the command line sets, in its order
 * @param wanted the command that the line is about: others get no flags, which would take time; undefined for all
 */
export function createProgram(
  params: readonly ParamDeclaration[],
  assigned: [string, string][],
  host: Pick<Host, 'stdout' | 'stderr'>,
  action: Action,
  wanted?: string,
): Command {
  const program = new Command('res')
    .description('A make for disk images: declare where things come from and what is made of them.')
    .usage('COMMAND [NODE...] [flags]')
    .version(`res ${version()}`, '--version', 'print the version of res (before a command)')
    .enablePositionalOptions()
    .helpCommand('help [COMMAND]', 'this help, or that of a command')
    // `[flags]` behind every command says nothing.
    .configureHelp({
      subcommandTerm: (command) =>
        [command.name(), ...command.registeredArguments.map(argumentTerm)].join(' '),
      optionDescription: flagDescription,
    })
    .exitOverride()
    .configureOutput({
      writeOut: (text) => host.stdout.write(text),
      writeErr: (text) => host.stderr.write(text),
      getOutHelpWidth: () => host.stdout.columns ?? 80,
      getErrHelpWidth: () => host.stderr.columns ?? 80,
      // Errors are reported by the caller, all in one way.
      outputError: () => undefined,
    });
  addCommonFlags(program, true, params, assigned);
  program.addHelpText('after', environmentHelp);
  program.addHelpText('after', () => exitHelp(exitStatuses, host.stdout.columns ?? 80).join('\n'));
  program.addHelpText('after', '\nRun `res COMMAND --help` for the flags of a command.');
  for (const spec of commands) {
    const command = program
      .command(spec.name)
      .description(spec.summary)
      .usage([...shownArguments(spec), '[flags]'].join(' '))
      .addHelpText('after', () => furtherHelp(spec, host.stdout.columns ?? 80));
    for (const { term, about } of spec.args) command.addArgument(new Argument(term, about));
    if (wanted === undefined || wanted === spec.name) {
      for (const name of spec.flags) command.addOption(option(name));
      addCommonFlags(command, spec.manifest, params, assigned);
    }
    command.action(async () => {
      await action(spec, command.args, { ...program.opts(), ...command.opts() });
    });
  }
  return program;
}

/** In one pair of brackets, and without quotes: `(default: auto; one of auto, fancy, plain)`. */
function flagDescription({ description, argChoices }: Option): string {
  if (argChoices === undefined) return description;
  const choices = argChoices.join(', ');
  return description.endsWith(')')
    ? `${description.slice(0, -1)}; one of ${choices})`
    : `${description} (${choices})`;
}

function argumentTerm(argument: Argument): string {
  const name = argument.variadic ? `${argument.name()}...` : argument.name();
  return argument.required ? name : `[${name}]`;
}

function addCommonFlags(
  command: Command,
  manifest: boolean,
  params: readonly ParamDeclaration[],
  assigned: [string, string][],
): void {
  for (const flag of commonOptions(manifest)) command.addOption(flag);
  command.addHelpOption(helpOption());
  if (!manifest) return;
  command.addOption(setOption((name, value) => assigned.push([name, value])));
  for (const param of params) {
    const flag = paramOption(param, assigned);
    // The manifest is told that the name is taken when it is checked as a whole.
    const taken = command.options.some(({ long }) => long === flag.long);
    if (!taken) command.addOption(flag);
  }
}

function paramOption(param: ParamDeclaration, assigned: [string, string][]): Option {
  const { default: standard } = param;
  const notes = [
    ...(param.enum ? [param.enum.join(', ')] : []),
    // What is in the holes is known only when all of the manifest is read.
    ...(standard === undefined
      ? []
      : [`default: ${hasHoles(standard) ? 'follows from other values' : standard}`]),
  ];
  const description = [param.description ?? '', notes.length === 0 ? '' : `(${notes.join('; ')})`];
  return new Option(`--${param.name} <VALUE>`, description.filter((part) => part !== '').join(' '))
    .argParser((value: string) => {
      assigned.push([param.name, value]);
      return value;
    })
    .helpGroup('Params of the manifest:');
}
