// Bytes at rest while a build moves them: what one node is about to read is not taken from under it by another that
// needs the place.
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Content, Item } from '../model/content.js';
import { contentSize } from '../model/content.js';
import type { Digest } from '../model/digest.js';
import type { EventListener } from '../model/event.js';
import { isIntermediate, type Node, outputsOf } from '../model/node.js';
import { type Holding, Holdings, holds, leftovers, occupantOf, outputPaths } from '../plan/places.js';
import type { Workspace } from '../plan/workspace.js';
import type { Known } from './known.js';
import {
  checkNotBusy,
  copyHolding,
  correctMode,
  placeOutput,
  putObject,
  restoreOutput,
  storeOutput,
  temporaryForStore,
} from './outputs.js';
import { type Progress, showProgress } from './progress.js';
import { Turns } from './turns.js';
import { ifNotVanished, Vanished } from './vanished.js';

export interface MovesOptions {
  readonly workspace: Workspace;
  readonly closure: readonly string[];
  readonly requested: ReadonlySet<string>;
  readonly listener: EventListener;
  readonly signal: AbortSignal;
  readonly overwrite: boolean;
}

export class Moves {
  readonly #o: MovesOptions;
  readonly #workspace: Workspace;
  readonly #known: Known;
  readonly #holdings: Holdings;
  /** By digest: content is not moved away between the moment it was found and that it is held. */
  readonly #turns = new Turns();
  /** Paths that an action reads at the moment: they are copied from, not moved. */
  readonly #reading = new Map<string, number>();
  /** Intermediates that were written to the store in this build. */
  readonly #passing = new Map<string, Item[]>();
  /** Nodes by the absolute path of their output. */
  readonly #owners = new Map<string, string>();

  constructor(options: MovesOptions, known: Known) {
    this.#o = options;
    this.#workspace = options.workspace;
    this.#known = known;
    this.#holdings = new Holdings(options.workspace);
    const { outputDir } = options.workspace.graph.manifest;
    for (const name of options.closure) {
      for (const output of outputsOf(known.node(name))) this.#owners.set(join(outputDir, output), name);
    }
  }

  /** Whether the content can be had somewhere. It may be gone a moment later: see `hold`. */
  async isAtHand(node: Node, content: Content): Promise<boolean> {
    return (await this.#holdings.findAll(node, content)) !== undefined;
  }

  /** Finds content and keeps it from being moved until `letGo`, or to the end of the build. */
  hold(node: Node, content: Content): Promise<readonly Holding[] | undefined> {
    return this.#turns.runAll(
      content.map(({ digest }) => digest),
      async () => {
        const holdings = await this.#found(node, content);
        await this.#noteUse(content, holdings ?? []);
        for (const { path } of holdings ?? []) this.#reading.set(path, (this.#reading.get(path) ?? 0) + 1);
        return holdings;
      },
    );
  }

