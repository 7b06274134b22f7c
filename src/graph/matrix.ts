// Several combinations of params in one graph: a node that is the same in several of them is there once.
import { manifestError, sortDiagnostics } from '../manifest/diagnostics.js';
import { oneOf } from '../manifest/nearest.js';
import { checkOutputs } from '../manifest/outputs.js';
import type { Diagnostic } from '../model/diagnostic.js';
import { ResError } from '../model/error.js';
import type { Graph } from '../model/graph.js';
import { isJsonArray, isJsonObject, type Json, type JsonObject } from '../model/json.js';
import type { Manifest } from '../model/manifest.js';
import { type KindReferences, type Node, plainName, type Verify } from '../model/node.js';
import { referencesOf } from './references.js';
import { topology } from './topology.js';

/** Values by param, each param with one or more. */
export type Matrix = Readonly<Record<string, readonly string[]>>;

type Values = Readonly<Record<string, string>>;

/** A slip that has more than that would be noticed only after a long time. */
const MAX_COMBINATIONS = 1000;
/** Names of files are made of names of nodes. */
const MAX_NAME_BYTES = 200;

/** The product of the values, the last param changing first; of no params one, the empty one. Throws ResError `usage`. */
export function combinationsOf(matrix: Matrix): readonly Values[] {
  const number = Object.values(matrix).reduce((product, values) => product * values.length, 1);
  if (number > MAX_COMBINATIONS) {
    throw new ResError(
      'usage',
      `--matrix: ${number} combinations are more than the ${MAX_COMBINATIONS} that are possible`,
      {
        hint: 'Give some of the params one value, and run res several times.',
      },
    );
  }
  return Object.entries(matrix).reduce<readonly Values[]>(
    (combinations, [name, values]) =>
      combinations.flatMap((combination) => values.map((value) => ({ ...combination, [name]: value }))),
    [{}],
  );
}

/** A param with its value as they stand in the name of a node: what a name of a file cannot have is written as %XX. */
export function namePart(param: string, value: string): string {
  const safe = value.replace(/[^A-Za-z0-9._+~:-]/gu, (character) =>
    [...Buffer.from(character)]
      .map((byte) => `%${byte.toString(16).padStart(2, '0').toUpperCase()}`)
      .join(''),
  );
  return `${param}=${safe}`;
}

export interface Combination {
  readonly values: Values;
  readonly graph: Graph;
}

/** A node that is the same in some combinations. */
interface Member {
  readonly plain: string;
  /** Of the first of them. */
  readonly node: Node;
  readonly among: Combination[];
  name: string;
}

/**
 * Throws ResError `manifest-invalid` when different nodes would have one output path, or when the graphs do not have one
 * output-dir; `usage` for values that make no name.
 * @param files of the manifest, as they are shown
 */
export function uniteGraphs(
  combinations: readonly [Combination, ...Combination[]],
  kinds: ReadonlyMap<string, KindReferences>,
  files: readonly string[],
): Graph {
  const [{ graph: first }] = combinations;
  const params = differing(combinations.map(({ values }) => values));
  const members = findMembers(combinations);
  const byPlain = new Map<string, Member[]>();
  for (const member of new Set(
    combinations.flatMap(({ graph }) => [...(members.get(graph)?.values() ?? [])]),
  ))
    byPlain.set(member.plain, [...(byPlain.get(member.plain) ?? []), member]);
  for (const group of byPlain.values()) nameMembers(group, params);

  const nodes = new Map<string, Node>();
  for (const plain of first.nodes.keys()) {
    for (const member of byPlain.get(plain) ?? []) {
      const [own] = member.among;
      const nameOf = (name: string) => (own && members.get(own.graph)?.get(name)?.name) ?? name;
      const combinations = member.among.map(({ values }) => pick(values, params));
      nodes.set(member.name, { ...renamed(member, nameOf, kinds), combinations });
    }
  }
  const manifest = uniteManifests(combinations, (graph, name) => members.get(graph)?.get(name)?.name ?? name);
  const misplaced = outputDirProblems(combinations);
  const problems = misplaced.length > 0 ? misplaced : outputProblems([...nodes.values()], manifest);
  if (problems.length > 0) {
    const [shown = manifest.file] = files;
    const sorted = sortDiagnostics(problems, files);
    throw manifestError('manifest-invalid', `${shown}, with --matrix,`, sorted);
  }
  const edges = new Map([...nodes].map(([name, node]) => [name, node.references.map((each) => each.node)]));
  return { manifest: { ...manifest, nodes: [...nodes.values()] }, nodes, order: topology(edges).order };
}

