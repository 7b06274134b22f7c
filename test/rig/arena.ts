// Where the crash campaigns take place: a small release with two variants on a server, folders that build it, alone or on one
// store, and all that must hold in them whenever a build has come to its end, whatever was killed before.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { digestFile } from '../../src/store/hashing.js';
import { type Run, runRes, startRes } from './cli.js';
import { type VswarmRelease, vswarmRelease } from './images.js';
import { seededBytes } from './random.js';
import { type ReleaseServer, startReleaseServer } from './release-server.js';
import { makeWorkspace, type Workspace } from './workspace.js';

export const ARCHS = ['amd64', 'arm64'] as const;
export type Arch = (typeof ARCHS)[number];

const REPO = 'lab/images';
const NOTES = 3;
const DEADLINE_MS = 60_000;

/** Every way in which an output comes about: fetched, streamed and checked, by a program, from a file of the user's, a folder. */
const MANIFEST = `res: 1
params:
  arch: { default: amd64, enum: [amd64, arm64] }
artifacts:
  kernel: { github: { repo: ${REPO}, release: v1, asset: "vmlinux-focal-\${arch}" }, output: kernel }
  client: { github: { repo: ${REPO}, release: v1, asset: "test-client-\${arch}" }, output: client, executable: true }
  parts: { github: { repo: ${REPO}, release: v1, asset: "disk-image-focal-\${arch}.qcow2.tar.gz.*" } }
  sums: { github: { repo: ${REPO}, release: v1, asset: "disk-image-focal-\${arch}.qcow2.sums" } }
  packed-notes: { path: notes.gz }
targets:
  merged: { merge: parts }
  qcow2: { extract: merged, member: "**/disk-image.qcow2", verify: { sums: sums }, output: disk-image.qcow2 }
  raw: { convert: qcow2, to: raw, output: disk-image.raw }
  tree: { extract: merged, output: tree }
  notes: { decompress: packed-notes, output: notes }
  all: { group: [kernel, client, qcow2, raw, tree, notes] }
default: [all]
`;

export interface Site {
  readonly work: Workspace;
  readonly env: Readonly<Record<string, string>>;
  /** Writes one of several contents of the file that the user owns. */
  setNotes(version: number): void;
  start(args: readonly string[], env?: Readonly<Record<string, string>>): Run;
  /** To its end; rejects unless it ended well. */
  run(args: readonly string[]): Promise<string>;
}

export interface Arena {
  readonly server: ReleaseServer;
  readonly sites: readonly Site[];
  /** Of the store that all sites share, if they do. */
  readonly store: string | undefined;
  /**
   * Builds these variants in turn at these sites, by index, or at all, and says what is wrong then: outputs, verify, anything
   * left behind. Empty: all is well. What could not be built is said and not thrown.
   */
  faults(archs: readonly Arch[], sites?: readonly number[]): Promise<readonly Fault[]>;
  close(): Promise<void>;
}

export interface Fault {
  /** `manual`: the next build did not succeed by itself; `loss`: other bytes than there should be; `leak`: what nobody will use. */
  readonly kind: 'manual' | 'loss' | 'leak';
  readonly text: string;
}

export async function openArena(
  o: { readonly sites?: number; readonly shared?: boolean } = {},
): Promise<Arena> {
  const { sites: many = 1, shared = false } = o;
  const server = await startReleaseServer();
  const releases = await Promise.all(
    ARCHS.map((arch) => vswarmRelease({ arch, size: { sizeMiB: 8, dataMiB: 0.5 }, partSize: 128 * 1024 })),
  );
  await server.release(REPO, 'v1', Object.assign({}, ...releases.map(({ assets }) => assets)));
  const common = makeWorkspace();
  const store = shared ? common.path('store') : undefined;
  const opened = Array.from({ length: many }, () => openSite(server, store));

  const faults: Arena['faults'] = async (archs, sites) => {
    const found: Fault[] = [];
    for (const site of opened) found.push(...(await survivors(site)));
    for (const [i, site] of opened.entries()) {
      if (sites && !sites.includes(i)) continue;
      for (const arch of archs) {
        const release = releases.find((one) => one.arch === arch);
        if (release) found.push(...(await faultsAfterBuild(site, arch, release)));
      }
      found.push(...(await leaksAfterWork(site)));
      found.push(...(await wrongObjects(store ?? site.work.path('.res/store'))));
    }
    if (store !== undefined) found.push(...storeLeaks(store));
    return found;
  };

  return {
    server,
    sites: opened,
    store,
    faults,
    async close() {
      for (const { work } of opened) work.remove();
      common.remove();
      await server.close();
    },
  };
}

function openSite(server: ReleaseServer, store: string | undefined): Site {
  const work = makeWorkspace(MANIFEST);
  mkdirSync(work.path('temporary'));
  const env = {
    GITHUB_API_URL: server.apiUrl,
    TMPDIR: work.path('temporary'),
    ...(store === undefined ? {} : { RES_STORE: store }),
  };
  const setNotes = (version: number) => work.write('notes.gz', gzipSync(notesOf(version)));
  setNotes(0);
  return {
    work,
    env,
    setNotes,
    start: (args, more = {}) =>
      startRes(args, { cwd: work.dir, env: { ...env, ...more }, timeoutMs: DEADLINE_MS }),
    async run(args) {
      const result = await runRes(args, { cwd: work.dir, env, timeoutMs: DEADLINE_MS });
      if (result.status !== 0)
        throw new Error(
          `res ${args.join(' ')}: exit status ${result.status}\n${result.stdout}\n${result.stderr}`,
        );
      return result.stdout;
    },
  };
}

