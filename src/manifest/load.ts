// A manifest file -> a checked Manifest: every step of it in order, and everything that is wrong, at once.
import { dirname, resolve } from 'node:path';
import type { Diagnostic, Location } from '../model/diagnostic.js';
import type { Env } from '../model/env.js';
import { isJsonArray, isJsonObject, type Json, type JsonObject } from '../model/json.js';
import type { Manifest, Mirror } from '../model/manifest.js';
import { complaints } from './complaints.js';
import { type ManifestFiles, readManifestFiles } from './files.js';
import { fillValue, readAsTyped } from './fill.js';
import { interpolate } from './interpolate.js';
import { lockPath } from './lockfile.js';
import { parseMirrors } from './mirrors.js';
import { readNodes } from './nodes.js';
import { checkOutputs } from './outputs.js';
import { checkSetNames, collectParams, paramDefinition, type UsageProblem } from './params.js';
import { createScope, type Definition } from './scope.js';
import { validateManifest } from './validate.generated.js';
import { collectVars, templateComplaint, varDefinition } from './vars.js';
import { locateKey, locateValue, placeAt, textOf, type YamlTree } from './yaml.js';

export interface ManifestRequest {
  readonly file: string;
  /** The folder that paths in messages are relative to. */
  readonly cwd: string;
  /** Values of params from the command line. */
  readonly set: Readonly<Record<string, string>>;
  readonly env: Env;
}

export interface LoadedManifest {
  /** Whole only when there are no problems and no usage problems. */
  readonly manifest: Manifest;
  readonly problems: readonly Diagnostic[];
  readonly usage: readonly UsageProblem[];
  /** Every node name that stands in the files, also of nodes with something wrong. */
  readonly names: ReadonlySet<string>;
  /** Names of nodes whose recipe is not whole, because something in it is wrong. */
  readonly flawed: ReadonlySet<string>;
  /** Some file could not be read, so that a name that is not known may be in it. */
  readonly incomplete: boolean;
  /** The manifest, then what it includes, as the user would type them. */
  readonly files: readonly string[];
  /** All paths whose links were followed, and where they led. */
  readonly reals: readonly (readonly [path: string, real: string])[];
}

const DEFAULT_OUTPUT_DIR = 'resources';
/** Read before the params are known, or checked a node at a time. */
const NOT_FILLED: ReadonlySet<string> = new Set(['res', 'params', 'vars', 'include', 'artifacts', 'targets']);

/**
 * Throws ResError `manifest-not-found`, or `config-invalid` for a bad RES_MIRRORS.
 * @param read the files, where they have been read for another combination of params
 */
export function loadManifest({ file, cwd, set, env }: ManifestRequest, read?: ManifestFiles): LoadedManifest {
  const envMirrors = parseMirrors(env.RES_MIRRORS ?? '');
  const { root, all, problems: fileProblems, incomplete, reals } = read ?? readManifestFiles(file, cwd);
  const problems = [...fileProblems];
  const usage: UsageProblem[] = [];
  // What the YAML says wrongly is no value: there is nothing more to say about it.
  const wrong = new Set(fileProblems.map(({ location }) => placeKey(location)));
  const complain = (problem: Diagnostic) => {
    if (problem.location === undefined || !wrong.has(placeKey(problem.location))) problems.push(problem);
  };
  const trees = all.filter((tree) => !tree.broken);
  const dir = dirname(resolve(file));

  const params = collectParams(trees, complain);
  const vars = collectVars(trees, params, complain);
  const given = { set, env };
  const definitions = new Map<string, Definition>();
  for (const [name, param] of params) {
    definitions.set(
      name,
      paramDefinition(param, given, complain, (problem) => usage.push(problem)),
    );
  }
  for (const [name, declared] of vars) definitions.set(name, varDefinition(declared, params, complain));
  definitions.set('output-dir', outputDirDefinition(root, dir, complain));
  const scope = createScope(env, definitions);

  // All are worked out, so that a fault in one that nothing uses is found too.
  const value = (name: string) => {
    const found = scope.lookup(name);
    return found.is === 'value' ? found.value : undefined;
  };
  for (const name of definitions.keys()) scope.lookup(name);
  checkSetNames(set, params, vars, (problem) => usage.push(problem));
  const paramValues = Object.fromEntries([...params.keys()].map((name) => [name, value(name) ?? '']));

  for (const tree of trees) if (tree !== root) checkTop(tree, onlyTaken(tree.value), complain, new Set());
  const top = root.broken ? {} : readTop(root, scope, complain);
  const { nodes, names, flawed } = readNodes(trees, { scope, params, complain });
  const outputDir = value('output-dir');
  const kept = [...all.map((tree) => tree.source.file), lockPath(resolve(file))];
  checkOutputs(nodes, { dir, outputDir, kept }, complain);

  const manifest: Manifest = {
    file: resolve(file),
    dir,
    files: all.map(({ source }) => [source.file, source.sha256]),
    ...(typeof top.name === 'string' ? { name: top.name } : {}),
    outputDir: outputDir ?? dir,
    params: [...params.values()].map(({ declaration }) => declaration),
    paramValues,
    nodes,
    defaults: texts(top.default),
    exports: readExports(root, top.exports),
    pools: readPools(top.pools),
    mirrors: [...envMirrors, ...readMirrors(top.mirrors)],
    locate: (path) => locateTop(root, path),
  };
  return {
    manifest,
    problems,
    usage,
    names,
    flawed,
    incomplete,
    files: all.map((tree) => tree.source.shown),
    reals,
  };
}

