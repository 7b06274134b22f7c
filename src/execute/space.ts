// Room on disk: what a plan will take at its peak, by file system, against what is free.
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ResError } from '../model/error.js';
import type { EventListener } from '../model/event.js';
import { lockedItem } from '../model/lock.js';
import { type Node, outputsOf } from '../model/node.js';
import type { Step } from '../model/plan.js';
import type { SpaceEstimate } from '../model/report.js';
import { pinnedEntry } from '../plan/assess.js';
import type { Workspace } from '../plan/workspace.js';
import { arrivedBytes } from '../sources/partial.js';
import { diskUsage } from '../store/disk-usage.js';
import { bytesText, freeBytes, mountPoint } from '../store/files.js';
import { partialPath } from './download.js';
import type { WeighedPlan, Weight } from './glimpse.js';
import { poolLimits } from './pools.js';
import { remoteNodes } from './resolve.js';

/** What a file system has to take. */
class Need {
  readonly path: string;
  bytes = 0;
  /** The part of it that is sure. */
  exactBytes = 0;
  allKnown = true;
  /** Of things that go on to another file system: so many at a time are there. */
  readonly passing: number[] = [];

  constructor(path: string) {
    this.path = path;
  }
}

/**
 * Bytes that the plan needs on each file system that it writes to, at the time when it needs most: nothing that a step read
 * goes before the build is done. Moves on one file system cost nothing.
 */
export async function estimateSpace(
  workspace: Workspace,
  { plan, weights }: WeighedPlan,
): Promise<SpaceEstimate> {
  const needs = new Needs();
  for (const step of plan.steps) {
    const node = workspace.graph.nodes.get(step.node);
    const weight = weights.get(step.node);
    if (!node || !weight) continue;
    if (step.work === 'download') addDownload(workspace, needs, node, step);
    else addWork(workspace, needs, node, weight);
    for (const { path, item, occupant } of plan.placements.get(step.node) ?? []) {
      // What stood there for another variant goes into the store.
      if (occupant.is !== 'ours' || occupant.digest === item?.digest || node.keep === 'never') continue;
      if (!needs.areOne(path, workspace.paths.store))
        needs.add(workspace.paths.store, await diskUsage(path), true);
    }
  }
  return needs.estimate(poolLimits(1, workspace.graph.manifest.pools).network);
}

/** Downloads arrive in `.res`; from there they move on, or are copied to another file system. */
function addDownload(workspace: Workspace, needs: Needs, node: Node, { downloadBytes }: Step): void {
  const { partial } = workspace.paths;
  const place = placeOf(workspace, node);
  if (downloadBytes === null) needs.isUnknown(place);
  else if (needs.areOne(partial, place)) needs.add(place, downloadBytes - bytesHere(workspace, node), true);
  else {
    needs.add(place, downloadBytes, true);
    for (const size of fileSizes(workspace, node)) needs.pass(partial, size);
  }
}

function addWork(workspace: Workspace, needs: Needs, node: Node, weight: Weight): void {
  const { paths } = workspace;
  const place = placeOf(workspace, node);
  if (weight.bytes === null) needs.isUnknown(place);
  else needs.add(place, weight.bytes, weight.exact);
  if (weight.scratchBytes > 0) needs.pass(paths.tmp, weight.scratchBytes);
}

/** The folder in which a node's content comes to lie. */
function placeOf({ graph, paths }: Workspace, node: Node): string {
  const [output] = outputsOf(node);
  return output === undefined ? paths.store : dirname(join(graph.manifest.outputDir, output));
}

/** Bytes of each file that is to be fetched. */
function fileSizes(workspace: Workspace, node: Node): readonly number[] {
  return remoteNodes(workspace, [node.name]).flatMap(({ source }) =>
    (pinnedEntry(workspace, node, source)?.files ?? [])
      .filter((file) => {
        const item = lockedItem(file);
        return !item || !workspace.store.has(item.digest, item.type);
      })
      .map(({ size }) => size ?? 0),
  );
}

/** Bytes of a download that an earlier build left on disk. */
function bytesHere(workspace: Workspace, { name }: Node): number {
  return remoteNodes(workspace, [name])
    .flatMap(({ identity }) =>
      (workspace.lock.get(identity)?.files ?? []).map((_, i, files) =>
        partialPath(workspace, identity, files, i),
      ),
    )
    .reduce((sum, path) => sum + arrivedBytes(path).size, 0);
}

class Needs {
  readonly #byDevice = new Map<number, Need>();
  /** By path: very many nodes have few folders. */
  readonly #devices = new Map<string, number>();

  add(path: string, bytes: number, exact: boolean): void {
    if (bytes <= 0) return;
    const need = this.#at(path);
    need.bytes += bytes;
    if (exact) need.exactBytes += bytes;
  }

  isUnknown(path: string): void {
    this.#at(path).allKnown = false;
  }

  pass(path: string, bytes: number): void {
    if (bytes > 0) this.#at(path).passing.push(bytes);
  }

  areOne(path: string, other: string): boolean {
    return this.#deviceOf(path) === this.#deviceOf(other);
  }

  /** @param atATime how many things are on their way at the same time, at most */
  async estimate(atATime: number): Promise<SpaceEstimate> {
    const needs = [...this.#byDevice.values()];
    const fileSystems = needs.map(async ({ path, bytes, exactBytes, allKnown, passing }) => {
      const largest = passing.sort((a, b) => b - a).slice(0, atATime);
      return {
        path,
        neededBytes: bytes + largest.reduce((sum, size) => sum + size, 0),
        certainBytes: exactBytes,
        allKnown,
        freeBytes: await freeBytes(path),
      };
    });
    return { fileSystems: await Promise.all(fileSystems) };
  }

  #at(path: string): Need {
    const device = this.#deviceOf(path);
    const need = this.#byDevice.get(device) ?? new Need(existing(path));
    this.#byDevice.set(device, need);
    return need;
  }

  #deviceOf(path: string): number {
    const device = this.#devices.get(path) ?? statSync(existing(path)).dev;
    this.#devices.set(path, device);
    return device;
  }
}

/** The nearest folder that is there. */
function existing(folder: string): string {
  return existsSync(folder) ? folder : existing(dirname(folder));
}

/**
 * Throws ResError `no-space` when what is certain does not fit: sizes of downloads, and of content that was there before or
 * that its archive tells. Where only estimates exceed what is free, it warns, and the build goes on.
 */
export function checkSpace({ fileSystems }: SpaceEstimate, listener: EventListener): void {
  for (const { path, neededBytes, certainBytes, allKnown, freeBytes: free } of fileSystems) {
    const place = mountPoint(path);
    if (certainBytes > free) {
      throw new ResError(
        'no-space',
        `not enough room on ${place}: ${bytesText(certainBytes)} needed, ${bytesText(free)} free: ${bytesText(certainBytes - free)} missing`,
        {
          hint: 'Make room (`res clean`), or put outputs or store elsewhere (`output-dir`, RES_STORE). Nothing was done yet.',
        },
      );
    }
    if (neededBytes > free) {
      listener({
        type: 'warning',
        message: `there may be too little room on ${place}: ${allKnown ? 'about' : 'more than'} ${bytesText(neededBytes)} needed, ${bytesText(free)} free`,
        hint: 'Should it run out, the build stops; what is finished stays finished, and the next build goes on from there.',
      });
    }
  }
}
