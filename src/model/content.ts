// What a node's result is: one file, one directory, or an ordered list of files (the parts of a release).
import type { Digest } from './digest.js';

export interface Item {
  /** File name without folder; of a part, the asset's name. Never part of an action key. */
  readonly name: string;
  readonly type: 'file' | 'directory';
  readonly digest: Digest;
  /** Bytes; of a directory, the sum over its files. */
  readonly size: number;
  /** True when the content itself says that it is a program (a tar entry's mode). */
  readonly executable?: boolean;
}

/** Items in their order of meaning: `merge` concatenates them as they stand here. */
export type Content = readonly Item[];

export function contentSize(content: Content): number {
  return content.reduce((sum, item) => sum + item.size, 0);
}