function placeKey(location: Location | undefined): string {
  return location ? `${location.file}:${location.line}:${location.column}` : '';
}

function locateTop(root: YamlTree, path: readonly (string | number)[]): Location {
  return locateValue(root, placeAt(root, root.root, path));
}

function outputDirDefinition(
  root: YamlTree,
  dir: string,
  complain: (problem: Diagnostic) => void,
): Definition {
  const place = placeAt(root, root.root, ['output-dir']);
  return {
    complain: (message) => complain({ message, location: locateValue(root, place) }),
    compute: (scope) => {
      const written = isJsonObject(root.value) ? root.value['output-dir'] : undefined;
      // Of another type: the schema complains.
      const text = typeof written === 'string' ? written : DEFAULT_OUTPUT_DIR;
      const result = interpolate(text, scope, templateComplaint(root, place, complain));
      return result === undefined ? undefined : resolve(dir, result);
    },
  };
}

/** The manifest's own keys, interpolated and checked. */
function readTop(
  root: YamlTree,
  scope: Parameters<typeof fillValue>[1],
  complain: (problem: Diagnostic) => void,
): JsonObject {
  const value = root.value;
  if (!isJsonObject(value)) {
    const message = value === null ? 'the manifest is empty' : 'expected a manifest: a map';
    complain({ message, location: locateKey(root, root.root), hint: 'it starts with the line `res: 1`' });
    return {};
  }
  const rest = Object.fromEntries(Object.entries(value).filter(([key]) => !NOT_FILLED.has(key)));
  const { value: filledRest, filled, failed } = fillValue(rest, scope, root, root.root, complain);
  const whole = { ...value, ...(isJsonObject(filledRest) ? filledRest : {}) };
  const typed = validateManifest(whole)
    ? undefined
    : readAsTyped(whole, validateManifest.errors ?? [], filled);
  const top = isJsonObject(typed) ? typed : whole;
  checkTop(root, top, complain, failed);
  return top;
}

/** What an included file gives; its `default`, `exports` and the like are for when it is used on its own. */
function onlyTaken(value: Json): Json {
  if (!isJsonObject(value)) return value;
  const own = new Set(['name', 'output-dir', 'default', 'exports', 'pools', 'mirrors']);
  return Object.fromEntries(Object.entries(value).filter(([key]) => !own.has(key)));
}

function checkTop(
  tree: YamlTree,
  value: Json,
  complain: (problem: Diagnostic) => void,
  failed: ReadonlySet<string>,
): void {
  if (!isJsonObject(value)) {
    const message = value === null ? 'the included file is empty' : 'expected a manifest: a map';
    complain({ message, location: locateKey(tree, tree.root), hint: 'it starts with the line `res: 1`' });
    return;
  }
  // A key with nothing after it is a section without entries.
  const present = Object.fromEntries(
    Object.entries(value).filter(([key, each]) => each !== null || key === 'res'),
  );
  if (validateManifest(present)) return;
  const skip = (pointer: string) => failed.has(pointer);
  const checked = { tree, place: tree.root, subject: 'a manifest', skip };
  for (const problem of complaints(validateManifest.errors ?? [], checked)) complain(problem);
}

function texts(value: Json | undefined): string[] {
  return isJsonArray(value) ? value.filter((each) => typeof each === 'string') : [];
}

function readExports(root: YamlTree, value: Json | undefined): Record<string, string> {
  if (!isJsonObject(value)) return {};
  const text = (name: string, each: Json) =>
    typeof each === 'string' ? each : (textOf(root, placeAt(root, root.root, ['exports', name])) ?? '');
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, text(name, each)]));
}

function readPools(value: Json | undefined): Record<string, number> {
  if (!isJsonObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, n]) => (typeof n === 'number' ? [[name, n]] : [])),
  );
}

function readMirrors(value: Json | undefined): Mirror[] {
  if (!isJsonArray(value)) return [];
  return value.flatMap((mirror) =>
    isJsonObject(mirror) && typeof mirror.from === 'string'
      ? [{ from: mirror.from, to: texts(mirror.to) }]
      : [],
  );
}
