// run: any program of the user's, in a scratch directory that holds its inputs and nothing else. What it is run with and
// where things lie there is decided by the recipe alone: two runs of one recipe are the same wherever they run.
import { posix } from 'node:path';
import { suggest } from '../manifest/nearest.js';
import { ResError } from '../model/error.js';
import { isJsonArray, isJsonObject, type JsonObject } from '../model/json.js';
import { parseReference, type WrittenReference } from '../model/node.js';
import type { Kind, Program, ProgramCommand, ProgramPlaces } from './kind.js';
import { bytes, count, text, truth, unfit } from './recipe.js';

interface Run {
  readonly command: { readonly script: string } | { readonly argv: readonly string[] };
  readonly inputs: readonly Input[];
  /** Undefined: one, without a name. */
  readonly outputs: readonly { readonly name: string; readonly path: string }[] | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly tools: readonly string[];
  readonly cwd: string;
  readonly timeoutMs: number | undefined;
  readonly cpus: number;
  /** Bytes. */
  readonly memory: number | undefined;
  readonly network: boolean;
}

interface Input {
  readonly name: string;
  /** Where it lies in the scratch directory. */
  readonly place: string;
  readonly value: string;
}

/** In the scratch directory; what begins with a dot is no output. */
const INPUTS = 'in';
const ONLY_OUTPUT = 'out';
const HOME = '.home';
const TEMP = '.tmp';

export const run: Kind = {
  name: 'run',
  references: (recipe) => inputsOf(recipe).map(referenceOf),
  check: (recipe) => check(parse(recipe)),
  keyed(recipe) {
    const { command, inputs, outputs, env, cwd, network } = parse(recipe);
    return {
      ...command,
      inputs: Object.fromEntries(inputs.map(({ name, place }) => [name, place])),
      ...(outputs ? { outputs: outputs.map(({ name, path }) => [name, path]) } : {}),
      env,
      cwd,
      network,
    };
  },
  tools: (recipe) => parse(recipe).tools,
  pool: 'cpu',
  demand(recipe) {
    const { cpus, memory } = parse(recipe);
    return { cpus, ...(memory === undefined ? {} : { memory }) };
  },
  making: { by: 'running', program: (recipe) => programOf(parse(recipe)) },
  readsNames: true,
};

function parse(recipe: JsonObject): Run {
  const timeout = recipe.timeout;
  return {
    command: commandOf(recipe),
    inputs: inputsOf(recipe),
    outputs: outputsOf(recipe),
    env: variables(recipe),
    tools: words(recipe, 'tools'),
    cwd: folder(text(recipe, 'cwd') ?? '.'),
    timeoutMs: timeout === undefined ? undefined : duration(String(timeout)),
    cpus: count(recipe, 'cpus') ?? 1,
    memory: recipe.memory === undefined ? undefined : bytes(recipe.memory, 'memory'),
    network: truth(recipe, 'network') ?? true,
  };
}

function commandOf({ run: command }: JsonObject): Run['command'] {
  if (isJsonArray(command)) {
    const argv = command.map(String);
    if (argv[0] === undefined || argv[0] === '') throw unfit('run', 'a program and its arguments', command);
    return { argv };
  }
  if (typeof command !== 'string') throw unfit('run', 'a command, or a list of words', command);
  return { script: command };
}

function inputsOf({ inputs = {} }: JsonObject): readonly Input[] {
  if (!isJsonObject(inputs)) throw unfit('inputs', 'a map of inputs', inputs);
  return Object.entries(inputs).map(([name, value]) => {
    if (typeof value !== 'string') throw unfit(`inputs.${name}`, 'a node name or a path', value);
    return { name, value, place: `${INPUTS}/${name}${endingFor(name, value)}` };
  });
}

/** What programs tell the type of a file by: that of a file of the workspace is as fixed as the recipe. */
function endingFor(name: string, value: string): string {
  const ending = isPath(value) ? posix.extname(value) : '';
  return name.endsWith(ending) ? '' : ending;
}

function isPath(value: string): boolean {
  return value.includes('/');
}

