// The scene of the tests of the engine: a vSwarm-u release on a server, a folder with a manifest, and `res` run in it.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import type { BuildEvent, BuildResult } from '../../src/model/event.js';
import type { StatusJson, StatusNodeJson } from '../../src/report/status.js';
import { type Run, type RunOptions, type RunResult, runRes, startRes } from '../rig/cli.js';
import { type VswarmOptions, type VswarmRelease, vswarmRelease } from '../rig/images.js';
import { bundledManifest } from '../rig/places.js';
import { type ReleaseHandle, type ReleaseServer, startReleaseServer } from '../rig/release-server.js';
import { makeWorkspace, type Workspace } from '../rig/workspace.js';

export const REPO = 'vhive-serverless/vSwarm-u';

type Env = Readonly<Record<string, string | undefined>>;
export interface SceneRunOptions {
  readonly env?: Env;
  readonly timeoutMs?: number;
}

/** A folder with a manifest, and runs of `res` in it. */
export interface Scene {
  readonly work: Workspace;
  run(args: readonly string[], options?: SceneRunOptions): Promise<RunResult>;
  start(args: readonly string[], options?: SceneRunOptions): Run;
  /** `build --json`, whatever its exit status. */
  build(args?: readonly string[], options?: SceneRunOptions): Promise<BuildResult>;
  /** As `build`; throws unless all went well. */
  built(args?: readonly string[], options?: SceneRunOptions): Promise<BuildResult>;
  /** `build --json --progress json`: its events. */
  events(args?: readonly string[], options?: SceneRunOptions): Promise<readonly BuildEvent[]>;
  /** Nodes of `status --json` by name. */
  status(args?: readonly string[], options?: SceneRunOptions): Promise<ReadonlyMap<string, StatusNodeJson>>;
  /** One node of it. */
  node(name: string, args?: readonly string[], options?: SceneRunOptions): Promise<StatusNodeJson>;
  /** Whether the folder's `.res` holds nothing of a build under way. */
  temporaries(): readonly string[];
  /** Paths of all objects in the store. */
  objects(): readonly string[];
}

export interface ReleaseScene extends Scene {
  readonly server: ReleaseServer;
  readonly release: ReleaseHandle;
  /** What was published, by architecture. */
  readonly published: Readonly<Record<string, VswarmRelease>>;
  readonly amd64: VswarmRelease;
}

const closers = new Set<() => Promise<void> | void>();

afterEach(async () => {
  for (const close of closers) await close();
  closers.clear();
});

/** Something to be undone after the test. */
export function atEnd(close: () => Promise<void> | void): void {
  closers.add(close);
}

/** A folder with these files; no network is needed, and none is there. */
export function openScene(files: Readonly<Record<string, string | Uint8Array>>, env: Env = {}): Scene {
  const work = makeWorkspace(files);
  atEnd(() => work.remove());
  return sceneIn(work, env);
}

/** The repository's own resources.yaml, or another manifest, and a server with the release it is about. */
export async function openRelease(
  options: VswarmOptions & {
    readonly manifest?: string;
    readonly archs?: readonly ('amd64' | 'arm64')[];
    readonly digests?: boolean;
  } = {},
): Promise<ReleaseScene> {
  const { archs = ['amd64'], manifest, digests = true, ...image } = options;
  const server = await startReleaseServer({ digests });
  atEnd(() => server.close());
  const releases = await Promise.all(archs.map((arch) => vswarmRelease({ ...image, arch })));
  const [amd64] = releases;
  if (!amd64) throw new Error('no architecture');
  const assets = Object.assign({}, ...releases.map((one) => one.assets));
  const release = await server.release(REPO, amd64.version, assets);
  const work = makeWorkspace(manifest ?? bundledManifest());
  atEnd(() => work.remove());
  const scene = sceneIn(work, { GITHUB_API_URL: server.apiUrl });
  return {
    ...scene,
    server,
    release,
    published: Object.fromEntries(releases.map((one) => [one.arch, one])),
    amd64,
  };
}

export function sceneIn(work: Workspace, base: Env): Scene {
  const options = ({ env = {}, timeoutMs }: SceneRunOptions = {}): RunOptions => ({
    cwd: work.dir,
    env: { ...base, ...env },
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  const run: Scene['run'] = (args, o) => runRes(args, options(o));
  const parsed = async <T>(args: readonly string[], o?: SceneRunOptions): Promise<T> => {
    const { stdout, stderr, status } = await run(args, o);
    try {
      return JSON.parse(stdout);
    } catch {
      throw new Error(`res ${args.join(' ')}: exit status ${status}, no JSON\n${stdout}\n${stderr}`);
    }
  };
  const status: Scene['status'] = async (args = [], o) => {
    const { nodes } = await parsed<StatusJson>(['status', '--json', ...args], o);
    return new Map(nodes.map((node) => [node.name, node]));
  };
  return {
    work,
    run,
    start(args, o) {
      const started = startRes(args, options(o));
      atEnd(async () => {
        await started.kill().catch(() => undefined);
      });
      return started;
    },
    build: (args = [], o) => parsed(['build', '--json', ...args], o),
    async built(args = [], o) {
      const { stdout, stderr, status: exit } = await run(['build', '--json', ...args], o);
      if (exit !== 0)
        throw new Error(`res build ${args.join(' ')}: exit status ${exit}\n${stdout}\n${stderr}`);
      return JSON.parse(stdout);
    },
    async events(args = [], o) {
      const { stdout } = await run(['build', '--json', '--progress', 'json', ...args], o);
      return stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line));
    },
    status,
    async node(name, args, o) {
      const node = (await status([name, ...(args ?? [])], o)).get(name);
      if (!node) throw new Error(`${name} is not in the status`);
      return node;
    },
    temporaries: () => [
      ...filesBelow(work.path('.res/tmp'), true),
      ...filesBelow(work.path('.res/store/tmp'), true),
      ...filesBelow(work.path('resources/.res-tmp'), true),
      ...filesBelow(work.path('resources')).filter((path) => /\.tmp$|\/\.[^/]*$/.test(path)),
    ],
    objects: () =>
      filesBelow(work.path('.res/store')).filter((path) => !path.startsWith(work.path('.res/store/tmp'))),
  };
}

/** All files below a folder, or with `all` the folders too; none when it is not there. */
export function filesBelow(folder: string, all = false): readonly string[] {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? [...(all ? [path] : []), ...filesBelow(path, all)] : [path];
  });
}

/** Bytes on disk, holes not counted. */
export function diskBytes(paths: readonly string[]): number {
  return paths.reduce((sum, path) => sum + statSync(path).blocks * 512, 0);
}

export function inode(path: string): number {
  return statSync(path).ino;
}

/** Names in a result's lists, sorted, for comparison; empty lists left out. */
export function outcome(result: BuildResult): Record<string, readonly string[]> {
  const { ran, restored, fresh, failed, skipped } = result;
  const lists = { ran, restored, fresh, failed, skipped };
  return Object.fromEntries(
    Object.entries(lists).flatMap(([list, names]) => (names.length === 0 ? [] : [[list, [...names].sort()]])),
  );
}
