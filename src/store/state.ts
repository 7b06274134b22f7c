// What a workspace knows beside its files: one log a subject, each record checked when it is read.
import { join } from 'node:path';
import type { Action, ActionInput, Trace } from '../model/action.js';
import type { Item } from '../model/content.js';
import { type Digest, isDigest } from '../model/digest.js';
import type { Json, JsonObject } from '../model/json.js';
import { KeyedLog, type KeyedLogOptions } from './keyed-log.js';

/** A file whose digest is known as long as its stat is this. Times are nanoseconds since 1970 as decimal text. */
export interface FileRecord {
  readonly size: number;
  readonly mtimeNs: string;
  readonly ctimeNs: string;
  readonly ino: string;
  readonly digest: Digest;
  /** The file system's clock before the content was read; `0` when it could not be asked. */
  readonly at: string;
  /** Of a directory: hex digest over the stats of all below it. Size is then the sum, times are the latest. */
  readonly tree?: string;
}

/** What res put at an output path. */
export interface OutputRecord {
  readonly digest: Digest;
  /** Name of the node. */
  readonly node: string;
  readonly type: 'file' | 'directory';
  /** Bytes. */
  readonly size: number;
  readonly executable: boolean;
  /** What stood there before: of a build that was killed, either may be in place. */
  readonly previous?: Digest;
}

/** The last run of a node. */
export interface NodeRecord {
  readonly key: string;
  readonly action: Action | null;
  readonly status: 'done' | 'failed';
  /** Milliseconds since 1970, UTC. */
  readonly at: number;
  readonly durationMs: number;
  readonly error?: string;
}

/** A program's identity, as long as its file is this. */
export interface ToolRecord {
  readonly size: number;
  readonly mtimeNs: string;
  readonly identity: string;
}

export interface State {
  /** By action key. */
  readonly traces: KeyedLog<Trace>;
  /** By absolute path; of directories, with a `/` at the end. */
  readonly files: KeyedLog<FileRecord>;
  /** By absolute path; in the file, by the path from the workspace's folder for what lies in it. */
  readonly outputs: KeyedLog<OutputRecord>;
  /** By node name. */
  readonly nodes: KeyedLog<NodeRecord>;
  /** By absolute path of the program. */
  readonly tools: KeyedLog<ToolRecord>;
  /** Name of the node that says `keep: always`, by the digest of what it had, of all variants. */
  readonly kept: KeyedLog<string>;
  /** Rejects with ResError `io` or `no-space`. */
  flush(): Promise<void>;
  /** Takes in what other processes wrote. Throws ResError `io`. */
  reload(): void;
  /** Sentences for the user about records that were found damaged and left out. */
  readonly damage: readonly string[];
}

const VERSION = 1;

/**
 * Reads what is known; nothing is written before `flush`. Throws ResError `io`.
 * @param root the workspace's folder, absolute: what res made in it is known to be its own wherever the folder is moved
 * @param kept folders for what only spares work, and for what is not yet whole
 */
export function openState(
  dir: string,
  root?: string,
  kept?: { readonly cache: string; readonly tmp: string },
): State {
  const indexOf = (name: string) =>
    kept ? { index: { path: join(kept.cache, `index-${name}`), tmp: kept.tmp } } : {};
  const open = <V>(name: string, decode: (value: unknown) => V | undefined) =>
    KeyedLog.open(join(dir, `${name}.log`), { version: VERSION, decode, ...indexOf(name) });
  const logs = {
    traces: open('traces', decodeTrace),
    files: open('files', decodeFile),
    outputs: openOutputs(dir, root, indexOf('outputs')),
    nodes: open('nodes', decodeNode),
    tools: open('tools', decodeTool),
    kept: open('kept', (value) => (typeof value === 'string' ? value : undefined)),
  };
  const all = Object.values(logs);
  return {
    ...logs,
    async flush() {
      const ends = await Promise.allSettled(all.map((log) => log.flush()));
      for (const end of ends) if (end.status === 'rejected') throw end.reason;
    },
    reload() {
      for (const log of all) log.reload();
    },
    get damage() {
      return all.flatMap((log) => log.damage);
    },
  };
}

/** Of the state, what stands at output paths. Throws ResError `io`. */
export function openOutputs(
  dir: string,
  root?: string,
  o: Pick<KeyedLogOptions<OutputRecord>, 'index'> = {},
): KeyedLog<OutputRecord> {
  return KeyedLog.open(join(dir, 'outputs.log'), {
    version: VERSION,
    decode: decodeOutput,
    ...o,
    ...(root === undefined ? {} : { root }),
  });
}

const DIGEST = /"digest":"((?:sha256|tree):[0-9a-f]{64})"/;

/** Where outputs have each content, as recorded. Of very many records most are only searched, and not parsed. */
export function pathsByDigest(logs: Iterable<KeyedLog<OutputRecord>>): Map<Digest, string[]> {
  const found = new Map<Digest, string[]>();
  for (const log of logs)
    for (const [path, record] of log.texts()) {
      const digest = typeof record === 'string' ? DIGEST.exec(record)?.[1] : record.value.digest;
      if (!isDigest(digest)) continue;
      const paths = found.get(digest);
      if (paths) paths.push(path);
      else found.set(digest, [path]);
    }
  return found;
}

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isAmount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

