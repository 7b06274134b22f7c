// A chain of nodes is run in its turn: what it made is checked, written down and put in its place, if what it was made
// of stayed the same meanwhile.
import { lstatSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { relative } from 'node:path';
import type { Content } from '../model/content.js';
import { ResError } from '../model/error.js';
import { type Node, type Reference, selected } from '../model/node.js';
import { outputPaths } from '../plan/places.js';
import { diskUsage } from '../store/disk-usage.js';
import { algorithmOf } from '../store/hashing.js';
import { check, describeWork, type Site } from './accept.js';
import {
  arrivingSupplies,
  ChainFailure,
  type ChainNode,
  type MadeNode,
  runAction,
  type Supply,
} from './action.js';
import type { Begun } from './ledger.js';
import { temporaryFor, temporaryForStore } from './outputs.js';
import { showProgress } from './progress.js';

export type FileSupply = Extract<Supply, { from: 'files' }>;

/** Paths of the lists of sums, by the node that is held against one; they may be under way. */
export type Sums = ReadonlyMap<string, Promise<string | undefined>>;

/** The nodes that stream into the last one, in the order of the bytes. */
export function streamedNodes(chain: ChainNode): readonly Node[] {
  return chain.inputs.flatMap(({ supply }) =>
    supply.from === 'stream' ? [...streamedNodes(supply.chain), supply.chain.node] : [],
  );
}

/** Where work waits for its turn. */
export interface Queues {
  /** With what takes processors and disks. */
  making<T>(work: () => Promise<T>): Promise<T>;
  /** With what waits for the disk to say that bytes are safe: many of these cost it hardly more than one. */
  placing<T>(work: () => Promise<T>): Promise<T>;
}

/** Makes the last node of a chain, and those that stream into it. Lets go of what the chain holds. */
export async function runChain(
  site: Site,
  chain: ChainNode,
  sums: Sums,
  { making, placing }: Queues,
): Promise<Content> {
  const { workspace, ledger, moves } = site;
  const { node } = chain;
  const temps: string[] = [];
  try {
    const { begun, content } = await making(async () => {
      for (const { path } of outputPaths(workspace, node, null))
        temps.push(await temporaryFor(workspace, path));
      if (temps.length === 0) temps.push(await temporaryForStore(workspace));
      return makeChain(site, chain, sums, temps);
    });
    await placing(async () => {
      // What was made is not to be made again, whatever happens next.
      await workspace.state.traces.flush();
      for (const [i, item] of content.entries()) await moves.place(temps[i] ?? '', node, item);
      await ledger.writeDown();
    });
    ledger.finish(begun, content);
    return content;
  } finally {
    letGoOf(site, chain);
    for (const temp of temps)
      if (lstatSync(temp, { throwIfNoEntry: false })) await rm(temp, { recursive: true, force: true });
  }
}

/** Gives what the last node has; it is at `temps`, checked and written down. */
async function makeChain(
  site: Site,
  chain: ChainNode,
  sums: Sums,
  temps: readonly string[],
): Promise<{ readonly begun: Begun; readonly content: Content }> {
  const { workspace, ledger, listener, signal } = site;
  const { node } = chain;
  const through = streamedNodes(chain).map(({ name }) => name);
  const begun = ledger.start(node, 'execute', describeWork(node), through);
  const made = await showProgress(node.name, listener, (progress) =>
    runAction(chain, {
      workspace,
      temps,
      signal,
      expectedBytes: site.expectedBytes(node.name),
      onBytes: (done, total) => progress.bytes(done, total),
      onPercent: (percent) => progress.percent(percent),
      onOutput: (name, text) => listener({ type: 'output', node: name, text }),
    }),
  );
  await checkUntouched(site, chain);
  let diskBytes = 0;
  for (const temp of temps) diskBytes += await diskUsage(temp);
  await accept(site, made, sums, { durationMs: Date.now() - begun.at, diskBytes });
  const content = made.at(-1)?.items.map(({ item }) => item);
  if (!content) throw new Error(`${node.name} made nothing`);
  return { begun, content };
}

/**
 * Checks what a chain made and writes it down, in the order of the bytes.
 * @param diskBytes of its last node
 */
async function accept(
  { known, ledger }: Site,
  made: readonly MadeNode[],
  sums: Sums,
  { durationMs, diskBytes }: { readonly durationMs: number; readonly diskBytes: number },
): Promise<void> {
  for (const { node, items } of made) {
    const list = await sums.get(node.name);
    for (const { sha256, names } of items)
      await check(node, sha256, names, list).catch((error: unknown) => {
        throw new ChainFailure(node.name, error, undefined);
      });
    const content = items.map(({ item }) => item);
    known.learn(node.name, content);
    // Only the last one was written down.
    const onDisk = node === made.at(-1)?.node ? diskBytes : undefined;
    await ledger.trace(node, content, durationMs, onDisk);
    await ledger.record(node, durationMs);
    ledger.ran.add(node.name);
  }
}

/** What was made of an input that somebody wrote to in the meantime must not be recorded as made of what it was before. */
async function checkUntouched({ workspace }: Site, chain: ChainNode): Promise<void> {
  const { cache, graph } = workspace;
  for (const { holdings, items } of chainFiles(chain)) {
    for (const [i, { place, path }] of holdings.entries()) {
      const item = items[i];
      // Objects in the store are nobody's to write to.
      if (place === 'store' || !item) continue;
      const algorithm = algorithmOf(item.digest);
      const now =
        item.type === 'directory'
          ? await cache.digestOfDirectory(path)
          : (cache.knownSync(path, algorithm) ?? (await cache.digestOf(path, algorithm)));
      if (now.digest === item.digest) continue;
      const shown = relative(graph.manifest.dir, path);
      throw new ResError('io', `${chain.node.name}: ${shown} was changed while it was read`, {
        hint: 'Nothing was made of it. Build again when no other program writes to it.',
      });
    }
  }
}

function chainFiles(chain: ChainNode): readonly FileSupply[] {
  return chain.inputs.flatMap(({ supply }) => {
    if (supply.from === 'stream') return chainFiles(supply.chain);
    return supply.from === 'files' ? [supply] : [];
  });
}

/** What is held for a chain may be moved again. */
export function letGoOf({ moves }: Site, chain: ChainNode): void {
  for (const { holdings } of chainFiles(chain)) moves.letGo(holdings);
  for (const { whole } of arrivingSupplies(chain)) {
    void whole.then(
      ({ holdings }) => moves.letGo(holdings),
      // That it failed is told where it was waited for.
      () => undefined,
    );
  }
}

/** What a reference means of a node's files; streams and downloads are of nodes that have one output. */
export function pick<S extends Supply>(reference: Reference, supply: S): S {
  if (supply.from !== 'files' || reference.item === undefined) return supply;
  const items = selected(reference, supply.items);
  const meant = new Set(items);
  const holdings = supply.items.flatMap((item, i) => (meant.has(item) ? (supply.holdings[i] ?? []) : []));
  return { ...supply, items, holdings };
}
