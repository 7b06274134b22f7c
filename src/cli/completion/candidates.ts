// What may stand next on a command line.
import type { Option } from 'commander';
import type { CommandSpec } from '../commands.js';

export interface Candidate {
  readonly value: string;
  readonly about: string;
}

/** What completion must know of the command line; `nodes` and `builds` are asked for only when one may stand next. */
export interface Grammar {
  readonly commands: readonly Pick<CommandSpec, 'name' | 'summary' | 'args'>[];
  /** Flags before a command's name, and those of each command. */
  options(command: string | undefined): readonly Option[];
  readonly params: readonly {
    readonly name: string;
    readonly enum?: readonly string[];
    readonly default?: string;
  }[];
  nodes(): Promise<readonly Candidate[]>;
  builds(): Promise<readonly Candidate[]>;
  readonly templates: readonly Candidate[];
}

/** @param words all words after `res` up to the cursor; the last one is being typed and may be empty */
export async function candidates(words: readonly string[], grammar: Grammar): Promise<readonly Candidate[]> {
  const typed = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  return (await offered(before, typed, grammar)).filter(({ value }) => value.startsWith(typed));
}

async function offered(
  before: readonly string[],
  typed: string,
  grammar: Grammar,
): Promise<readonly Candidate[]> {
  const { command, pending, rest, args } = readWords(before, grammar);
  if (pending) return valuesOf(pending, typed, grammar);
  const options = grammar.options(command);
  if (typed.startsWith('-') && !rest) {
    const at = typed.indexOf('=');
    const option = at < 0 ? undefined : options.find(({ long }) => long === typed.slice(0, at));
    if (!option) return options.filter(({ hidden }) => !hidden).flatMap(flagCandidates);
    const prefix = typed.slice(0, at + 1);
    return valuesOf(option, typed.slice(at + 1), grammar).map(({ value, about }) => ({
      value: prefix + value,
      about,
    }));
  }
  if (command === undefined)
    return grammar.commands.map(({ name, summary }) => ({ value: name, about: summary }));
  if (command === 'help')
    return grammar.commands.map(({ name, summary }) => ({ value: name, about: summary }));
  if (command === 'init') return grammar.templates;
  if (command === 'completion') return ['bash', 'zsh', 'fish'].map((value) => ({ value, about: '' }));
  const spec = grammar.commands.find(({ name }) => name === command);
  // A file or folder is what the shell itself can complete.
  const expected = (spec?.args[args] ?? spec?.args.at(-1))?.term;
  if (expected?.includes('BUILD')) return args === 0 ? grammar.builds() : [];
  return expected?.includes('NODE') ? grammar.nodes() : [];
}

/** The command named so far, and the flag whose value comes next. */
function readWords(before: readonly string[], grammar: Grammar) {
  let command: string | undefined;
  let pending: Option | undefined;
  let rest = false;
  /** Words behind the command that are no flags. */
  let args = 0;
  for (const word of before) {
    if (pending) pending = undefined;
    else if (word === '--') rest = true;
    else if (word.startsWith('-') && !rest) {
      const option = grammar.options(command).find(({ short, long }) => word === short || word === long);
      pending = option?.required ? option : undefined;
    } else if (command === undefined) command = word;
    else args++;
  }
  return { command, pending, rest, args };
}

function flagCandidates({ long, short, description }: Option): readonly Candidate[] {
  const value = long ?? short;
  return value === undefined ? [] : [{ value, about: description }];
}

function valuesOf(option: Option, typed: string, { params }: Grammar): readonly Candidate[] {
  if (option.long === '--set') {
    const at = typed.indexOf('=');
    if (at < 0) return params.map(({ name }) => ({ value: `${name}=`, about: '' }));
    const name = typed.slice(0, at);
    return paramValues(params.find((param) => param.name === name)).map((value) => ({
      value: `${name}=${value}`,
      about: '',
    }));
  }
  if (option.long === '--matrix') return matrixValues(typed, params);
  const param = params.find(({ name }) => option.long === `--${name}`);
  return (option.argChoices ?? paramValues(param)).map((value) => ({ value, about: '' }));
}

/** The values of `arch=amd64,` that do not stand there yet. */
function matrixValues(typed: string, params: Grammar['params']): readonly Candidate[] {
  const at = typed.indexOf('=');
  if (at < 0) return params.map(({ name }) => ({ value: `${name}=`, about: '' }));
  const before = typed.slice(0, Math.max(at, typed.lastIndexOf(',')) + 1);
  const given = before.slice(at + 1).split(',');
  return paramValues(params.find(({ name }) => name === typed.slice(0, at)))
    .filter((value) => !given.includes(value))
    .map((value) => ({ value: before + value, about: '' }));
}

function paramValues(param: Grammar['params'][number] | undefined): readonly string[] {
  // A default with holes is no value that could be typed.
  const standard = param?.default === undefined || param.default.includes('${') ? [] : [param.default];
  return param?.enum ?? standard;
}
