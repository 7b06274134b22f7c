// Traces that the workspaces of a shared store have in common: what one of them has made, the others need not make again.
//
// One small file an action, `ac/ab/abcd…` beside the objects, as in Bazel's disk cache. What is damaged counts as absent: the worst
// that it causes is work done twice.
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Trace } from '../model/action.js';
import type { Json } from '../model/json.js';
import { readChecked, writeChecked } from './checked-file.js';
import { decodeTrace } from './state.js';

export class ActionCache {
  readonly #root: string;
  readonly #tmp: string | undefined;

  /**
   * @param root of the store, absolute
   * @param tmp a folder of this process's own on the store's file system; without it, that of the store
   */
  constructor(root: string, tmp?: string) {
    this.#root = root;
    this.#tmp = tmp;
  }

  /** Throws ResError `io`. */
  get(key: string): Trace | undefined {
    const value = readChecked(this.#path(key));
    // The key is in the entry, too: a file that got a wrong name says nothing.
    if (typeof value !== 'object' || value === null || !('key' in value) || value.key !== key)
      return undefined;
    return 'trace' in value ? decodeTrace(value.trace) : undefined;
  }

  /**
   * What was accepted as it is in one workspace is not the action's result, and is not put in.
   * Rejects with ResError `io` or `no-space`.
   */
  async put(key: string, trace: Trace): Promise<void> {
    if (trace.asIs || isDeepStrictEqual(this.get(key)?.content, trace.content)) return;
    const { content, durationMs, at, diskBytes } = trace;
    const value: Json = {
      content: content.map((item) => ({ ...item })),
      durationMs,
      at,
      ...(diskBytes === undefined ? {} : { diskBytes }),
    };
    await writeChecked(this.#root, this.#path(key), { key, trace: value }, this.#tmp);
  }

  #path(key: string): string {
    const name = encodeURIComponent(key);
    return join(this.#root, 'ac', name.slice(0, 2), name);
  }
}