/** Of each graph, by plain name. Two nodes are one when all that is declared of them is equal, and their inputs are one. */
function findMembers(combinations: readonly Combination[]): ReadonlyMap<Graph, ReadonlyMap<string, Member>> {
  const known = new Map<string, { readonly member: Member; readonly id: number }>();
  const found = new Map<Graph, Map<string, Member>>();
  for (const combination of combinations) {
    const { graph } = combination;
    const own = new Map<string, Member>();
    const ids = new Map<string, number>();
    for (const name of graph.order) {
      const node = graph.nodes.get(name);
      if (!node) continue;
      const { locate: _, references, ...declared } = node;
      const inputs = references.map(({ role, node: input }) => [role, ids.get(input) ?? -1]);
      const identity = JSON.stringify([declared, inputs]);
      let same = known.get(identity);
      if (!same) {
        same = { member: { plain: name, node, among: [], name }, id: known.size };
        known.set(identity, same);
      }
      same.member.among.push(combination);
      ids.set(name, same.id);
      own.set(name, same.member);
    }
    found.set(graph, own);
  }
  return found;
}

/** Names of params that have not one value in all. */
function differing(all: readonly Values[]): readonly string[] {
  const [first = {}] = all;
  return Object.keys(first).filter((param) => all.some((values) => values[param] !== first[param]));
}

function pick(values: Values, params: readonly string[]): Values {
  return Object.fromEntries(params.map((param) => [param, values[param] ?? '']));
}

/** Gives the members of one name the names that tell them apart, with as few params as possible. */
function nameMembers(members: readonly Member[], params: readonly string[]): void {
  if (members.length < 2) return;
  const telling = tellingParams(members, params);
  for (const member of members) {
    const [{ values = {} } = {}] = member.among;
    member.name = `${member.plain}@${telling.map((param) => namePart(param, values[param] ?? '')).join(',')}`;
    if (Buffer.byteLength(member.name) > MAX_NAME_BYTES) {
      throw new ResError('usage', `the values of --matrix make too long a name: ${member.name}`, {
        hint: 'Shorter values, or fewer params that differ, make shorter names.',
      });
    }
  }
}

/** The fewest params whose values say which of the members it is. */
function tellingParams(members: readonly Member[], params: readonly string[]): readonly string[] {
  const tells = (chosen: readonly string[]): boolean => {
    const said = new Map<string, Member>();
    return members.every((member) =>
      member.among.every(({ values }) => {
        const text = JSON.stringify(chosen.map((param) => values[param]));
        const before = said.get(text);
        said.set(text, member);
        return before === undefined || before === member;
      }),
    );
  };
  return params.reduce<readonly string[]>((kept, param) => {
    const fewer = kept.filter((each) => each !== param);
    return tells(fewer) ? fewer : kept;
  }, params);
}

/** The node under its name in the united graph, with all that it refers to under theirs. */
function renamed(
  { name, node }: Member,
  nameOf: (name: string) => string,
  kinds: ReadonlyMap<string, KindReferences>,
): Node {
  let recipe = node.recipe;
  let verify: Verify | undefined = node.verify;
  for (const { path, node: input } of referencesOf(node, kinds)) {
    if (path[0] === 'verify') verify = { sums: nameOf(input) };
    else recipe = replaceIn(recipe, path, nameOf(input));
  }
  const references = node.references.map(({ role, node: input }) => ({ role, node: nameOf(input) }));
  return { ...node, name, recipe, references, ...(verify === undefined ? {} : { verify }) };
}

function replaceIn(
  recipe: JsonObject,
  [key, ...path]: readonly (string | number)[],
  value: string,
): JsonObject {
  if (key === undefined) return recipe;
  return { ...recipe, [key]: replaceBelow(recipe[key] ?? null, path, value) };
}

function replaceBelow(at: Json, [step, ...path]: readonly (string | number)[], value: string): Json {
  if (step === undefined) return value;
  if (isJsonArray(at)) return at.map((each, i) => (i === step ? replaceBelow(each, path, value) : each));
  return isJsonObject(at) ? { ...at, [step]: replaceBelow(at[step] ?? null, path, value) } : at;
}

