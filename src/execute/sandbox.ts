// A sandbox for programs of the user's: the workspace is hidden from them but for their scratch directory, and so is the network
// where they are to have none. It keeps a recipe from reading what it did not declare; it is no wall against malice.
//
// Bubblewrap does it where it is installed, else `unshare` of util-linux with mounts of its own. Both put the program into a
// namespace of processes, too: nothing that it starts outlives it, or res.
import { existsSync, realpathSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, sep } from 'node:path';
import { execa } from 'execa';
import type { Env } from '../model/env.js';
import { ResError } from '../model/error.js';
import { findProgram, searchPath } from '../plan/tools.js';
import type { Workspace } from '../plan/workspace.js';

export const SANDBOX_MODES = ['auto', 'off', 'require'] as const;
export type SandboxMode = (typeof SANDBOX_MODES)[number];

/** RES_SANDBOX, or `auto`. Throws ResError `config-invalid`. */
export function sandboxMode({ RES_SANDBOX: wanted }: Env): SandboxMode {
  if (wanted === undefined || wanted === '') return 'auto';
  const mode = SANDBOX_MODES.find((each) => each === wanted);
  if (mode) return mode;
  throw new ResError('config-invalid', `RES_SANDBOX is ${wanted}`, {
    hint: `It can be ${SANDBOX_MODES.join(', ')}.`,
  });
}

/** A file or directory that is to be seen at another path, and not to be written to. Both paths absolute; both exist. */
export interface ReadOnlyMount {
  readonly from: string;
  readonly to: string;
}

/** What of the machine a program is to see. All paths absolute, without symbolic links. */
export interface Confinement {
  /** The one folder below the hidden ones that stays as it is. */
  readonly scratch: string;
  readonly cwd: string;
  /** Folders, none within another. */
  readonly hidden: readonly string[];
  /** Folders below them that can be read all the same. */
  readonly readable: readonly string[];
  readonly mounts: readonly ReadOnlyMount[];
  readonly network: boolean;
}

export interface Sandbox {
  /** In a few words, for a person. */
  readonly name: string;
  /** The command that runs `line` confined. It starts in `cwd`. */
  wrap(line: readonly [string, ...string[]], confinement: Confinement): [string, ...string[]];
}

/** What is hidden from the programs of a workspace: its folder, the outputs and the store. */
export function hiddenFolders({ graph, paths, env }: Workspace): Pick<Confinement, 'hidden' | 'readable'> {
  const { dir, outputDir } = graph.manifest;
  // A folder that the system itself lies in stays; what res keeps is hidden then.
  const wanted = [dir, outputDir, paths.store, paths.root]
    .filter(existsSync)
    .map((path) => realpathSync(path));
  const hideable = [...new Set(wanted)].filter((path) => !SYSTEM.some((folder) => isWithin(folder, path)));
  const hidden = hideable.filter(
    (path) => !hideable.some((other) => other !== path && isWithin(path, other)),
  );
  const programs = searchPath(env)
    .filter(existsSync)
    .map((path) => realpathSync(path));
  const readable = [...new Set(programs)].filter((path) =>
    hidden.some((folder) => folder !== path && isWithin(path, folder)),
  );
  return { hidden, readable };
}

const SYSTEM = ['/usr', '/bin', '/lib', '/etc', '/dev', '/proc', '/sys', '/run'];

