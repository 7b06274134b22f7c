// One commit of a repository on this machine: fetched with as little history as its server allows into a bare repository of its
// own, and read out of it object by object. There is no checkout: attributes, filters and line endings have no say.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ResError } from '../model/error.js';
import type { Mirror } from '../model/manifest.js';
import { ByteReader } from '../store/byte-reader.js';
import { errorCode, ioError } from '../store/files.js';
import type { Failure } from './failure.js';
import { placesOf, shownAddress } from './git-address.js';
import { type GitOptions, gitLocal, gitPipe, gitRemote, isNotThere, REMOTE } from './git-program.js';
import { isFailure, type RetryPolicy, retrying } from './retry.js';
import type { TreeEntry } from './source.js';

/** Of a link's target, and of a line of `git cat-file`, bytes. */
const MAX_LINE = 64 * 1024;

export function isFullCommit(text: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/i.test(text);
}

export interface Insisting {
  readonly retry: RetryPolicy;
  readonly mirrors: readonly Mirror[];
  readonly onNotice: (message: string) => void;
}

/** Tries the places in order, each with patience. Rejects with the first place's ResError when none gives it. */
export async function firstPlace<T>(
  o: GitOptions & Insisting,
  places: readonly string[],
  attempt: (place: string) => Promise<{ readonly kind: 'got'; readonly value: T } | Failure>,
): Promise<T> {
  const failures: Failure[] = [];
  for (const [i, place] of places.entries()) {
    const hasOther = i < places.length - 1;
    const result = await retrying(() => attempt(place), {
      policy: o.retry,
      signal: o.signal,
      giveUp: (failure) => hasOther && failure.unreachable === true,
      onRetry: o.onNotice,
    });
    if (!isFailure(result)) return result.value;
    failures.push(result);
    if (hasOther) o.onNotice(`${result.error.message}; taking the next address`);
  }
  // The address itself is asked last: what it says counts.
  throw failures.at(-1)?.error ?? new Error('a repository without an address');
}

export interface Wanted {
  /** Absolute. */
  readonly address: string;
  /** Full id. */
  readonly commit: string;
  /** What it was found by, where servers give no commit by its id alone. */
  readonly ref?: string;
}

/** A bare repository that has the commit and all that is in it. */
export interface Repository extends Wanted {
  readonly gitDir: string;
  /** Id of the commit's tree. */
  readonly tree: string;
  /** Bytes that came over the network for it. */
  readonly fetchedBytes: number;
}

/**
 * Makes the repository below `folder`, or finds the one that an interrupted build had finished; one that it had not is begun
 * anew. Rejects with ResError `lock-mismatch` when the commit is not there (any more), and as `gitRemote` fails.
 */
