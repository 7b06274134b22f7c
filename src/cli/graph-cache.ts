// The graph of a manifest, kept by what it was made of: the contents of its files, the values given for params, the variables of
// the environment that were asked for. One a manifest, the one last loaded; a graph with anything wrong in it is never kept.
import { createHash } from 'node:crypto';
import { existsSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { freezeGraph, type Locate, thawGraph } from '../graph/frozen.js';
import { type GraphRequest, type LoadedGraph, loadGraph, loadGraphOf } from '../graph/load.js';
import type { Matrix } from '../graph/matrix.js';
import { parseMirrors } from '../manifest/mirrors.js';
import { readText, shownPath } from '../manifest/text.js';
import { ResError } from '../model/error.js';
import type { Graph } from '../model/graph.js';
import { sawReal, spoilLooks } from '../model/looks.js';
import type { Manifest, ParamDeclaration } from '../model/manifest.js';
import { holdsSecret } from '../sources/redact.js';
import { errorCode } from '../store/files.js';
import { readKeptFile, writeKeptFile } from '../store/kept-file.js';
import { afterwards } from './afterwards.js';
import { cachePlace } from './cache-folder.js';
import { envDigest, watchEnv } from './consulted-env.js';

interface Head {
  readonly format: typeof FORMAT;
  readonly build: string;
  readonly manifest: string;
  readonly files: Manifest['files'];
  /** Paths that were followed, and where they led. */
  readonly reals: readonly (readonly [path: string, real: string])[];
  readonly params: readonly ParamDeclaration[];
  readonly set: Readonly<Record<string, string>>;
  /** Empty for one combination of params. */
  readonly matrix: Matrix;
  readonly env: readonly string[];
  readonly envDigest: string;
}

/** A file of the cache: the head has been read, and the graph has not. */
interface Kept {
  readonly head: Head;
  readonly body: Buffer;
  readonly id: string;
}

const FORMAT = 'res-graph 1';

/** The params that the manifest declares, where they are known without a parse. Throws nothing. */
export function keptParams(
  manifest: string,
  cwd: string,
  build: string | undefined,
): readonly ParamDeclaration[] | undefined {
  return build === undefined ? undefined : keptFor(manifest, cwd, build)?.head.params;
}

/** As `loadGraph`; a graph that had to be made is kept for the next time when the command has answered. */
export function loadKeptGraph(request: GraphRequest, build: string | undefined): Graph {
  if (build === undefined) return loadGraph(request);
  const kept = keptFor(request.file, request.cwd, build);
  if (kept && isFor(kept.head, request)) return thaw(kept, request);
  const { env, consulted } = watchEnv(request.env);
  const loaded = loadGraphOf({ ...request, env });
  const names = consulted();
  let frozen: Buffer | undefined;
  const freeze = () => {
    if (names && !hasSecrets(loaded.graph)) frozen ??= textOf(build, request, loaded, names);
    return frozen;
  };
  afterwards(() => keepGraph(loaded.graph, freeze));
  return {
    ...loaded.graph,
    get id() {
      const text = freeze();
      return text && sha256(text);
    },
  };
}

/** Where there is a place for it: looking alone makes no `.res`. */
function keepGraph({ manifest }: Graph, freeze: () => Buffer | undefined): void {
  const place = cachePlace(manifest.file);
  const text = existsSync(place.state) ? freeze() : undefined;
  if (text) writeKeptFile(cacheFile(manifest.file), place.tmp, [text]);
}

/** What is kept of a graph: what it was made of, and the graph itself. */
function textOf(build: string, request: GraphRequest, loaded: LoadedGraph, env: readonly string[]): Buffer {
  const { graph, reals } = loaded;
  const head: Head = {
    format: FORMAT,
    build,
    manifest: graph.manifest.file,
    files: graph.manifest.files,
    reals,
    params: graph.manifest.params,
    set: request.set,
    matrix: request.matrix ?? {},
    env,
    envDigest: envDigest(request.env, env),
  };
  // The environment's own mirrors may hold a password.
  const own = graph.manifest.mirrors.slice(parseMirrors(request.env.RES_MIRRORS ?? '').length);
  const frozen = freezeGraph({ ...graph, manifest: { ...graph.manifest, mirrors: own } });
  return Buffer.from(`${JSON.stringify(head)}\n${frozen}`);
}

/** A graph that matches the manifest's files as they are now. */
function keptFor(manifest: string, cwd: string, build: string): Kept | undefined {
  const kept = readKept(manifest);
  if (!kept || kept.head.manifest !== manifest || kept.head.build !== build) return undefined;
  for (const [path, real] of kept.head.reals) if (realOf(path) !== real) return undefined;
  for (const [path, sum] of kept.head.files) {
    const source = readText(path, cwd);
    if ('diagnostic' in source || source.sha256 !== sum) return undefined;
  }
  return kept;
}

function isFor(head: Head, { set, matrix = {}, env }: GraphRequest): boolean {
  const names = Object.keys(set);
  return (
    // The order of the values is that of the nodes.
    JSON.stringify(head.matrix) === JSON.stringify(matrix) &&
    names.length === Object.keys(head.set).length &&
    names.every((name) => Object.hasOwn(head.set, name) && head.set[name] === set[name]) &&
    envDigest(env, head.env) === head.envDigest
  );
}

function thaw({ body, id }: Kept, request: GraphRequest): Graph {
  let loaded: Graph | undefined;
  const locate: Locate = (node, path) => {
    try {
      loaded ??= loadGraph(request);
      const at = node === undefined ? loaded.manifest : loaded.nodes.get(node);
      if (at) return at.locate(path);
    } catch (error) {
      // It was changed in the meantime: there is no such place any more.
      if (!(error instanceof ResError)) throw error;
    }
    return { file: shownPath(request.file, request.cwd), line: 1, column: 1, text: '', length: 1 };
  };
  const graph = thawGraph(body.toString('utf8'), locate);
  const mirrors = [...parseMirrors(request.env.RES_MIRRORS ?? ''), ...graph.manifest.mirrors];
  return { ...graph, manifest: { ...graph.manifest, mirrors }, id };
}

/** The file of the cache last read: the command line asks for the params of a manifest before it loads it. */
let lastRead: { readonly file: string; readonly ino: bigint; readonly kept: Kept | undefined } | undefined;

function readKept(manifest: string): Kept | undefined {
  const file = cacheFile(manifest);
  // It is never written to, only replaced.
  const ino = inodeOf(file);
  if (ino === undefined) return undefined;
  if (lastRead?.file !== file || lastRead.ino !== ino) lastRead = { file, ino, kept: parseKept(file) };
  return lastRead.kept;
}

function inodeOf(file: string): bigint | undefined {
  try {
    return statSync(file, { bigint: true, throwIfNoEntry: false })?.ino;
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    return undefined;
  }
}

function parseKept(file: string): Kept | undefined {
  const whole = readKeptFile(file);
  const end = whole?.indexOf('\n') ?? -1;
  if (whole === undefined || end < 0) return undefined;
  const head: unknown = JSON.parse(whole.toString('utf8', 0, end));
  return isHead(head) ? { head, body: whole.subarray(end + 1), id: sha256(whole) } : undefined;
}

/** The checksum vouches for the rest. */
function isHead(value: unknown): value is Head {
  return typeof value === 'object' && value !== null && 'format' in value && value.format === FORMAT;
}

function cacheFile(manifest: string): string {
  return join(cachePlace(manifest).folder, `graph-${basename(manifest)}`);
}

function realOf(path: string): string | undefined {
  try {
    const real = realpathSync(path);
    sawReal(path, real);
    return real;
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    spoilLooks();
    return undefined;
  }
}

/** What opens a server is kept in the manifest, or in the environment, and nowhere else. */
function hasSecrets({ manifest, nodes }: Graph): boolean {
  for (const { section, recipe } of nodes.values())
    if (section === 'artifact' && holdsSecret(recipe)) return true;
  return manifest.mirrors.some(({ from, to }) => holdsSecret([from, ...to]));
}

function sha256(text: string | Buffer): string {
  return createHash('sha256').update(text).digest('hex');
}
