// A release on the server of the rig and a workspace that builds from it, for tests of the network and the lock.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';
import { type Run, type RunResult, runRes, startRes } from '../rig/cli.js';
import { seededBytes } from '../rig/random.js';
import {
  type AssetHandle,
  type ReleaseHandle,
  type ReleaseServer,
  type ServerOptions,
  startReleaseServer,
} from '../rig/release-server.js';
import { makeWorkspace, removeWorkspaces, type Workspace } from '../rig/workspace.js';

export const REPO = 'lab/images';
export const API_RELEASES = `/repos/${REPO}/releases`;
export const PART_SIZE = 1_000_000;
const PART_NAMES = ['data.bin.aa', 'data.bin.ab', 'data.bin.ac', 'data.bin.ad'];
export const PART = 'data.bin.ab';
export const KERNEL = seededBytes('kernel', 200_000);

/** Four parts that are one file, and a file beside them. */
export const MANIFEST = `res: 1
params:
  version: { default: v1 }
artifacts:
  parts: { github: { repo: ${REPO}, release: "\${version}", asset: "data.bin.*" } }
  kernel: { github: { repo: ${REPO}, release: "\${version}", asset: vmlinux }, output: kernel }
targets:
  data: { merge: parts, output: data.bin }
default: [data]
`;

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Site {
  readonly server: ReleaseServer;
  readonly release: ReleaseHandle;
  readonly work: Workspace;
  /** That of every run. */
  readonly env: Environment;
  /** What `resources/data.bin` must be. */
  readonly data: Buffer;
  part(name?: string): AssetHandle;
  parts(): readonly AssetHandle[];
  /** `res ARGS` in the workspace, to its end. */
  res(args: string, env?: Environment): Promise<RunResult>;
  start(args: string, env?: Environment): Run;
}

const servers = new Set<ReleaseServer>();

// Not after each test: some of a file run side by side.
afterAll(async () => {
  removeWorkspaces();
  await Promise.all([...servers].map((server) => server.close()));
  servers.clear();
});

/** Closed after the last test of the file. */
export async function openServer(options: ServerOptions = {}): Promise<ReleaseServer> {
  const server = await startReleaseServer(options);
  servers.add(server);
  return server;
}

/** The assets of one version; another seed, other bytes. */
export function assetsOf(seed: string): Readonly<Record<string, Buffer>> {
  const parts = PART_NAMES.map((name) => [name, seededBytes(`${seed} ${name}`, PART_SIZE)] as const);
  return { ...Object.fromEntries(parts), vmlinux: KERNEL };
}

export function dataOf(assets: Readonly<Record<string, Buffer>>): Buffer {
  return Buffer.concat(PART_NAMES.map((name) => assets[name] ?? Buffer.alloc(0)));
}

export async function openSite(
  options: ServerOptions & { readonly manifest?: string; readonly env?: Environment } = {},
): Promise<Site> {
  const { manifest = MANIFEST, env: added = {}, ...serverOptions } = options;
  const server = await openServer(serverOptions);
  const assets = assetsOf('v1');
  const release = await server.release(REPO, 'v1', assets);
  const work = makeWorkspace(manifest);
  const env = { GITHUB_API_URL: server.apiUrl, ...added };
  const part = (name = PART) => release.asset(name);
  return {
    server,
    release,
    work,
    env,
    data: dataOf(assets),
    part,
    parts: () => PART_NAMES.map(part),
    ...inFolder(work, env),
  };
}

/** Runs in a workspace. */
export function inFolder(work: Workspace, env: Environment): Pick<Site, 'res' | 'start'> {
  const words = (args: string) => args.split(' ').filter((word) => word !== '');
  return {
    res: (args, more = {}) => runRes(words(args), { cwd: work.dir, env: { ...env, ...more } }),
    start: (args, more = {}) => startRes(words(args), { cwd: work.dir, env: { ...env, ...more } }),
  };
}

/** The run ended well; else what it printed is the message. */
export function expectDone({ status, stdout, stderr }: RunResult): void {
  expect(status, `${stdout}\n${stderr}`).toBe(0);
}

/** The run failed as a user's run does: this status, these words, no stack trace. */
export function expectFailed(
  { status, stdout, stderr }: RunResult,
  words: readonly (string | RegExp)[],
  exit = 1,
): void {
  expect(status, `${stdout}\n${stderr}`).toBe(exit);
  for (const word of words) expect(stderr).toMatch(word);
  expect(stderr).not.toMatch(/^\s+at .*(?:\(|file:|node:).*:\d+:\d+\)?$|bug of res/m);
}

/** Every file below a folder that holds the text, for secrets that must be nowhere. */
export function filesWith(folder: string, text: string): readonly string[] {
  return filesBelow(folder).filter((path) => readFileSync(path).includes(text));
}

export function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}

/** Sizes of the downloads under way, bytes. */
export function partialSizes(work: Workspace): readonly number[] {
  return filesBelow(work.path('.res', 'partial'))
    .filter((path) => !path.includes('.json'))
    .map((path) => statSync(path).size);
}
