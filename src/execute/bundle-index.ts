// The first entry of a bundle: what is in the archive, and what is known of it. Written by res, and read from wherever it comes.
import { safeSegments } from '../kinds/archive.js';
import type { Trace } from '../model/action.js';
import { type Digest, isDigest } from '../model/digest.js';
import { ResError } from '../model/error.js';
import { decodeNode, decodeTrace, type NodeRecord } from '../store/state.js';

export const INDEX = 'res-bundle.json';
export const FILES = 'files';
export const OBJECTS = 'objects';
/** Bytes; a record takes some hundreds. */
export const MAX_INDEX = 64 * 1024 * 1024;
const FORMAT = 1;

/** A file of the workspace: of the manifest, the lock, of a `path` artifact. */
export interface BundledFile {
  /** Relative to the manifest's folder, with `/`. */
  readonly path: string;
  /** Hex. */
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

export interface BundledObject {
  readonly digest: Digest;
  readonly type: 'file' | 'directory';
  /** Bytes; of a directory, the sum over its files. */
  readonly size: number;
}

export interface BundleIndex {
  /** The manifest, one of `files`. */
  readonly manifest: string;
  /** What was asked for. */
  readonly nodes: readonly string[];
  /** Flags that say the same of params as when it was packed. */
  readonly flags: readonly string[];
  readonly files: readonly BundledFile[];
  readonly objects: readonly BundledObject[];
  /** By key. */
  readonly traces: Readonly<Record<string, Trace>>;
  /** By node. */
  readonly records: Readonly<Record<string, NodeRecord>>;
}

export function encodeIndex(index: BundleIndex): Uint8Array {
  return Buffer.from(`${JSON.stringify({ 'res-bundle': FORMAT, ...index }, null, 1)}\n`);
}

/** Name of an object in the archive. */
export function objectName({ digest, type }: Pick<BundledObject, 'digest' | 'type'>): string {
  return `${OBJECTS}/${type === 'directory' ? 'dir' : 'file'}-${digest.replace(':', '-')}`;
}

/** Throws ResError `bad-format`, `unsafe-archive`. @param archive its name in messages */
export function decodeIndex(bytes: Uint8Array, archive: string): BundleIndex {
  const value = parse(Buffer.from(bytes).toString('utf8'), archive);
  if (value['res-bundle'] !== FORMAT) {
    throw new ResError('bad-format', `${archive} is a bundle of a form that this res does not know`, {
      hint: 'Take the res that it comes with, or a newer one.',
    });
  }
  const files = list(value.files, fileOf);
  const objects = list(value.objects, objectOf);
  const traces = map(value.traces, decodeTrace, /^[0-9a-f]{64}$/);
  const records = map(value.records, decodeNode, /^[a-z0-9][a-z0-9._-]*(?:@[!-~]+)?$/);
  const { manifest } = value;
  const nodes = list(value.nodes, textOf);
  const flags = list(value.flags, textOf);
  if (!files || !objects || !traces || !records || !nodes || !flags || typeof manifest !== 'string')
    throw malformed(archive);
  for (const { path } of files) checkPath(archive, path);
  if (!files.some(({ path }) => path === manifest)) throw malformed(archive);
  return { manifest, nodes, flags, files, objects, traces, records };
}

function checkPath(archive: string, path: string): void {
  const segments = safeSegments(archive, path);
  // There are records that are believed.
  const isPlain = segments.join('/') === path && !/\p{Cc}/u.test(path);
  if (isPlain && segments[0]?.toLowerCase() !== '.res') return;
  throw new ResError('unsafe-archive', `${archive}: a file would be put at ${JSON.stringify(path)}`, {
    hint: 'No bundle that res made has that. Nothing was taken out of it.',
  });
}

function parse(text: string, archive: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (isFields(value)) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw malformed(archive);
}

function malformed(archive: string): ResError {
  return new ResError('bad-format', `${archive}: what it says of itself is malformed`, {
    hint: 'It is damaged, or no bundle of res.',
  });
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function list<T>(value: unknown, decode: (value: unknown) => T | undefined): T[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const all = value.map(decode);
  const known = all.filter((each) => each !== undefined);
  return known.length === all.length ? known : undefined;
}

function map<T>(
  value: unknown,
  decode: (value: unknown) => T | undefined,
  key: RegExp,
): Record<string, T> | undefined {
  if (!isFields(value)) return undefined;
  const found: Record<string, T> = {};
  for (const [name, each] of Object.entries(value)) {
    const decoded = decode(each);
    if (decoded === undefined || !key.test(name)) return undefined;
    found[name] = decoded;
  }
  return found;
}

function fileOf(value: unknown): BundledFile | undefined {
  if (!isFields(value)) return undefined;
  const { path, sha256, size } = value;
  if (typeof path !== 'string' || typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256))
    return undefined;
  return isSize(size) ? { path, sha256, size } : undefined;
}

function objectOf(value: unknown): BundledObject | undefined {
  if (!isFields(value)) return undefined;
  const { digest, type, size } = value;
  if (!isDigest(digest) || (type !== 'file' && type !== 'directory') || !isSize(size)) return undefined;
  return { digest, type, size };
}

/** It will stand in a line on a terminal. */
function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && !/[\p{Cc}\p{Cf}]/u.test(value) ? value : undefined;
}

function isSize(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