function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`));
}

/** The sandbox to run programs in; undefined for none. Rejects with ResError `sandbox-unavailable` where one is required. */
export async function chooseSandbox(env: Env): Promise<Sandbox | undefined> {
  const mode = sandboxMode(env);
  if (mode === 'off') return undefined;
  const found = await findSandbox(env);
  if (found || mode === 'auto') return found;
  throw new ResError('sandbox-unavailable', 'a sandbox is required, and none works here', {
    hint: SANDBOX_HINT,
  });
}

/** Before anything is done: rejects as `chooseSandbox`. Nothing is tried where none is required. */
export async function checkSandbox(env: Env): Promise<void> {
  if (sandboxMode(env) === 'require') await chooseSandbox(env);
}

export const SANDBOX_HINT =
  'Install bubblewrap, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, or kernel.apparmor_restrict_unprivileged_userns=0); in a container, run it with the capability SYS_ADMIN. `--sandbox auto` goes on without.';

const probed = new Map<string, Promise<Sandbox | undefined>>();

/** The first that works, found out once by trying. */
export function findSandbox(env: Env): Promise<Sandbox | undefined> {
  const path = searchPath(env).join(':');
  const known = probed.get(path) ?? probe(env);
  probed.set(path, known);
  return known;
}

async function probe(env: Env): Promise<Sandbox | undefined> {
  for (const sandbox of candidates(env)) if (await works(sandbox, env)) return sandbox;
  return undefined;
}

function candidates(env: Env): readonly Sandbox[] {
  const isRoot = process.geteuid?.() === 0;
  const bwrap = findProgram('bwrap', env);
  const unshare = findProgram('unshare', env);
  return [
    ...(bwrap === undefined ? [] : [bubblewrap(bwrap, isRoot)]),
    ...(unshare === undefined || !isRoot ? [] : [namespaces(unshare, 'none')]),
    ...(unshare === undefined ? [] : [namespaces(unshare, isRoot ? 'root' : 'user')]),
  ];
}

/** All that it is asked for is tried, in a folder of its own. */
async function works(sandbox: Sandbox, env: Env): Promise<boolean> {
  const folder = realpathSync(await mkdtemp(join(tmpdir(), 'res-sandbox-')));
  try {
    const workspace = join(folder, 'workspace');
    const scratch = join(workspace, '.res', 'run', 'probe');
    await mkdir(scratch, { recursive: true });
    await mkdir(join(workspace, 'bin'));
    const store = join(folder, 'store');
    await mkdir(store);
    for (const path of [join(workspace, 'secret'), join(folder, 'input'), join(scratch, 'in')])
      await writeFile(path, `${path}\n`);
    const line: [string, ...string[]] = ['/bin/sh', '-c', PROBE, 'res', workspace];
    const [file, ...args] = sandbox.wrap(line, {
      scratch,
      cwd: scratch,
      hidden: [workspace, store],
      readable: [join(workspace, 'bin')],
      mounts: [{ from: join(folder, 'input'), to: join(scratch, 'in') }],
      network: false,
    });
    await mkdir(stageOf(scratch), { recursive: true });
    const { exitCode } = await execa(file, args, {
      cwd: scratch,
      stdin: 'ignore',
      reject: false,
      cleanup: false,
      timeout: 10_000,
      extendEnv: false,
      env: { PATH: env.PATH, LANG: 'C.UTF-8' },
    });
    return exitCode === 0;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** With nothing but the shell: the rest of PATH may be anything. */
const PROBE = `test -d "$1/bin" && test ! -e "$1/secret" && read -r line < in && case $line in */input) ;; *) exit 1 ;; esac &&
! { echo > in; } 2> /dev/null && ! { echo > "$1/new"; } 2> /dev/null && echo > made`;

function bubblewrap(program: string, isRoot: boolean): Sandbox {
  return {
    name: 'bubblewrap',
    wrap: (line, { scratch, cwd, hidden, readable, mounts, network }) => [
      program,
      '--dev-bind',
      '/',
      '/',
      '--unshare-pid',
      '--proc',
      '/proc',
      '--die-with-parent',
      ...(network ? [] : ['--unshare-net']),
      // As without a sandbox: who builds the root of a system changes owners.
      ...(isRoot ? ['--cap-add', 'ALL'] : []),
      ...hidden.flatMap((folder) => ['--tmpfs', folder]),
      '--bind',
      scratch,
      scratch,
      ...readable.flatMap((folder) => ['--ro-bind', folder, folder]),
      ...mounts.flatMap(({ from, to }) => ['--ro-bind', from, to]),
      ...hidden.flatMap((folder) => ['--remount-ro', folder]),
      '--chdir',
      cwd,
      '--',
      ...line,
    ],
  };
}

/** @param as whom a namespace of users makes of this one: `none` where none is needed, `root` where it is to stay root in it */
function namespaces(program: string, as: 'none' | 'root' | 'user'): Sandbox {
  const users = {
    none: [],
    root: ['--user', '--map-root-user'],
    user: ['--user', '--map-current-user', '--keep-caps'],
  }[as];
  return {
    name: `unshare (namespaces of ${as === 'none' ? '' : 'users, '}mounts and processes)`,
    wrap: (line, { scratch, cwd, hidden, readable, mounts, network }) => [
      program,
      ...users,
      '--mount',
      '--pid',
      '--fork',
      '--kill-child',
      ...(network ? [] : ['--net']),
      '--',
      '/bin/sh',
      '-c',
      SET_UP,
      'res',
      stageOf(scratch),
      cwd,
      as,
      ...mounts.flatMap(({ from, to }) => ['mount', from, to]),
      // The one that the stage lies in comes last.
      ...hidden
        .toSorted(inner(scratch))
        .flatMap((folder) => [
          'hide',
          folder,
          ...(isWithin(scratch, folder) ? ['keep', scratch.slice(folder.length)] : []),
          ...readable
            .filter((path) => isWithin(path, folder))
            .flatMap((path) => ['show', path.slice(folder.length)]),
          'done',
        ]),
      '--',
      ...line,
    ],
  };
}

/** Puts the folder that a path lies in behind all others. */
function inner(path: string): (a: string, b: string) => number {
  return (a, b) => Number(isWithin(path, a)) - Number(isWithin(path, b));
}

/** Where what takes the place of a hidden folder is put together; it must exist. */
export function stageOf(scratch: string): string {
  return join(dirname(scratch), '.stage');
}

/**
 * The first process of the namespace: mounts (`-n`: the system's list of mounts is not its to write to), and then waits for the program. As the first one it would be deaf to signals that
 * it does not ask for, and so the program is not made of it; it takes them, and goes on waiting.
 */
const SET_UP = `set -e
stage=$1 cwd=$2 as=$3 path=$PATH
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
shift 3
readonly_() {
  mount -n -o remount,bind,ro "$1" 2>/dev/null || mount -n -o remount,bind,ro,nosuid,nodev "$1" 2>/dev/null ||
    mount -n -o remount,bind,ro,nosuid,nodev,noexec "$1"
}
while [ "$1" != -- ]; do
  case $1 in
    mount) mount -n --bind "$2" "$3"; readonly_ "$3"; shift 3 ;;
    hide) hidden=$2; mount -n -t tmpfs -o mode=755 tmpfs "$stage"; shift 2 ;;
    keep) mkdir -p "$stage$2"; mount -n --rbind "$hidden$2" "$stage$2"; shift 2 ;;
    show) mkdir -p "$stage$2"; mount -n --rbind "$hidden$2" "$stage$2"; readonly_ "$stage$2"; shift 2 ;;
    done) mount -n -o remount,ro "$stage"; mount -n --move "$stage" "$hidden"; shift ;;
  esac
done
shift
mount -n -t proc proc /proc 2>/dev/null || :
ip link set lo up 2>/dev/null || :
cd "$cwd"
trap : TERM INT HUP
set +e
if [ "$as" = user ]; then set -- setpriv --inh-caps=-all --ambient-caps=-all "$@"; fi
PATH=$path
"$@"
exit $?`;
