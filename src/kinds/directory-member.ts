// One file out of an input that is a directory: by its path, or by a glob that only it matches.
import { createReadStream } from 'node:fs';
import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { ResError } from '../model/error.js';
import { errorCode, ioError } from '../store/files.js';
import { plainName, quote } from './archive.js';
import { matcher } from './extraction.js';
import { inputOf, nameOf } from './input.js';
import type { KindContext } from './kind.js';
import { ambiguousMember, memberNotFound } from './member-errors.js';

const PIECE = 1024 * 1024;

/** Throws ResError `member-not-found`, `bad-format` for what is no directory, `unsafe-archive` for a link that leads out of it, `io`. */
export async function* fileInDirectory(context: KindContext, pattern: string): AsyncGenerator<Uint8Array> {
  const input = inputOf(context);
  const what = nameOf(input);
  const [item, ...others] = input.items;
  if (item?.type !== 'directory' || others.length > 0) {
    throw new ResError('bad-format', `${what} is no directory that \`member\` could name a file of`, {
      hint: `Take \`member\` out; or, if it is an archive: \`extract: ${input.node}\`, with that \`member\`.`,
    });
  }
  const [root = ''] = await input.paths();
  const name = await find(root, pattern, what, context.signal);
  const path = await within(root, name, what);
  const { mode } = await stat(path);
  context.member(name, { executable: (mode & 0o100) !== 0 });
  try {
    for await (const piece of createReadStream(path, { highWaterMark: PIECE, signal: context.signal }))
      yield piece;
  } catch (error) {
    context.signal.throwIfAborted();
    throw ioError(error, 'cannot read', path);
  }
}

async function find(root: string, pattern: string, what: string, signal: AbortSignal): Promise<string> {
  const plain = plainName(pattern);
  if (!plain.split('/').includes('..') && (await isFile(join(root, plain)))) return plain;
  const matches = matcher(pattern);
  const names = await filesBelow(root, '', signal);
  const found = names.filter(matches);
  const [only] = found;
  if (only === undefined) throw memberNotFound(what, pattern, names);
  if (found.length > 1) throw ambiguousMember(what, pattern, found);
  return only;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return !(await lstat(path)).isDirectory();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'].includes(errorCode(error) ?? '')) return false;
    throw ioError(error, 'cannot read', path);
  }
}

/** Paths of files and links, relative to `root`, sorted. */
async function filesBelow(root: string, below: string, signal: AbortSignal): Promise<readonly string[]> {
  signal.throwIfAborted();
  const folder = join(root, below);
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw ioError(error, 'cannot read the folder', folder);
  });
  const found: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) found.push(...(await filesBelow(root, path, signal)));
    else found.push(path);
  }
  return found;
}

/** Where the file lies, links followed: never outside of the directory. */
async function within(root: string, name: string, what: string): Promise<string> {
  const top = await realpath(root);
  const path = await realpath(join(root, name)).catch((error: unknown) => {
    if (errorCode(error) !== 'ENOENT') throw ioError(error, 'cannot read', join(root, name));
    throw new ResError('member-not-found', `${what}: ${quote(name)} is a link that leads nowhere`);
  });
  if (!path.startsWith(`${top}${sep}`)) {
    throw new ResError(
      'unsafe-archive',
      `${what}: ${quote(name)} is a link that leads out of the directory`,
      {
        hint: 'Name the file that it leads to by a node of its own.',
      },
    );
  }
  if (!(await stat(path)).isFile()) {
    throw new ResError('member-not-found', `${what}: ${quote(name)} is not a file`, {
      hint: 'Name a regular file as `member`.',
    });
  }
  return path;
}