function notesOf(version: number): Buffer {
  return seededBytes(`notes ${version % NOTES}`, 200_000);
}

/** What builds the variant without a manual step, and how its bytes are then. */
async function faultsAfterBuild(site: Site, arch: Arch, release: VswarmRelease): Promise<readonly Fault[]> {
  const { work } = site;
  for (const args of [
    ['build', '--arch', arch],
    ['verify', '--arch', arch],
  ]) {
    try {
      await site.run(args);
    } catch (error) {
      return [{ kind: args[0] === 'build' ? 'manual' : 'loss', text: String(error) }];
    }
  }
  const asset = (name: string) => readFileSync(release.assets[name]?.path ?? '');
  const qcow2 = readFileSync(release.qcow2);
  const expected: Readonly<Record<string, Buffer>> = {
    kernel: asset(release.kernel),
    client: asset(release.client),
    'disk-image.qcow2': qcow2,
    'disk-image.raw': readFileSync(release.raw),
    'tree/temp/disk-image.qcow2': qcow2,
  };
  const packed = sum(work.read('notes.gz'));
  const version = [0, 1, 2].find((one) => sum(gzipSync(notesOf(one))) === packed) ?? -1;
  return Object.entries({ ...expected, notes: notesOf(version) }).flatMap(([name, bytes]): Fault[] => {
    const path = work.path('resources', name);
    if (!existsSync(path)) return [{ kind: 'loss', text: `${name} of ${arch} is not there` }];
    const is = readFileSync(path);
    return is.equals(bytes) ? [] : [{ kind: 'loss', text: `${name} of ${arch} has other bytes` }];
  });
}

function sum(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A build that finds all in its place looks no further: what was left is gone after the next one that has work. */
async function leaksAfterWork(site: Site): Promise<readonly Fault[]> {
  if (leaks(site).length === 0) return [];
  try {
    await site.run(['clean', 'notes']);
    await site.run(['build', 'notes']);
  } catch (error) {
    return [{ kind: 'manual', text: String(error) }];
  }
  return leaks(site);
}

/** What nobody will ever use again once all variants that were begun are built. */
function leaks({ work }: Site): readonly Fault[] {
  const found = [
    ...below(work.path('.res/tmp'), true),
    ...below(work.path('.res/store/tmp'), true),
    ...below(work.path('.res/partial')),
    ...below(work.path('temporary'), true),
    ...below(work.path('resources'), true).filter((path) => /\/\.[^/]*$/.test(path)),
    ...entries(work.path('.res/state')).filter((name) => !name.endsWith('.log')),
    // The last holder's file, and a block of the disk that is kept by for when there is no other.
    ...entries(work.path('.res/lock')).filter((name) => !/^(lock\.\d+|spare)$/.test(name)),
    ...entries(work.dir).filter((name) => name.startsWith('.') && name !== '.res'),
  ];
  const locks = entries(work.path('.res/lock')).filter((name) => name.startsWith('lock.'));
  const held = locks.filter((name) => readFileSync(work.path('.res/lock', name), 'utf8') !== 'free');
  return [
    ...found.map((path): Fault => ({ kind: 'leak', text: `left behind: ${path}` })),
    ...held.map((name): Fault => ({ kind: 'leak', text: `still locked: ${name}` })),
  ];
}

function storeLeaks(store: string): readonly Fault[] {
  return ['tmp', 'users', 'locks']
    .flatMap((folder) => below(join(store, folder), true))
    .map((path) => ({ kind: 'leak', text: `left behind in the store: ${path}` }));
}

/** Objects whose bytes are not what their name says; directories are left to `verify`. */
async function wrongObjects(store: string): Promise<readonly Fault[]> {
  const found: Fault[] = [];
  for (const [folder, algorithm] of [
    ['cas', 'sha256'],
    ['tree', 'derived'],
  ] as const) {
    for (const path of below(join(store, folder))) {
      const { digest } = await digestFile(path, algorithm);
      if (!digest.endsWith(`:${basename(path)}`)) found.push({ kind: 'loss', text: `${path} is ${digest}` });
    }
  }
  return found;
}

/** Processes that were started in the folder and still run a while after all was killed. */
async function survivors({ work }: Site): Promise<readonly Fault[]> {
  const end = performance.now() + 3000;
  for (;;) {
    const alive = processesIn(work.dir);
    if (alive.length === 0) return [];
    if (performance.now() > end)
      return alive.map((line) => ({ kind: 'leak', text: `still running: ${line}` }));
    await delay(10);
  }
}

function processesIn(dir: string): readonly string[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .flatMap((pid) => {
      try {
        if (!readlinkSync(`/proc/${pid}/cwd`).startsWith(dir)) return [];
        return [`${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')}`];
      } catch {
        // It has ended meanwhile, or is somebody else's.
        return [];
      }
    });
}

function entries(folder: string): readonly string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

/** Paths of the files below a folder, with `all` of the folders too. */
export function below(folder: string, all = false): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? [...(all ? [path] : []), ...below(path, all)] : [path];
  });
}

/** Turns one bit of a file. */
export function flipBit(path: string, random: () => number): void {
  const bytes = readFileSync(path);
  const at = Math.floor(random() * bytes.length);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
  writeFileSync(path, bytes);
}
