// A manifest file -> the graph, or one error with all that is wrong with the manifest.

import { manifestError, sortDiagnostics } from '../manifest/diagnostics.js';
import { type ManifestFiles, readManifestFiles } from '../manifest/files.js';
import { type LoadedManifest, loadManifest, type ManifestRequest } from '../manifest/load.js';
import { suggest } from '../manifest/nearest.js';
import type { UsageProblem } from '../manifest/params.js';
import type { Diagnostic } from '../model/diagnostic.js';
import { ResError } from '../model/error.js';
import type { Graph } from '../model/graph.js';
import type { KindReferences, Node, NodeDeclaration, Reference } from '../model/node.js';
import { type Combination, combinationsOf, type Matrix, uniteGraphs } from './matrix.js';
import { findReferences, type PlacedReference } from './references.js';
import { topology } from './topology.js';

export interface GraphRequest extends ManifestRequest {
  /** How to find the references of every kind key. */
  readonly kinds: ReadonlyMap<string, KindReferences>;
  /** Params that are to have several values: all combinations become one graph. */
  readonly matrix?: Matrix;
}

/**
 * Throws ResError `manifest-not-found`; `manifest-invalid` with everything that is wrong; where the manifest is right,
 * `unknown-param` or `param-value`; `config-invalid` for a bad RES_MIRRORS.
 */
export function loadGraph(request: GraphRequest): Graph {
  return loadGraphOf(request).graph;
}

export interface LoadedGraph extends Pick<LoadedManifest, 'reals'> {
  readonly graph: Graph;
}

/** `loadGraph`, with what it was made of. */
export function loadGraphOf(request: GraphRequest): LoadedGraph {
  const combinations = combinationsOf(request.matrix ?? {});
  if (combinations.length === 1) return loadWith(request, combinations[0] ?? {});
  const files = readManifestFiles(request.file, request.cwd);
  const right: Combination[] = [];
  const wrong: { readonly error: ResError; readonly values: ParamValues }[] = [];
  let made: LoadedGraph | undefined;
  for (const values of combinations) {
    try {
      made = loadWith(request, values, files);
      right.push({ values, graph: made.graph });
    } catch (error) {
      if (!(error instanceof ResError) || error.code !== 'manifest-invalid') throw error;
      wrong.push({ error, values });
    }
  }
  const [flaw] = wrong;
  if (flaw) throw right.length > 0 ? onlyFor(flaw) : flaw.error;
  const [first, ...rest] = right;
  if (!made || !first) throw new Error('there is no combination');
  const shown = files.all.map(({ source }) => source.shown);
  return { ...made, graph: uniteGraphs([first, ...rest], request.kinds, shown) };
}

/** The manifest is right for other values. */
function onlyFor({ error, values }: { readonly error: ResError; readonly values: ParamValues }): ResError {
  const chosen = Object.entries(values).map(([name, value]) => `${name}=${value}`);
  const diagnostics = error.diagnostics.map((each) => ({
    ...each,
    message: `${each.message}, with ${chosen.join(' ')}`,
  }));
  const { code, message, hint } = error;
  return new ResError(code, message, hint === undefined ? { diagnostics } : { diagnostics, hint });
}

type ParamValues = Readonly<Record<string, string>>;

/** @param values of params, beside those that the request sets */
function loadWith(request: GraphRequest, values: ParamValues, read?: ManifestFiles): LoadedGraph {
  const loaded = loadManifest({ ...request, set: { ...request.set, ...values } }, read);
  const { manifest, names, flawed, files } = loaded;
  const problems = [...loaded.problems];
  const complain = (problem: Diagnostic) => void problems.push(problem);

  const complete = !loaded.incomplete;
  const { nodes: declarations } = manifest;
  const references = findReferences({
    nodes: declarations,
    names,
    flawed,
    kinds: request.kinds,
    complete,
    complain,
  });
  if (complete) checkDefaults(loaded, complain);
  const implied = impliedNodes(declarations, references);
  const edges = new Map([
    ...[...implied.keys()].map((name): [string, readonly string[]] => [name, []]),
    ...[...references].map(([name, placed]): [string, readonly string[]] => [
      name,
      placed.map(({ node }) => node),
    ]),
  ]);
  const { order, cycles } = topology(edges);
  if (cycles.length > 0) {
    const byName = new Map(declarations.map((node) => [node.name, node]));
    for (const cycle of cycles) {
      const [first, second] = [cycle[0] ?? '', cycle[1] ?? cycle[0]];
      const path = references.get(first)?.find(({ node }) => node === second)?.path ?? [];
      const location = byName.get(first)?.locate(path);
      const message = `the nodes form a cycle: ${[...cycle, first].join(' -> ')}`;
      complain(location ? { message, location } : { message });
    }
  }

  if (problems.length > 0) {
    const usage = loaded.usage.map(({ message, hint }) => ({ message, hint }));
    const shown = files[0] ?? request.file;
    throw manifestError('manifest-invalid', shown, [...sortDiagnostics(problems, files), ...usage]);
  }
  if (loaded.usage.length > 0) throw usageError(loaded.usage);

  const nodes = new Map<string, Node>();
  for (const node of declarations) {
    const placed: readonly PlacedReference[] = references.get(node.name) ?? [];
    nodes.set(node.name, { ...node, references: placed.map(plainReference) });
  }
  for (const [name, node] of implied) nodes.set(name, { ...node, references: [] });
  return { graph: { manifest, nodes, order }, reals: loaded.reals };
}

function plainReference({ role, node, item }: PlacedReference): Reference {
  return item === undefined ? { role, node } : { role, node, item };
}

/** Nodes for the files that recipes name; one a file, however many name it. */
function impliedNodes(
  declarations: readonly NodeDeclaration[],
  references: ReadonlyMap<string, readonly PlacedReference[]>,
): ReadonlyMap<string, NodeDeclaration> {
  const found = new Map<string, NodeDeclaration>();
  for (const user of declarations)
    for (const { node: name, path, implies } of references.get(user.name) ?? []) {
      if (!implies || found.has(name)) continue;
      found.set(name, {
        name,
        ...implies,
        executable: false,
        keep: 'auto',
        variants: [],
        implied: true,
        locate: () => user.locate(path),
      });
    }
  return found;
}

function checkDefaults({ manifest, names }: LoadedManifest, complain: (problem: Diagnostic) => void): void {
  for (const [i, name] of manifest.defaults.entries()) {
    // What is not even a name has been complained about.
    if (names.has(name) || !/^[a-z0-9][a-z0-9._-]*$/.test(name)) continue;
    const location = manifest.locate(['default', i]);
    const hint = suggest(name, names, 'nodes');
    const message = `no node is called \`${name}\``;
    complain(hint === undefined ? { message, location } : { message, location, hint });
  }
}

/** The first of them, with the others beside it. */
function usageError(usage: readonly UsageProblem[]): ResError {
  const [first, ...rest] = usage;
  if (!first) throw new Error('there is nothing wrong');
  const diagnostics = rest.map(({ message, hint }) => ({ message, hint }));
  return new ResError(first.code, first.message, { hint: first.hint, diagnostics });
}