  /** `gc` removes what was not used for long first. */
  async #noteUse(content: Content, holdings: readonly Holding[]): Promise<void> {
    for (const [i, { place }] of holdings.entries()) {
      const item = content[i];
      if (item && place === 'store') await this.#workspace.store.touch(item.digest, item.type);
    }
  }

  async #found(node: Node, content: Content): Promise<readonly Holding[] | undefined> {
    return ifNotVanished(this.#workspace, async () => {
      const found = await this.#holdings.findAll(node, content);
      return found && this.#secure(node, content, found);
    });
  }

  letGo(holdings: readonly Holding[]): void {
    for (const { path } of holdings) this.#reading.set(path, (this.#reading.get(path) ?? 1) - 1);
  }

  /** Whether a node has its output, and in its folder nothing else of its own. Intermediates never have. */
  async inPlace(node: Node, content: Content): Promise<boolean> {
    if (isIntermediate(node)) return false;
    for (const { path, item } of outputPaths(this.#workspace, node, content)) {
      if (!holds(node, item, await occupantOf(this.#workspace, path, item))) return false;
    }
    return (await leftovers(this.#workspace, node, content)).length === 0;
  }

  /** Gives a new file its place, and says which: that of the node's output, or one in the store. */
  async place(temp: string, node: Node, item: Item): Promise<string> {
    const { store } = this.#workspace;
    const path = outputPaths(this.#workspace, node, [item])[0]?.path;
    if (path !== undefined) {
      await this.#turns.runAll([item.digest, ...this.#formerDigests(path)], () =>
        placeOutput(this.#workspace, temp, { node, item, path, overwrite: this.#o.overwrite }),
      );
    } else {
      // What was there before is somebody else's, or the one copy of another variant.
      const isNew = !store.has(item.digest, item.type);
      await putObject(this.#workspace, temp, item);
      if (isNew && node.section === 'target' && node.keep === 'auto') this.#dropLater(node, item);
    }
    if (path !== undefined) this.#holdings.note(path, item.digest);
    return path ?? store.path(item.digest, item.type);
  }

  /** Puts a node's known content at its output paths. Rejects with Vanished when it is nowhere to be had. */
  async putBack(node: Node, content: Content): Promise<void> {
    await showProgress(node.name, this.#o.listener, (progress) => this.#putBack(node, content, progress));
    await this.#clearFolder(node, content);
  }

  async #putBack(node: Node, content: Content, progress: Progress): Promise<void> {
    const total = contentSize(content);
    let done = 0;
    const onBytes = (bytes: number) => {
      done += bytes;
      progress.bytes(done, total);
    };
    for (const [i, { path, item }] of outputPaths(this.#workspace, node, content).entries()) {
      if (!item) throw new Error(`${node.name} was to be restored but is not known`);
      await this.#turns.runAll([item.digest, ...this.#formerDigests(path)], async () => {
        const holding = (await this.#holdings.findAll(node, content))?.[i];
        if (!holding) throw new Vanished(item.name);
        const placing = { node, item, path, overwrite: this.#o.overwrite };
        if (holding.path === path) return correctMode(this.#workspace, placing);
        const mayMove = (this.#reading.get(holding.path) ?? 0) === 0;
        await restoreOutput(this.#workspace, holding, placing, { mayMove, signal: this.#o.signal, onBytes });
        this.#holdings.note(path, item.digest);
      });
    }
  }

  /**
   * Removes intermediates that were made on the way, that nobody asked for and that no node will want again.
   * @param isAwaited whether a node that failed will
   */
  async dropIntermediates(isAwaited: (name: string) => boolean): Promise<void> {
    const kept = new Set<string>();
    for (const [name, content] of this.#known.contents()) {
      const node = this.#known.node(name);
      if (node.keep === 'never' && isIntermediate(node))
        for (const item of content) this.#dropLater(node, item);
    }
    for (const [name, content] of this.#known.contents()) {
      if (!this.#passing.has(name) || isAwaited(name)) for (const { digest } of content) kept.add(digest);
    }
    for (const { digest, type } of [...this.#passing.values()].flat()) {
      if (!kept.has(digest)) await this.#remove({ digest, type });
    }
  }

  async #remove({ digest, type }: Pick<Item, 'digest' | 'type'>): Promise<void> {
    const { store, shared } = this.#workspace;
    if (!shared) return store.remove(digest, type);
    const aside = await shared.takeAside({ digest, type });
    if (aside !== undefined) await store.discard(aside);
  }

  #dropLater(node: Node, item: Item): void {
    if (this.#o.requested.has(node.name)) return;
    this.#passing.set(node.name, [...(this.#passing.get(node.name) ?? []), item]);
  }

  /**
   * What lies where another node is about to put something else, or where the user of another workspace may write to it, is
   * needed in two places at once: it is copied.
   */
  async #secure(node: Node, content: Content, found: readonly Holding[]): Promise<readonly Holding[]> {
    const secured: Holding[] = [];
    for (const [i, holding] of found.entries()) {
      const item = content[i];
      const isSafe = holding.place === 'store' || holding.place === 'workspace';
      if (!item || isSafe || (holding.place === 'output' && this.#stays(holding.path, item))) {
        secured.push(holding);
        continue;
      }
      const temp = await temporaryForStore(this.#workspace);
      try {
        await copyHolding(this.#workspace, holding, item, temp, { signal: this.#o.signal });
        secured.push({ place: 'store', path: await putObject(this.#workspace, temp, item) });
      } finally {
        await rm(temp, { recursive: true, force: true });
      }
      this.#dropLater(node, item);
    }
    return secured;
  }

  /** Whether what this build does leaves an output as it is. */
  #stays(path: string, { digest }: Item): boolean {
    // Of a list of files, the output is the folder that they are in.
    const owner = this.#owners.get(path) ?? this.#owners.get(dirname(path));
    if (owner === undefined) return true;
    return this.#known.content(owner)?.some((item) => item.digest === digest) === true;
  }

  /** What stood at an output path, or what res was about to put there: others may be about to take it. */
  #formerDigests(path: string): readonly Digest[] {
    const record = this.#workspace.state.outputs.get(path);
    return record ? [record.digest, ...(record.previous === undefined ? [] : [record.previous])] : [];
  }

  /** Into the store with what is no longer one of a node's files: in its folder it would be taken for one. */
  async #clearFolder(node: Node, content: Content): Promise<void> {
    const { state, cache } = this.#workspace;
    for (const { path, item } of await leftovers(this.#workspace, node, content)) {
      await this.#turns.runAll(this.#formerDigests(path), async () => {
        checkNotBusy(this.#workspace, path);
        if (node.keep === 'never') await rm(path, { recursive: true });
        else await storeOutput(this.#workspace, path, item);
        state.outputs.delete(path);
        cache.forget(path);
      });
    }
  }
}
