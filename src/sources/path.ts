// `path: FILE or GLOB`: files of the workspace, hashed where they lie.
import { type BigIntStats, type Dirent, statSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import picomatch from 'picomatch';
import { nearest } from '../manifest/nearest.js';
import { ResError } from '../model/error.js';
import type { JsonObject } from '../model/json.js';
import { areLooksNoted, sawContent, sawFile, spoilLooks } from '../model/looks.js';
import { errorCode, ioError } from '../store/files.js';
import { textOf } from './recipe.js';
import type { Source } from './source.js';

export interface WorkspaceFile {
  /** Without folder. */
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  readonly type: 'file' | 'directory';
}

export const pathSource: Source = {
  name: 'path',
  place: 'workspace',
  lies: true,
  many: (recipe) => recipe.literal !== true && picomatch.scan(textOf(recipe.path, 'path')).isGlob,
  references: () => [],
  identity: (recipe) => textOf(recipe.path, 'path'),
  async resolve(recipe, { dir }) {
    const files = await workspaceFiles(recipe, dir);
    return { files: files.map(({ name, path }) => ({ name, url: pathToFileURL(path).href })) };
  },
  async locate(_recipe, entry) {
    return entry.files.map(({ url }) => ({ urls: [url] }));
  },
  pins: () => undefined,
};

/** What a `path` recipe stands for: a path that is `literal` is no pattern, and may be that of a directory. Rejects as `expandPath`. */
export async function workspaceFiles(recipe: JsonObject, dir: string): Promise<readonly WorkspaceFile[]> {
  const written = textOf(recipe.path, 'path');
  if (recipe.literal !== true) return expandPath(written, dir);
  const path = resolve(dir, written);
  const stats = lookUp(path);
  if (stats?.isFile()) return [{ name: basename(path), path, type: 'file' }];
  if (stats?.isDirectory()) return [{ name: basename(path), path, type: 'directory' }];
  if (stats === undefined) throw await missing(written, path);
  throw new ResError('file-not-found', `${written} is neither a file nor a folder`);
}

/**
 * The files that a path or glob (`*`, `**`, `?`, `[…]`, `{…}`) stands for, sorted by their path below `dir`, by code unit. Hidden
 * files match only a pattern that names the dot; `**` does not follow links to folders. A file whose very name is the
 * pattern is that file. Rejects with ResError `file-not-found` when there is none.
 */
export async function expandPath(pattern: string, dir: string): Promise<readonly WorkspaceFile[]> {
  const literal = resolve(dir, pattern);
  const found = lookUp(literal);
  if (found?.isFile() === true) return [{ name: basename(literal), path: literal, type: 'file' }];
  const { base, glob, isGlob } = picomatch.scan(pattern);
  if (!isGlob) {
    if (found !== undefined) {
      throw new ResError('file-not-found', `${pattern} is not a file`, {
        hint: `For the files in it: ${pattern}/*`,
      });
    }
    throw await missing(pattern, literal);
  }
  const root = resolve(dir, base);
  const matches = picomatch(glob);
  // Braces may hold slashes, `**` any number of folders; otherwise the glob says how deep to look.
  const depth = /\*\*|\{[^}]*\//.test(glob) ? Number.POSITIVE_INFINITY : glob.split('/').length;
  const paths = (await walk(root, '', depth)).filter((path) => matches(path)).sort();
  if (paths.length === 0) {
    throw new ResError('file-not-found', `no file matches ${pattern}`, { hint: `Looked in ${root}.` });
  }
  return paths.map((path) => ({ name: basename(path), path: resolve(root, path), type: 'file' }));
}

/** The file that a pattern without anything special in it stands for; undefined when it is not that simple. Throws ResError `io`. */
export function plainFile(
  pattern: string,
  dir: string,
): (WorkspaceFile & { readonly stats: BigIntStats }) | undefined {
  const path = resolve(dir, pattern);
  const stats = lookUp(path);
  return stats?.isFile() ? { name: basename(path), path, type: 'file', stats } : undefined;
}

function lookUp(path: string): BigIntStats | undefined {
  try {
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
    sawFile(path, stats);
    return stats;
  } catch (error) {
    spoilLooks();
    // What should be a folder is a file, or a link leads in a circle.
    if (['ENOTDIR', 'ELOOP', 'ENAMETOOLONG'].includes(errorCode(error) ?? '')) return undefined;
    throw ioError(error, 'cannot read', path);
  }
}

/** Paths of all files below `root`, relative to it, with `/`. */
async function walk(root: string, below: string, depth: number): Promise<readonly string[]> {
  const found: string[] = [];
  for (const entry of await entriesOf(resolve(root, below))) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    const type = entry.isSymbolicLink() ? await linkType(resolve(root, path)) : typeOf(entry);
    if (type === 'file') found.push(path);
    const enter =
      type === 'folder' && depth > 1 && !(entry.isSymbolicLink() && depth === Number.POSITIVE_INFINITY);
    // `.res`, `.git`: nothing that a glob means.
    if (enter && !entry.name.startsWith('.')) found.push(...(await walk(root, path, depth - 1)));
  }
  return found;
}

async function entriesOf(folder: string): Promise<readonly Dirent[]> {
  try {
    if (areLooksNoted()) sawContent(folder, statSync(folder, { bigint: true }));
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') {
      sawFile(folder, undefined);
      return [];
    }
    throw ioError(error, 'cannot read', folder);
  }
}

function typeOf(entry: { isFile(): boolean; isDirectory(): boolean }): 'file' | 'folder' | 'other' {
  return entry.isFile() ? 'file' : entry.isDirectory() ? 'folder' : 'other';
}

async function linkType(path: string): Promise<'file' | 'folder' | 'other'> {
  try {
    const stats = await stat(path, { bigint: true });
    sawFile(path, stats);
    return typeOf(stats);
  } catch (error) {
    // A link to nowhere is no file.
    if (errorCode(error) === 'ENOENT') {
      sawFile(path, undefined);
      return 'other';
    }
    spoilLooks();
    if (errorCode(error) === 'ELOOP') return 'other';
    throw ioError(error, 'cannot read', path);
  }
}

async function missing(pattern: string, path: string): Promise<ResError> {
  const names = (await entriesOf(dirname(path))).map(({ name }) => name);
  const near = nearest(basename(path), names);
  const instead =
    near === undefined ? undefined : `${pattern.slice(0, pattern.length - basename(pattern).length)}${near}`;
  return new ResError('file-not-found', `no such file: ${pattern}`, {
    hint: instead === undefined ? `Looked for ${path}.` : `Did you mean ${instead}?`,
  });
}
