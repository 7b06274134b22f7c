// A store that several workspaces use, of one user or of many: what others made is known here, what this build counts on is
// not moved away by others, and what others are just making is waited for.
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { Item } from '../model/content.js';
import type { Digest } from '../model/digest.js';
import { ResError } from '../model/error.js';
import { spoilLooks } from '../model/looks.js';
import { ActionCache } from '../store/action-cache.js';
import type { KeyedLog } from '../store/keyed-log.js';
import type { LockOptions } from '../store/lock.js';
import { register, registrations, renew } from '../store/registry.js';
import { joinStore, type Membership, sweepStore } from '../store/sharing.js';
import { type OutputRecord, openOutputs, pathsByDigest } from '../store/state.js';
import { lockWork } from '../store/work-lock.js';

export class SharedStore {
  /** What came of actions, in all workspaces. */
  readonly actions: ActionCache;
  readonly #root: string;
  readonly #workspace: string;
  #membership: Membership | undefined;
  #outputs: ReadonlyMap<Digest, readonly string[]> | undefined;
  /** Files of others that turned out not to be what their records say. */
  readonly #distrusted = new Set<string>();

  /**
   * @param root of the store, absolute
   * @param workspace folder of the manifest, absolute
   */
  constructor(root: string, workspace: string) {
    // Where others write at any time, no answer is remembered.
    spoilLooks();
    this.#root = root;
    this.#workspace = workspace;
    this.actions = new ActionCache(root);
  }

  /** Begins to use the store as a build that others see. Removes what dead ones left. Rejects with ResError `io`, `no-space`. */
  async join(doing: string): Promise<void> {
    await sweepStore(this.#root);
    this.#membership = await joinStore(this.#root, { doing });
  }

  /** The opposite; does nothing when not joined. */
  async leave(): Promise<void> {
    const membership = this.#membership;
    this.#membership = undefined;
    await membership?.leave();
  }

  /** A folder on the store's file system for this build's temporaries. */
  get tmp(): string {
    return this.#joined().tmp;
  }

  /** From now on nobody else moves away or removes what is there of these. Nothing while only looking. */
  lease(digests: Iterable<Digest>): void {
    this.#membership?.lease(digests);
  }

  /**
   * Takes an object out of the store and gives where it lies then, in `tmp`. Undefined when it is not there, or when other
   * builds count on it.
   */
  takeAside({ digest, type }: Pick<Item, 'digest' | 'type'>): Promise<string | undefined> {
    return this.#joined().takeAside(digest, type);
  }

  /** Runs `work` while no other build does work of the same key. */
  async alone<T>(key: string, o: LockOptions, work: () => Promise<T>): Promise<T> {
    const lock = await lockWork(this.#root, key, o);
    try {
      return await work();
    } finally {
      await lock.release();
    }
  }

  /** Writes down what this workspace refers to, for `gc`. */
  register(digests: Iterable<Digest>, kept: Iterable<Digest>): Promise<void> {
    const { tmp } = this.#joined();
    return register(this.#root, { workspace: this.#workspace, digests, kept, tmp });
  }

  /** Says that the workspace still uses the store, once a day. */
  renew(): Promise<void> {
    return renew(this.#root, this.#workspace);
  }

  /** An output of another workspace that holds the item, as far as a look can tell: its owner may write to it at any time. */
  async elsewhere(item: Item): Promise<string | undefined> {
    this.#outputs ??= await this.#outputsOfOthers();
    return this.#outputs.get(item.digest)?.find((path) => !this.#distrusted.has(path) && isLike(path, item));
  }

  distrust(path: string): void {
    this.#distrusted.add(path);
  }

  /** Forgets what others had: they may have made something since. */
  refresh(): void {
    this.#outputs = undefined;
  }

  #joined(): Membership {
    if (!this.#membership) throw new Error('the store was not joined');
    return this.#membership;
  }

  async #outputsOfOthers(): Promise<ReadonlyMap<Digest, readonly string[]>> {
    const others = (await registrations(this.#root)).filter(({ workspace }) => workspace !== this.#workspace);
    return pathsByDigest(others.flatMap(({ workspace }) => outputsOf(workspace)));
  }
}

/** Nothing of a workspace that is gone or that this user may not look into. */
function outputsOf(workspace: string): readonly KeyedLog<OutputRecord>[] {
  try {
    return [openOutputs(join(workspace, '.res', 'state'), workspace)];
  } catch (error) {
    if (error instanceof ResError) return [];
    throw error;
  }
}

function isLike(path: string, { type, size }: Item): boolean {
  try {
    const stats = lstatSync(path);
    return type === 'directory' ? stats.isDirectory() : stats.isFile() && stats.size === size;
  } catch {
    // Gone since, or not for this user to see.
    return false;
  }
}
