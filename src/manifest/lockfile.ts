// resources.lock.yaml: what every source resolved to. Written in one exact form, sorted, so that diffs read well and
// reading it back needs no YAML parser as long as nobody else wrote it.
import { closeSync, existsSync, fsyncSync, openSync, realpathSync, statSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join, parse, resolve } from 'node:path';
import type { Diagnostic } from '../model/diagnostic.js';
import { ResError } from '../model/error.js';
import { isJsonArray, isJsonObject, type Json } from '../model/json.js';
import type { Lock, LockEntry, LockedFile } from '../model/lock.js';
import { complaints } from './complaints.js';
import { manifestError, sortDiagnostics } from './diagnostics.js';
import { readText, type SourceText, systemCode } from './text.js';
import { validateLock } from './validate.generated.js';
import { parseYaml } from './yaml.js';

const HEADER = '# Written by res: what each source resolved to. Commit it; `res update` renews it.';

/** `resources.lock.yaml` beside `resources.yaml`. */
export function lockPath(manifestFile: string): string {
  const { dir, name } = parse(manifestFile);
  return join(dir, `${name}.lock.yaml`);
}

/** Empty when there is no lock yet. Throws ResError `lock-invalid`. */
export function readLock(file: string, cwd: string = process.cwd()): Lock {
  const source = readText(file, cwd);
  if ('diagnostic' in source) {
    if (source.missing) return { sources: {} };
    throw manifestError('lock-invalid', source.diagnostic.location?.file ?? file, [source.diagnostic]);
  }
  return readOwnForm(source.text) ?? readYaml(source);
}

/**
 * Writes the lock where it says something else than the file does, by a temporary name, fsync and rename.
 * Throws ResError `lock-invalid` when the file there is damaged, `io` when it cannot be written.
 */
export async function writeLock(file: string, lock: Lock): Promise<void> {
  const text = formatLock(lock);
  const present = readText(file, dirname(file));
  if ('text' in present && (present.text === text || formatLock(readLock(file)) === text)) return;
  if ('missing' in present && present.missing && Object.keys(lock.sources).length === 0) return;
  try {
    await replaceFile(file, text);
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    throw new ResError('io', `cannot write ${file}: ${error instanceof Error ? error.message : code}`, {
      cause: error,
    });
  }
}

/** The one text of a lock: sources by code unit, files in their own order. */
export function formatLock(lock: Lock): string {
  const sources = Object.keys(lock.sources).sort();
  const lines = [`${HEADER}\nlock: 1\n`, sources.length === 0 ? 'sources: {}\n' : 'sources:\n'];
  for (const source of sources) {
    const entry = lock.sources[source];
    if (!entry) continue;
    lines.push(`  ${scalar(source)}:\n`);
    if (entry.tag !== undefined) lines.push(`    tag: ${scalar(entry.tag)}\n`);
    if (entry.commit !== undefined) lines.push(`    commit: ${scalar(entry.commit)}\n`);
    if (entry.tree !== undefined) lines.push(`    tree: ${scalar(entry.tree)}\n`);
    lines.push(entry.files.length === 0 ? '    files: []\n' : '    files:\n');
    for (const { name, url, sha256, directory, size } of entry.files) {
      lines.push(`      - name: ${scalar(name)}\n        url: ${scalar(url)}\n`);
      if (sha256 !== undefined) lines.push(`        sha256: ${scalar(sha256)}\n`);
      if (directory !== undefined) lines.push(`        directory: ${scalar(directory)}\n`);
      if (size !== undefined) lines.push(`        size: ${size}\n`);
    }
  }
  return lines.join('');
}

/** Text that YAML takes for text without quotes, whatever parser reads it; a sha256 is text when a letter but e is in it. */
const PLAIN = /^(?:[A-Za-z][A-Za-z0-9._/@:+*?&%~-]*[A-Za-z0-9._/@+*?&%~-]|[0-9a-f]*[a-df][0-9a-f]*)$/;
const RESERVED = /^(?:true|false|null|yes|no|on|off)$/i;

function scalar(text: string): string {
  return PLAIN.test(text) && !RESERVED.test(text) ? text : JSON.stringify(text);
}

/**
 * Reads the form that `formatLock` writes, line by line; undefined for anything else, which is then read as YAML.
 * It takes only what YAML takes in the same sense: plain text where it is plain to YAML too, each key once.
 */