function isDecimal(value: unknown): value is string {
  return typeof value === 'string' && /^-?[0-9]+$/.test(value);
}

function isType(value: unknown): value is 'file' | 'directory' {
  return value === 'file' || value === 'directory';
}

/** Each element decoded; undefined when one is no T. */
function decodeList<T>(
  value: unknown,
  decode: (element: unknown) => T | undefined,
): readonly T[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const list: T[] = [];
  for (const element of value) {
    const decoded = decode(element);
    if (decoded === undefined) return undefined;
    list.push(decoded);
  }
  return list;
}

/** Undefined for what is no trace. */
export function decodeTrace(value: unknown): Trace | undefined {
  if (!isFields(value) || !isAmount(value.durationMs) || !isAmount(value.at)) return undefined;
  const content = decodeList(value.content, decodeItem);
  if (!content) return undefined;
  const { durationMs, at, diskBytes } = value;
  return {
    content,
    durationMs,
    at,
    ...(value.asIs === true ? { asIs: true } : {}),
    ...(isAmount(diskBytes) ? { diskBytes } : {}),
  };
}

function decodeItem(value: unknown): Item | undefined {
  if (!isFields(value)) return undefined;
  const { name, type, digest, size, executable } = value;
  if (typeof name !== 'string' || !isType(type) || !isDigest(digest) || !isAmount(size)) return undefined;
  if (executable === undefined) return { name, type, digest, size };
  return typeof executable === 'boolean' ? { name, type, digest, size, executable } : undefined;
}

function decodeFile(value: unknown): FileRecord | undefined {
  if (!isFields(value)) return undefined;
  const { size, mtimeNs, ctimeNs, ino, digest, at, tree } = value;
  if (!isAmount(size) || !isDecimal(mtimeNs) || !isDecimal(ctimeNs) || !isDecimal(ino)) return undefined;
  if (!isDigest(digest) || !isDecimal(at)) return undefined;
  const record = { size, mtimeNs, ctimeNs, ino, digest, at };
  if (tree === undefined) return record;
  return typeof tree === 'string' ? { ...record, tree } : undefined;
}

function decodeOutput(value: unknown): OutputRecord | undefined {
  if (!isFields(value)) return undefined;
  const { digest, node, type, size, executable, previous } = value;
  if (!isDigest(digest) || typeof node !== 'string' || !isType(type) || !isAmount(size)) return undefined;
  if (typeof executable !== 'boolean') return undefined;
  const record: OutputRecord = { digest, node, type, size, executable };
  if (previous === undefined) return record;
  return isDigest(previous) ? { ...record, previous } : undefined;
}

/** Undefined for what is no record. */
export function decodeNode(value: unknown): NodeRecord | undefined {
  if (!isFields(value)) return undefined;
  const { key, status, at, durationMs, error } = value;
  if (typeof key !== 'string' || (status !== 'done' && status !== 'failed')) return undefined;
  if (!isAmount(at) || !isAmount(durationMs)) return undefined;
  const action = value.action === null ? null : decodeAction(value.action);
  if (action === undefined) return undefined;
  const record: NodeRecord = { key, action, status, at, durationMs };
  if (error === undefined) return record;
  return typeof error === 'string' ? { ...record, error } : undefined;
}

function decodeAction(value: unknown): Action | undefined {
  if (!isFields(value)) return undefined;
  const { kind, recipe, tools } = value;
  if (typeof kind !== 'string' || !isJsonFields(recipe) || !isTexts(tools)) return undefined;
  const inputs = decodeList(value.inputs, decodeInput);
  return inputs && { kind, recipe, tools, inputs };
}

function decodeInput(value: unknown): ActionInput | undefined {
  if (!isFields(value) || typeof value.role !== 'string') return undefined;
  const digests = decodeList(value.digests, (digest) => (isDigest(digest) ? digest : undefined));
  const names = decodeList(value.names, (name) => (typeof name === 'string' ? name : undefined));
  return digests && { role: value.role, digests, ...(names ? { names } : {}) };
}

function isTexts(value: unknown): value is Readonly<Record<string, string>> {
  return isFields(value) && Object.values(value).every((text) => typeof text === 'string');
}

function isJson(value: unknown): value is Json {
  if (value === null || ['boolean', 'number', 'string'].includes(typeof value)) return true;
  return Array.isArray(value) ? value.every(isJson) : isJsonFields(value);
}

function isJsonFields(value: unknown): value is JsonObject {
  return isFields(value) && Object.values(value).every(isJson);
}

function decodeTool(value: unknown): ToolRecord | undefined {
  if (!isFields(value)) return undefined;
  const { size, mtimeNs, identity } = value;
  return isAmount(size) && isDecimal(mtimeNs) && typeof identity === 'string'
    ? { size, mtimeNs, identity }
    : undefined;
}
