// The lock as data: what each source resolved to. Keyed by source, so that all variants live in one lock.

export interface LockedFile {
  readonly name: string;
  /** Without user info and signed query. */
  readonly url: string;
  /** 64 hexadecimal digits; absent until the content has been seen or its publisher gave it. */
  readonly sha256?: string;
  /** Bytes; absent until known. */
  readonly size?: number;
}

export interface LockEntry {
  /** What `latest` or a ref stood for when it was resolved. */
  readonly tag?: string;
  readonly commit?: string;
  readonly files: readonly LockedFile[];
}

export interface Lock {
  readonly sources: Readonly<Record<string, LockEntry>>;
}