export async function obtain(
  o: GitOptions & Insisting,
  folder: string,
  wanted: Wanted,
  onPercent: (percent: number) => void,
): Promise<Repository> {
  const { address, commit } = wanted;
  const name = createHash('sha256').update(`${address}\n${commit}`).digest('hex').slice(0, 32);
  const gitDir = join(folder, `${name}.git`);
  const before = await treeOf(o, gitDir, DONE);
  if (before !== undefined) return { ...wanted, gitDir, tree: before, fetchedBytes: 0 };
  try {
    await rm(gitDir, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw ioError(error, 'cannot make the folder', gitDir);
  }
  const format = commit.length === 64 ? ['--object-format=sha256'] : [];
  await gitLocal(o, gitDir, ['init', '--quiet', '--bare', '--template=', ...format]);
  const places = placesOf(address, o.mirrors);
  await firstPlace(o, places, (place) => fetchFrom(o, gitDir, { ...wanted, address: place }, onPercent));
  const tree = await treeOf(o, gitDir, commit);
  if (tree === undefined)
    throw new ResError('lock-mismatch', `${shownAddress(address)}: ${commit} is no commit`);
  // Written last: what is not all there has no such name.
  await gitLocal(o, gitDir, ['update-ref', DONE, commit]);
  return { ...wanted, gitDir, tree, fetchedBytes: await packedBytes(gitDir) };
}

const DONE = 'refs/res/done';

/** Undefined when the repository has no such commit, or there is none. */
async function treeOf(o: GitOptions, gitDir: string, commit: string): Promise<string | undefined> {
  try {
    await stat(gitDir);
    const printed = await gitLocal(o, gitDir, [
      'rev-parse',
      '--quiet',
      '--verify',
      `${commit}^{commit}^{tree}`,
    ]);
    return printed.trim();
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    if (error instanceof ResError && error.code === 'command-failed') return undefined;
    throw error;
  }
}

const SHALLOW = '--depth=1';

/**
 * The commit by its id, without its history; from a server that gives none by its id, by the ref that it was found by; and at last
 * by all there is.
 */
async function fetchFrom(
  o: GitOptions,
  gitDir: string,
  { address, commit, ref }: Wanted,
  onPercent: (percent: number) => void,
): Promise<{ readonly kind: 'got'; readonly value: undefined } | Failure> {
  const onStderr = percentOfFetch(onPercent);
  const named = ref === undefined || isFullCommit(ref) ? [] : [ref];
  const ways: readonly (readonly string[])[] = [
    [SHALLOW, REMOTE, `${commit}:refs/res/fetched`],
    ...named.map((name) => [SHALLOW, REMOTE, `+${name}:refs/res/fetched`]),
    ...named.map((name) => [REMOTE, `+${name}:refs/res/fetched`]),
    [REMOTE, '+refs/heads/*:refs/res/heads/*', '+refs/tags/*:refs/res/tags/*'],
  ];
  let last: Failure | undefined;
  for (const way of ways) {
    const isDeep = !way.includes(SHALLOW) && existsSync(join(gitDir, 'shallow'));
    const depth = isDeep ? ['--unshallow'] : ['--update-shallow'];
    const args = ['fetch', '--progress', '--no-write-fetch-head', ...depth, ...way];
    const result = await gitRemote(o, args, { address, gitDir, onStderr });
    if (isFailure(result)) {
      if (!isNotThere(result)) return result;
      last = result;
    } else if ((await treeOf(o, gitDir, commit)) !== undefined) return { kind: 'got', value: undefined };
  }
  const error = new ResError('lock-mismatch', `${shownAddress(address)} does not have the commit ${commit}`, {
    hint: `It may have been replaced (a forced push), or never been there. \`res update\` locks what ${ref ?? 'the ref'} stands for now.`,
    ...(last ? { cause: last.error } : {}),
  });
  return { kind: 'failed', error, retry: 'no' };
}

/** Reads git's progress, however the text is cut. */
function percentOfFetch(report: (percent: number) => void): (text: string) => void {
  let rest = '';
  return (text) => {
    rest += text;
    const last = [...rest.matchAll(/(Receiving objects|Resolving deltas):\s+(\d+)%/g)].at(-1);
    if (last) report(last[1] === 'Resolving deltas' ? 95 + Number(last[2]) * 0.05 : Number(last[2]) * 0.95);
    rest = rest.slice(-64);
  };
}

async function packedBytes(gitDir: string): Promise<number> {
  const folder = join(gitDir, 'objects', 'pack');
  let bytes = 0;
  for (const name of await readdir(folder))
    if (name.endsWith('.pack')) bytes += (await stat(join(folder, name))).size;
  return bytes;
}

/** What stands in a commit's tree, folders left out. */
export interface Listed {
  readonly type: 'file' | 'symlink' | 'submodule';
  readonly executable: boolean;
  readonly id: string;
  /** Bytes; 0 of a submodule. */
  readonly size: number;
  readonly path: string;
}

export async function listTree(o: GitOptions, { gitDir, commit }: Repository): Promise<readonly Listed[]> {
  const printed = await gitLocal(o, gitDir, ['ls-tree', '-r', '-z', '-l', '--full-tree', commit]);
  return printed.split('\0').flatMap((line): Listed[] => {
    const [, mode = '', , id = '', size = '', path = ''] =
      /^(\d+) (\w+) ([0-9a-f]+) +(\d+|-)\t(.*)$/s.exec(line) ?? [];
    if (path === '') return [];
    const type = mode === '160000' ? 'submodule' : mode === '120000' ? 'symlink' : 'file';
    return [{ type, executable: mode === '100755', id, size: type === 'submodule' ? 0 : Number(size), path }];
  });
}

/** Path to address of all that `.gitmodules` names; empty when there is none. */
export async function listSubmodules(
  o: GitOptions,
  { gitDir, commit }: Repository,
): Promise<ReadonlyMap<string, string>> {
  const blob = `${commit}:.gitmodules`;
  const printed = await gitLocal(o, gitDir, [
    'config',
    '--null',
    '--blob',
    blob,
    '--get-regexp',
    '^submodule\\..*\\.(path|url)$',
  ]);
  const modules = new Map<string, { path?: string; url?: string }>();
  for (const setting of printed.split('\0')) {
    const end = setting.indexOf('\n');
    if (end === -1) continue;
    const key = setting.slice(0, end);
    const value = setting.slice(end + 1);
    const name = key.slice(0, key.lastIndexOf('.'));
    const module = modules.get(name) ?? {};
    if (key.endsWith('.path')) module.path = value;
    else module.url = value;
    modules.set(name, module);
  }
  const found = new Map<string, string>();
  for (const { path, url } of modules.values())
    if (path !== undefined && url !== undefined) found.set(path, url);
  return found;
}

/** The listed files and links, each with its bytes as they stand in the repository. Throws ResError `corrupt-input`. */
export async function* readListed(
  o: GitOptions,
  { gitDir, address }: Repository,
  listed: readonly Listed[],
  prefix: string,
): AsyncGenerator<TreeEntry> {
  async function* ids(): AsyncGenerator<Uint8Array> {
    for (const { id } of listed) yield Buffer.from(`${id}\n`);
  }
  const reader = new ByteReader(gitPipe(o, gitDir, ['cat-file', '--batch'], ids()));
  const damaged = (id: string) =>
    new ResError('corrupt-input', `${shownAddress(address)}: what was fetched of it is damaged (${id})`, {
      hint: 'The next build fetches it anew.',
    });
  try {
    for (const { type, executable, id, size, path } of listed) {
      const header = await takeLine(reader);
      if (header !== `${id} blob ${size}`) throw damaged(id);
      const name = `${prefix}${path}`;
      if (type === 'symlink') {
        if (size > MAX_LINE) throw damaged(id);
        const target = Buffer.from(await reader.take(size)).toString('utf8');
        await reader.take(1);
        yield { name, type: 'symlink', size: 0, executable: false, target, content: nothing };
        continue;
      }
      let left = size;
      yield {
        name,
        type: 'file',
        size,
        executable,
        target: '',
        async *content() {
          while (left > 0) {
            const piece = await reader.some(left);
            if (piece === undefined) throw damaged(id);
            left -= piece.length;
            yield piece;
          }
        },
      };
      while (left > 0) {
        const piece = await reader.some(left);
        if (piece === undefined) throw damaged(id);
        left -= piece.length;
      }
      await reader.take(1);
    }
    // Its exit status counts too.
    if ((await reader.peek(1)).length > 0) throw damaged('more than was asked for');
  } catch (error) {
    if (!(error instanceof ResError) || error.code !== 'command-failed') throw error;
    throw damaged(error.command?.tail.at(-1) ?? error.message);
  } finally {
    await reader.close();
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

async function takeLine(reader: ByteReader): Promise<string> {
  for (let length = 128; ; length *= 2) {
    const bytes = await reader.peek(length);
    const end = bytes.indexOf(10);
    if (end === -1 && bytes.length === length && length < MAX_LINE) continue;
    if (end === -1) return '';
    const line = Buffer.from(await reader.take(end + 1)).toString('latin1', 0, end);
    return line;
  }
}
