// The lock as data: what each source resolved to. Keyed by source, so that all variants live in one lock.
import type { Item } from './content.js';
import { type Digest, sha256Digest } from './digest.js';

export interface LockedFile {
  readonly name: string;
  /** Without user info and signed query. */
  readonly url: string;
  /** 64 hexadecimal digits; absent until the content has been seen or its publisher gave it, and of a directory. */
  readonly sha256?: string;
  /** Of a directory: the 64 hexadecimal digits of its `tree:` digest; absent until it has been seen. */
  readonly directory?: string;
  /** Bytes; absent until known. */
  readonly size?: number;
}

export interface LockEntry {
  /** What `latest` or a ref stood for when it was resolved. */
  readonly tag?: string;
  readonly commit?: string;
  /** The source's own name of the directory: entries with one name have one content. */
  readonly tree?: string;
  readonly files: readonly LockedFile[];
}

export interface Lock {
  readonly sources: Readonly<Record<string, LockEntry>>;
}

/** Undefined while nobody knows it. */
export function lockedDigest({
  sha256,
  directory,
}: Pick<LockedFile, 'sha256' | 'directory'>): Digest | undefined {
  if (directory !== undefined) return `tree:${directory}`;
  return sha256 === undefined ? undefined : sha256Digest(sha256);
}

/** What a file, or directory, of an entry is; undefined while digest or size is not known. */
export function lockedItem(file: LockedFile): Item | undefined {
  const digest = lockedDigest(file);
  if (digest === undefined || file.size === undefined) return undefined;
  return {
    name: file.name,
    type: file.directory === undefined ? 'file' : 'directory',
    digest,
    size: file.size,
  };
}
