// Params: the knobs of a manifest. Their declarations, and the values in force: from a flag, else RES_PARAM_NAME, else
// the default.
import { dirname } from 'node:path';
import type { Diagnostic } from '../model/diagnostic.js';
import type { Env } from '../model/env.js';
import type { ParamDeclaration } from '../model/manifest.js';
import { readManifestFiles } from './files.js';
import { hasHoles, interpolate } from './interpolate.js';
import { oneOf, suggest } from './nearest.js';
import type { Definition } from './scope.js';
import {
  entriesOf,
  itemsOf,
  locateFragment,
  locateKey,
  locateValue,
  type Place,
  placeAt,
  sectionEntries,
  textOf,
  type YamlTree,
} from './yaml.js';

/** Flags of res, of all commands: no param may have their names. `version` is free (`res build --version v0.3.0`). */
export const RESERVED_FLAGS: ReadonlySet<string> = new Set([
  'all',
  'as-is',
  'chdir',
  'check',
  'color',
  'dry-run',
  'file',
  'fish',
  'fix',
  'for',
  'force',
  'format',
  'frozen',
  'help',
  'jobs',
  'json',
  'keep-days',
  'keep-going',
  'license',
  'matrix',
  'max-size',
  'no-color',
  'number',
  'offline',
  'open',
  'out',
  'overwrite',
  'port',
  'progress',
  'quiet',
  'repair',
  'sandbox',
  'set',
  'sha256',
  'trace',
  'verbose',
]);

/** What `${…}` stands for beside params and vars. */
const PLACEHOLDERS: ReadonlySet<string> = new Set(['output-dir', 'in', 'out']);

/** A name with its declaration and where it stands. */
export interface Declared {
  readonly tree: YamlTree;
  readonly place: Place;
}

export interface DeclaredParam extends Declared {
  /** Not even a map: the schema complains, and its value is of no interest. */
  readonly malformed: boolean;
  readonly declaration: ParamDeclaration;
}

/** A wrong command line or environment: no fault of the manifest. */
export interface UsageProblem {
  readonly code: 'param-value' | 'unknown-param';
  readonly message: string;
  readonly hint: string;
}

/**
 * The params that a manifest declares, its includes too, before any value is known; defaults as they are written.
 * What is wrong with the manifest is left to `loadGraph`. Throws ResError `manifest-not-found`.
 */
export function readParams(file: string, cwd: string = dirname(file)): ParamDeclaration[] {
  const { all } = readManifestFiles(file, cwd);
  return [...collectParams(all, () => undefined).values()].map(({ declaration }) => declaration);
}

/** The name of the environment variable that sets a param. */
export function paramVariable(name: string): string {
  return `RES_PARAM_${name.toUpperCase().replaceAll('-', '_')}`;
}

/** All declarations by name. What has not even the form of one is left to the schema to complain about. */
export function collectParams(
  trees: readonly YamlTree[],
  complain: (problem: Diagnostic) => void,
): ReadonlyMap<string, DeclaredParam> {
  const params = new Map<string, DeclaredParam>();
  for (const tree of trees) {
    for (const [name, place] of sectionEntries(tree, 'params')) {
      if (!/^[a-z][a-z0-9-]*$/.test(name)) continue;
      const first = params.get(name);
      const reserved = reservedMessage(name);
      if (first) complain(clash('param', name, { tree, place }, first));
      else if (reserved)
        complain({ message: reserved, location: locateKey(tree, place), hint: 'choose another name' });
      else {
        const malformed = textOf(tree, place) !== undefined || itemsOf(tree, place) !== undefined;
        const param = { tree, place, malformed, declaration: declarationOf(name, tree, place) };
        params.set(name, param);
        const { default: standard } = param.declaration;
        if (standard !== undefined && !hasHoles(standard)) checkDefault(param, standard, complain);
      }
    }
  }
  return params;
}

export function clash(what: string, name: string, second: Declared, first: Declared): Diagnostic {
  const { file, line, column } = locateKey(first.tree, first.place);
  return {
    message: `there is a second ${what} \`${name}\``,
    location: locateKey(second.tree, second.place),
    hint: `the first one is at ${file}:${line}:${column}`,
  };
}