function readOwnForm(text: string): Lock | undefined {
  const lines = text.split('\n');
  let at = 0;

  const skip = (line: string): boolean => {
    if (lines[at] !== line) return false;
    at += 1;
    return true;
  };
  /** What stands between `before` and `after` in the current line, which is then done; undefined for another line. */
  const take = (before: string, after = '', read = readScalar): string | undefined => {
    const line = lines[at];
    if (line === undefined || !line.startsWith(before) || !line.endsWith(after)) return undefined;
    const value = read(line.slice(before.length, line.length - after.length));
    if (value !== undefined) at += 1;
    return value;
  };
  const takeFile = (): LockedFile | undefined => {
    const name = take('      - name: ');
    const url = name === undefined ? undefined : take('        url: ');
    if (name === undefined || url === undefined) return undefined;
    const hex = (value: string) => (SHA256.test(value) ? readScalar(value) : undefined);
    const sha256 = take('        sha256: ', '', hex);
    const directory = take('        directory: ', '', hex);
    const size = take('        size: ', '', (value) => (SIZE.test(value) ? value : undefined));
    return {
      name,
      url,
      ...(sha256 === undefined ? {} : { sha256 }),
      ...(directory === undefined ? {} : { directory }),
      ...(size === undefined ? {} : { size: Number(size) }),
    };
  };
  const takeFiles = (): readonly LockedFile[] | undefined => {
    if (skip('    files: []')) return [];
    if (!skip('    files:')) return undefined;
    const files: LockedFile[] = [];
    for (let file = takeFile(); file !== undefined; file = takeFile()) files.push(file);
    return files.length > 0 ? files : undefined;
  };

  if (!skip(HEADER) || !skip('lock: 1')) return undefined;
  const sources: Record<string, LockEntry> = {};
  if (!skip('sources: {}')) {
    if (!skip('sources:')) return undefined;
    for (let source = take('  ', ':'); source !== undefined; source = take('  ', ':')) {
      const tag = take('    tag: ');
      const commit = take('    commit: ');
      const tree = take('    tree: ');
      const files = takeFiles();
      if (files === undefined || source === '__proto__' || Object.hasOwn(sources, source)) return undefined;
      sources[source] = {
        ...(tag === undefined ? {} : { tag }),
        ...(commit === undefined ? {} : { commit }),
        ...(tree === undefined ? {} : { tree }),
        files,
      };
    }
  }
  return at === lines.length - 1 && lines[at] === '' ? { sources } : undefined;
}

const SHA256 = /^"?[0-9a-f]{64}"?$/;
const SIZE = /^(?:0|[1-9][0-9]{0,14})$/;

/** Text as `scalar` writes it. */
function readScalar(text: string): string | undefined {
  if (!text.startsWith('"')) return scalar(text) === text ? text : undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'string' ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Any YAML, with a place for every complaint. */
function readYaml(source: SourceText): Lock {
  const conflict = /^(?:<{7}|={7}|>{7}|\|{7})(?: .*)?\r?$/m.exec(source.text);
  if (conflict) {
    const location = source.locate(conflict.index, conflict.index + 7);
    throw invalid(source, [{ message: 'there is an unsolved merge conflict', location }], CONFLICT_HINT);
  }
  const tree = parseYaml(source);
  if (tree.problems.length > 0) throw invalid(source, tree.problems);
  if (!isJsonObject(tree.value)) {
    if (tree.value === null && /^\s*(?:#.*\s*)*$/.test(source.text)) {
      throw invalid(source, [{ message: 'the lock is empty', location: source.locate(0, 1) }]);
    }
    throw invalid(source, [{ message: 'expected a lock: a map', location: source.locate(0, 1) }]);
  }
  if (!validateLock(tree.value)) {
    const checked = { tree, place: tree.root, subject: 'a lock', skip: () => false };
    throw invalid(source, complaints(validateLock.errors ?? [], checked));
  }
  const sources = isJsonObject(tree.value.sources) ? tree.value.sources : {};
  return {
    sources: Object.fromEntries(Object.entries(sources).map(([name, entry]) => [name, readEntry(entry)])),
  };
}

const DAMAGED_HINT =
  'take the file from version control, or delete it and run `res update` to resolve all sources anew';
const CONFLICT_HINT =
  'keep the entries of both sides and take out the marker lines, or take either side whole; `res build` adds what is missing';

function invalid(source: SourceText, problems: readonly Diagnostic[], hint = DAMAGED_HINT): ResError {
  return manifestError('lock-invalid', source.shown, sortDiagnostics(problems, [source.shown]), hint);
}

/** The value has been validated: what is not of the expected type is not there. */
function readEntry(value: Json): LockEntry {
  const { tag, commit, tree, files } = isJsonObject(value) ? value : {};
  return {
    ...(typeof tag === 'string' ? { tag } : {}),
    ...(typeof commit === 'string' ? { commit } : {}),
    ...(typeof tree === 'string' ? { tree } : {}),
    files: isJsonArray(files) ? files.map(readFile) : [],
  };
}

function readFile(value: Json): LockedFile {
  const { name, url, sha256, directory, size } = isJsonObject(value) ? value : {};
  return {
    name: String(name),
    url: String(url),
    ...(typeof sha256 === 'string' ? { sha256 } : {}),
    ...(typeof directory === 'string' ? { directory } : {}),
    ...(typeof size === 'number' ? { size } : {}),
  };
}

/** Always the same: who writes the lock is alone in the workspace. */
function temporaryOf(target: string): string {
  const { dir, base } = parse(target);
  return join(dir, `.${base}.tmp`);
}

/** Removes what a process left beside the lock that was killed while it wrote it. Rejects with the system's error. */
export async function removeLockTemporary(file: string): Promise<void> {
  const target = existsSync(file) ? realpathSync(file) : resolve(file);
  await rm(temporaryOf(target), { force: true });
}

async function replaceFile(file: string, text: string): Promise<void> {
  // A link stays a link: what it leads to is replaced.
  const existing = statSync(file, { throwIfNoEntry: false });
  const target = existing ? realpathSync(file) : resolve(file);
  const dir = dirname(target);
  const temporary = temporaryOf(target);
  try {
    // One that a killed process left is overwritten.
    const handle = await open(temporary, 'w', existing ? existing.mode & 0o777 : 0o666);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, target);
  } finally {
    await rm(temporary, { force: true });
  }
  // The rename itself must outlive a power cut.
  const fd = openSync(dir, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