function referenceOf({ name, value }: Input): WrittenReference {
  const path = ['inputs', name];
  const role = `in.${name}`;
  if (!isPath(value)) return { role, ...parseReference(value), path };
  const normal = posix.normalize(value).replace(/(.)\/+$/, '$1');
  // A node for each file, named in a way that no declared node can be.
  const node = posix.isAbsolute(normal) || /^\.\.?(\/|$)/.test(normal) ? normal : `./${normal}`;
  return {
    role,
    node,
    path,
    implies: { section: 'artifact', kind: 'path', recipe: { path: normal, literal: true } },
  };
}

function outputsOf({ outputs }: JsonObject): Run['outputs'] {
  if (outputs === undefined) return undefined;
  if (!isJsonObject(outputs)) throw unfit('outputs', 'a map of outputs', outputs);
  return Object.entries(outputs).map(([name, value]) => {
    if (typeof value !== 'string') throw unfit(`outputs.${name}`, 'a path', value);
    return { name, path: folder(value) };
  });
}

/** A path in its one normal form. */
function folder(path: string): string {
  return posix.normalize(path).replace(/(.)\/+$/, '$1');
}

function variables({ env = {} }: JsonObject): Readonly<Record<string, string>> {
  if (!isJsonObject(env)) throw unfit('env', 'a map of variables', env);
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [name, String(value)]));
}

function words(recipe: JsonObject, field: string): readonly string[] {
  const value = recipe[field] ?? [];
  if (!isJsonArray(value)) throw unfit(field, 'a list of programs', value);
  return value.map(String);
}

const UNITS = { s: 1, m: 60, h: 3600 } as const;

/** ms of text such as `90`, `30s`, `10m`, `2h`. */
function duration(text: string): number {
  const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)([smh]?)$/.exec(text) ?? [];
  const seconds = Number(number) * (unit === 'h' ? UNITS.h : unit === 'm' ? UNITS.m : UNITS.s);
  if (!(seconds > 0)) throw unfit('timeout', 'a time: seconds, or like 30s, 10m, 2h', text);
  return seconds * 1000;
}

/** Throws ResError `manifest-invalid`. */
function check(recipe: Run): void {
  const { inputs, outputs, cwd } = recipe;
  if (leavesScratch(cwd)) throw invalid(`\`cwd\` leads out of the scratch directory: ${cwd}`);
  for (const { path } of outputs ?? []) {
    const [first = ''] = path.split('/');
    if (first === INPUTS || first.startsWith('.')) {
      throw invalid(
        `an output cannot lie at ${path}: ${first === INPUTS ? 'the inputs lie there' : 'what begins with a dot there is of res'}`,
        'Choose another path.',
      );
    }
  }
  const places = new Map<string, string>();
  for (const { name, place } of inputs) {
    const other = places.get(place);
    if (other !== undefined) throw invalid(`the inputs ${other} and ${name} would both lie at ${place}`);
    places.set(place, name);
  }
  for (const template of templatesOf(recipe)) for (const hole of holesIn(template)) resolveHole(hole, recipe);
}

function leavesScratch(path: string): boolean {
  return posix.isAbsolute(path) || path === '..' || path.startsWith('../');
}

function templatesOf({ command, env }: Run): readonly string[] {
  return [...('script' in command ? [command.script] : command.argv), ...Object.values(env)];
}