/** How each param gets its value. `usage` is for values from the command line or the environment. */
export function paramDefinition(
  param: DeclaredParam,
  given: { readonly set: Readonly<Record<string, string>>; readonly env: Env },
  complain: (problem: Diagnostic) => void,
  usage: (problem: UsageProblem) => void,
): Definition {
  const { declaration, tree, place } = param;
  const { name } = declaration;
  const defaultPlace = placeAt(tree, place, ['default']);
  return {
    complain: (message) => complain({ message, location: locateValue(tree, defaultPlace) }),
    compute: (scope) => {
      if (param.malformed) return undefined;
      const set = Object.hasOwn(given.set, name) ? given.set[name] : undefined;
      const value = set ?? given.env[paramVariable(name)];
      if (value !== undefined) {
        const hint = valueProblem(declaration, value);
        if (hint === undefined) return value;
        const from = set === undefined ? `${paramVariable(name)}: ` : '';
        usage({ code: 'param-value', message: `${from}the param \`${name}\` cannot be \`${value}\``, hint });
        return undefined;
      }
      if (declaration.default === undefined) {
        const hint = `give it with --${name} VALUE, or set ${paramVariable(name)}`;
        usage({ code: 'param-value', message: `the param \`${name}\` has no value`, hint });
        return undefined;
      }
      const result = interpolate(declaration.default, scope, ({ message, fragment, hint }) => {
        const location = locateFragment(tree, defaultPlace, fragment);
        complain(hint === undefined ? { message, location } : { message, location, hint });
      });
      if (result === undefined || !checkDefault(param, result, complain)) return undefined;
      return result;
    },
  };
}

/** Whether the default is a value that the param allows; complains when not. */
function checkDefault(
  { declaration, tree, place }: DeclaredParam,
  value: string,
  complain: (problem: Diagnostic) => void,
): boolean {
  const hint = valueProblem(declaration, value);
  if (hint === undefined) return true;
  const message = `the default \`${value}\` is not one of the values of \`${declaration.name}\``;
  complain({ message, location: locateValue(tree, placeAt(tree, place, ['default'])), hint });
  return false;
}

/** Complains about values for params that the manifest does not have. */
export function checkSetNames(
  set: Readonly<Record<string, string>>,
  params: ReadonlyMap<string, DeclaredParam>,
  vars: { has(name: string): boolean },
  usage: (problem: UsageProblem) => void,
): void {
  for (const name of Object.keys(set)) {
    if (params.has(name)) continue;
    const hint = vars.has(name)
      ? `\`${name}\` is a var; it follows from the params`
      : (suggest(name, params.keys(), 'params') ??
        (params.size === 0 ? 'this manifest has no params' : '`res build --help` lists the params'));
    usage({ code: 'unknown-param', message: `this manifest has no param \`${name}\``, hint });
  }
}

/** What to say about a value that is not allowed; undefined for one that is. */
function valueProblem({ enum: allowed }: ParamDeclaration, value: string): string | undefined {
  if (!allowed || allowed.includes(value)) return undefined;
  return suggest(value, allowed) ?? `it can be ${oneOf(allowed)}`;
}

function reservedMessage(name: string): string | undefined {
  if (RESERVED_FLAGS.has(name)) return `\`${name}\` cannot be a param: --${name} is a flag of res`;
  if (name.startsWith('no-')) return `\`${name}\` cannot be a param: --${name} would switch a flag off`;
  if (PLACEHOLDERS.has(name)) return `\`${name}\` cannot be a param: \${${name}} has a meaning of its own`;
  return undefined;
}

export function isPlaceholder(name: string): boolean {
  return PLACEHOLDERS.has(name);
}

function declarationOf(name: string, tree: YamlTree, place: Place): ParamDeclaration {
  const fields = new Map(entriesOf(tree, place));
  const text = (key: string) => {
    const at = fields.get(key);
    return at && textOf(tree, at);
  };
  const standard = text('default');
  const description = text('description');
  const list = fields.get('enum');
  const values = list && itemsOf(tree, list)?.map((item) => textOf(tree, item));
  return {
    name,
    ...(standard === undefined ? {} : { default: standard }),
    ...(values?.length && values.every((value) => value !== undefined) ? { enum: values } : {}),
    ...(description === undefined ? {} : { description }),
  };
}