function uniteManifests(
  combinations: readonly [Combination, ...Combination[]],
  nameOf: (graph: Graph, name: string) => string,
): Omit<Manifest, 'nodes'> {
  const manifests = combinations.map(({ graph }) => graph.manifest);
  const [{ graph }] = combinations;
  const { nodes: _, name, ...first } = graph.manifest;
  const values = (param: string) => [
    ...new Set(manifests.map(({ paramValues }) => paramValues[param] ?? '')),
  ];
  const most = Math.max(...manifests.map(({ defaults }) => defaults.length));
  // Those that stand in one place of the list stay together.
  const defaults = Array.from({ length: most }, (_, i) =>
    combinations.flatMap(({ graph: own }) => {
      const at = own.manifest.defaults[i];
      return at === undefined ? [] : nameOf(own, at);
    }),
  );
  const mirrors = [...first.mirrors];
  for (const mirror of manifests.flatMap((manifest) => manifest.mirrors))
    if (!mirrors.some((known) => JSON.stringify(known) === JSON.stringify(mirror))) mirrors.push(mirror);
  const pools: Record<string, number> = {};
  for (const manifest of manifests)
    for (const [pool, limit] of Object.entries(manifest.pools))
      pools[pool] = Math.min(limit, pools[pool] ?? limit);
  return {
    ...first,
    ...(name !== undefined && manifests.every((manifest) => manifest.name === name) ? { name } : {}),
    paramValues: Object.fromEntries(
      Object.keys(first.paramValues).map((param) => [param, values(param).join(',')]),
    ),
    defaults: [...new Set(defaults.flat())],
    exports: Object.fromEntries(
      Object.entries(first.exports).filter(([variable, value]) =>
        manifests.every(({ exports }) => exports[variable] === value),
      ),
    ),
    pools,
    mirrors,
  };
}

function outputDirProblems([first, ...rest]: readonly [
  Combination,
  ...Combination[],
]): readonly Diagnostic[] {
  const other = rest.find(({ graph }) => graph.manifest.outputDir !== first.graph.manifest.outputDir);
  if (!other) return [];
  const [param = ''] = differing([first.values, other.values]);
  return [
    {
      message: `a build has one output-dir, and this one is another with ${text(other.values)}`,
      location: first.graph.manifest.locate(['output-dir']),
      hint: `put \${${param}} into the \`output\` of nodes instead`,
    },
  ];
}

function outputProblems(
  nodes: readonly Node[],
  { dir, outputDir }: Omit<Manifest, 'nodes'>,
): readonly Diagnostic[] {
  const problems: Diagnostic[] = [];
  const byPlace = new Map<string, Node[]>();
  for (const node of nodes) {
    if (node.output === undefined) continue;
    const place = `${plainName(node.name)} ${node.output}`;
    byPlace.set(place, [...(byPlace.get(place) ?? []), node]);
  }
  const clashing = [...byPlace.values()].filter(({ length }) => length > 1);
  for (const group of clashing) problems.push(clash(group));
  const told = new Set(clashing.flat());
  const rest = nodes.filter((node) => !told.has(node));
  checkOutputs(rest, { dir, outputDir, kept: [] }, (problem) => {
    problems.push({
      ...problem,
      hint: `${problem.hint}; only some values of --matrix are in each other's way: begin them with different words`,
    });
  });
  return problems;
}

/** Nodes of one name with one output path: what is to be written into `output`. */
function clash(nodes: readonly Node[]): Diagnostic {
  const [first] = nodes;
  if (!first) throw new Error('there is no clash');
  const location = first.locate(['output']);
  const names = nodes.map(({ name }) => name);
  const shown = names.length > 4 ? [...names.slice(0, 3), `${names.length - 3} more`] : names;
  const params = differing(nodes.map(({ combinations }) => combinations?.[0] ?? {}));
  // Written over several lines or by an alias it is not what stands there.
  const written = location.text.slice(location.column - 1, location.column - 1 + location.length);
  const template = /^[*&>|]/.test(written) ? (first.output ?? '') : written.replace(/^(["'])(.*)\1$/, '$2');
  return {
    message: `\`${first.output}\` would be the output of ${oneOf(shown, 'and')}`,
    location,
    hint: `with ${oneOf(
      params.map((param) => `\${${param}}`),
      'and',
    )} in it they differ: \`output: "${withParams(template, params)}"\``,
  };
}

/** `disk.tar.gz` is `disk-${arch}.tar.gz`. */
function withParams(output: string, params: readonly string[]): string {
  const [ending = ''] = /(?:\.tar)?\.[A-Za-z0-9]+$/.exec(output.slice(output.lastIndexOf('/') + 1)) ?? [];
  const holes = params.map((param) => `-\${${param}}`).join('');
  return `${output.slice(0, output.length - ending.length)}${holes}${ending}`;
}

function text(values: Values): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}