/** `$${`, or a hole: what interpolation has left of a text. */
const HOLE = /\$\$\{|\$\{((?:in|out)(?:\.[A-Za-z0-9._-]+)?)\}/g;

function holesIn(template: string): readonly string[] {
  return [...template.matchAll(HOLE)].flatMap(([, hole]) => hole ?? []);
}

/** Which inputs, or which output, a hole stands for. Throws ResError `manifest-invalid`. */
function resolveHole(
  hole: string,
  { inputs, outputs }: Run,
): { readonly inputs: readonly number[] } | { readonly output: number } {
  const [side, name] = hole.startsWith('in')
    ? (['input', hole.slice('in.'.length)] as const)
    : (['output', hole.slice('out.'.length)] as const);
  const names = (side === 'input' ? inputs : (outputs ?? [])).map((each) => each.name);
  if (name !== '') {
    const index = names.indexOf(name);
    if (index >= 0) return side === 'input' ? { inputs: [index] } : { output: index };
    const known = names.length === 0 ? `\`run\` has no \`${side}s\` by name` : undefined;
    throw invalid(`\${${hole}}: no ${side} is called \`${name}\``, known ?? suggest(name, names, `${side}s`));
  }
  if (side === 'input') {
    if (inputs.length === 0) throw invalid(`\${in}: there are no \`inputs\``);
    return { inputs: inputs.map((_, i) => i) };
  }
  if (names.length > 1)
    throw invalid(`\${out}: there are several outputs`, `Name the one: \${out.${names[0]}}.`);
  return { output: 0 };
}

function invalid(message: string, hint?: string): ResError {
  return new ResError('manifest-invalid', message, hint === undefined ? {} : { hint });
}

function programOf(recipe: Run): Program {
  const { inputs, outputs, cwd, tools, timeoutMs, network } = recipe;
  const told = toldOutputs(recipe);
  return {
    inputs: inputs.map(({ place }) => place),
    outputs: outputs?.map((output, i) => ({ ...output, isTold: told.has(i) })) ?? [
      { path: ONLY_OUTPUT, isTold: told.has(0) },
    ],
    home: HOME,
    temp: TEMP,
    cwd,
    tools,
    network,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    command: (places) => fillIn(recipe, places),
  };
}

/** Indexes of the outputs that the command names by a hole. */
function toldOutputs(recipe: Run): ReadonlySet<number> {
  const told = new Set<number>();
  for (const hole of templatesOf(recipe).flatMap(holesIn)) {
    const meant = resolveHole(hole, recipe);
    if ('output' in meant) told.add(meant.output);
  }
  return told;
}

function fillIn(recipe: Run, places: ProgramPlaces): ProgramCommand {
  const { command, env } = recipe;
  const pathsOf = (hole: string): readonly string[] => {
    const meant = resolveHole(hole, recipe);
    if ('output' in meant) return [places.outputs[meant.output] ?? ''];
    return meant.inputs.flatMap((i) => places.inputs[i] ?? []);
  };
  const filled = (template: string, join: (paths: readonly string[], at: number) => string) =>
    template.replace(HOLE, (_, hole: string | undefined, at: number) =>
      hole === undefined ? '${' : join(pathsOf(hole), at),
    );
  const plain = (template: string) => filled(template, (paths) => paths.join(' '));
  const variables = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, plain(value)]));
  if ('script' in command) {
    const { script: written } = command;
    const script = filled(written, (paths, at) =>
      paths.map((path) => quoted(path, quoteAt(written, at))).join(' '),
    );
    return { argv: ['sh', '-eu', '-c', script], env: variables };
  }
  const argv = command.argv.flatMap((word) => {
    // A word that is a hole alone becomes as many words as there are files.
    const [hole, another] = holesIn(word);
    return hole !== undefined && another === undefined && word === `\${${hole}}`
      ? pathsOf(hole)
      : [plain(word)];
  });
  const [program = '', ...args] = argv;
  return { argv: [program, ...args], env: variables };
}

type Quote = '"' | "'" | '';

/** Which quotes a place of a shell's script is in. */
function quoteAt(script: string, at: number): Quote {
  let quote: Quote = '';
  for (let i = 0; i < at; i++) {
    const char = script[i];
    if (char === '\\' && quote !== "'") i++;
    else if (quote === '' && (char === '"' || char === "'")) quote = char;
    else if (char === quote) quote = '';
  }
  return quote;
}

/** A path as (a part of) one word of a shell, within the quotes that stand around it. */
function quoted(path: string, quote: Quote): string {
  if (/^[\w@%+=:,./-]+$/.test(path)) return path;
  if (quote === '"') return path.replace(/["\\$`]/g, '\\$&');
  const inSingle = path.replaceAll("'", "'\\''");
  return quote === "'" ? inSingle : `'${inSingle}'`;
}
