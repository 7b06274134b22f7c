// `res verify --repair`: what verify finds is mended. Downloads get back what they lost, other damaged objects go, damaged and
// missing outputs are restored or made again by a build; what a person wrote is kept unless he says otherwise.
import { lstat, rm } from 'node:fs/promises';
import { type Digest, isDigest } from '../model/digest.js';
import { ResError } from '../model/error.js';
import type { EventListener } from '../model/event.js';
import type { RepairReport, VerifyReport } from '../model/report.js';
import { traceOf } from '../plan/assess.js';
import { planNodes } from '../plan/plan.js';
import { refreshWorkspace, type Workspace } from '../plan/workspace.js';
import { createFetcher, type Fetcher } from '../sources/fetch.js';
import { build } from './build.js';
import { errorReport } from './errors.js';
import { inTurn } from './in-turn.js';
import { lockWorkspace } from './lock-workspace.js';
import { type LockedDownload, lockedDownloads, type MendContext, mendDownload } from './mend.js';
import { placeOutput, removeTemporaries } from './outputs.js';
import { showProgress } from './progress.js';
import {
  type Checked,
  type Claim,
  checkClaims,
  claimsOf,
  hasRotted,
  reportOf,
  throwIfInterrupted,
  type VerifyOptions,
} from './verify.js';

export interface RepairOptions extends VerifyOptions {
  /** No connection is opened; what would need one is told. */
  readonly offline?: boolean;
  /** Replace outputs that were changed by hand. */
  readonly overwrite?: boolean;
  readonly listener?: EventListener;
}

/**
 * Verifies, mends, builds the nodes, and verifies what is new. The report says how things are in the end. Rejects with ResError for
 * what stops all of it: `io`, `no-space`, `interrupted`, a source that contradicts its pin.
 *
 * @param names of nodes, groups taken apart already
 */
export async function repair(
  workspace: Workspace,
  names: readonly string[],
  options: RepairOptions = {},
): Promise<VerifyReport> {
  const repair = new Repair(workspace, names, options);
  const before = await repair.mend();
  if (before.length > 0) await repair.rebuild(before);
  return repair.report(before);
}

class Repair {
  readonly #workspace: Workspace;
  readonly #names: readonly string[];
  readonly #o: RepairOptions;
  readonly #listener: EventListener;
  readonly #signal: AbortSignal;
  readonly #mended: RepairReport['mended'][number][] = [];
  readonly #removed: RepairReport['removed'][number][] = [];
  readonly #kept: RepairReport['kept'][number][] = [];
  readonly #failed: RepairReport['failed'][number][] = [];
  /** Store objects that are still damaged: a build could take them for good. */
  #storeIsDamaged = false;
  #buildBytes = 0;
  /** Damaged outputs that are a build's to exchange: what they hold, and what they should. */
  readonly #admitted = new Map<string, { readonly actual: Digest; readonly expected: Digest }>();

  constructor(workspace: Workspace, names: readonly string[], options: RepairOptions) {
    this.#workspace = workspace;
    this.#names = names;
    this.#o = options;
    this.#listener = options.listener ?? (() => undefined);
    this.#signal = options.signal ?? new AbortController().signal;
  }

  /** Finds what is wrong, and mends what is not a build's to make, alone in the workspace. */
  async mend(): Promise<readonly Checked[]> {
    const workspace = this.#workspace;
    const doing = `res verify --repair ${this.#names.join(' ')}`;
    const unlock = await lockWorkspace(workspace, {
      describe: doing,
      onWait: (holder) => this.#listener({ type: 'waiting', for: holder }),
      signal: this.#signal,
    });
    let fetcher: Fetcher | undefined;
    const open = () => {
      fetcher ??= createFetcher({
        env: workspace.env,
        mirrors: workspace.graph.manifest.mirrors,
        onNotice: (message) => this.#listener({ type: 'warning', message, hint: null }),
      });
      return fetcher;
    };
    try {
      await workspace.shared?.join(doing);
      refreshWorkspace(workspace);
      await removeTemporaries(workspace);
      const claims = await claimsOf(workspace, this.#names);
      const checked = await checkClaims(workspace, claims, this.#o);
      const wrong = checked.filter(({ change }) => change === 'damaged');
      const downloads = wrong.length === 0 ? new Map() : lockedDownloads(workspace);
      const byPath = new Map(claims.map((claim) => [claim.path, claim]));
      const good = new Set(checked.filter(({ state }) => state === 'ok').map(({ expected }) => expected));
      // Objects first: outputs are restored from them.
      for (const row of wrong.toSorted((a, b) => (a.place === b.place ? 0 : a.place === 'store' ? -1 : 1))) {
        const claim = byPath.get(row.path);
        if (claim) await this.#mendOne(claim, row, downloads.get(claim.expected), good, open);
      }
      await removeTemporaries(workspace);
      return checked;
    } finally {
      await inTurn([async () => fetcher?.close(), () => workspace.state.flush(), unlock]);
    }
  }

  async #mendOne(
    claim: Claim,
    row: Checked,
    download: LockedDownload | undefined,
    good: Set<string>,
    fetcher: () => Fetcher,
  ): Promise<void> {
    try {
      if (download && !good.has(claim.expected)) {
        await this.#fetch(claim, row, download, fetcher);
        good.add(claim.expected);
      } else if (claim.place === 'store') {
        await this.#remove(claim);
      } else {
        await this.#admit(claim, row);
      }
    } catch (error) {
      throwIfInterrupted(this.#signal);
      if (!(error instanceof ResError) || error.code === 'no-space') throw error;
      if (claim.place === 'store') this.#storeIsDamaged = true;
      if (download) {
        const { node } = download.remote;
        this.#listener({ type: 'failed', node: node.name, error: errorReport(error) });
      }
      this.#failed.push({ what: claim.path, message: error.message, hint: error.hint ?? null });
    }
  }

  async #fetch(claim: Claim, row: Checked, download: LockedDownload, fetcher: () => Fetcher): Promise<void> {
    const workspace = this.#workspace;
    const { path, place, expected } = claim;
    const { node } = download.remote;
    const began = performance.now();
    this.#listener({
      type: 'started',
      node: node.name,
      work: 'download',
      detail: `what is damaged of ${download.name}`,
      through: [],
    });
    const context: Omit<MendContext, 'onProgress'> = {
      workspace,
      fetcher,
      offline: this.#o.offline ?? false,
      signal: this.#signal,
      listener: this.#listener,
    };
    const mended = await showProgress(node.name, this.#listener, (progress) =>
      mendDownload({ ...context, onProgress: (done, total) => progress.bytes(done, total) }, download, path),
    );
    try {
      if (place === 'store') {
        await workspace.store.replace(mended.path, expected, 'file');
        workspace.cache.forget(path);
      } else {
        await this.#checkUntouched(claim, row.actual);
        const owner = workspace.graph.nodes.get(claim.node ?? '') ?? node;
        const item = { name: download.name, type: 'file', digest: expected, size: download.size } as const;
        await placeOutput(workspace, mended.path, { node: owner, item, path, overwrite: false });
      }
    } finally {
      await rm(mended.path, { force: true });
    }
    const { by, fetchedBytes, savedBytes } = mended;
    this.#mended.push({ path, place, node: node.name, by, fetchedBytes, savedBytes });
    this.#listener({
      type: 'finished',
      node: node.name,
      work: 'download',
      duration_ms: Math.round(performance.now() - began),
      size: fetchedBytes,
      digests: [expected],
      output: place === 'output' ? (node.output ?? null) : null,
    });
  }

  /** It is nobody's file, and its bytes are not what its name says. */
  async #remove({ path, expected, type, size }: Claim): Promise<void> {
    await this.#workspace.store.remove(expected, type);
    this.#workspace.cache.forget(path);
    this.#removed.push({ path, size });
  }

  /**
   * The record is made to say what there really is: to a build it is then the output of something else, exchanged in the same way
   * as that of another variant, and stays until the new one is there.
   */
  async #admit(claim: Claim, { actual }: Checked): Promise<void> {
    const { state, cache } = this.#workspace;
    const { path, node, type } = claim;
    const record = state.outputs.get(path);
    if (!record || node === null) return;
    if (!this.#o.overwrite && (await this.#wasAccepted(node, claim.expected))) {
      this.#keep(
        path,
        node,
        'it was accepted as it was, and cannot be made again; --overwrite makes it anew',
      );
      return;
    }
    if (!isDigest(actual)) throw unreadable(path);
    await this.#checkUntouched(claim, actual);
    const stats = await lstat(path, { bigint: true });
    const { executable, size } = record;
    // Killed between the two, the stat cache still says what it should be: verify then sees the contradiction. The other way round
    // it would pass for a file that somebody wrote.
    const previous = claim.expected;
    state.outputs.set(path, { digest: actual, node: record.node, type, size, executable, previous });
    this.#admitted.set(path, { actual, expected: previous });
    await state.flush();
    cache.forget(path);
    if (type === 'directory') await cache.digestOfDirectory(path, { signal: this.#signal });
    else await cache.record(path, actual, stats);
    await state.flush();
  }

  async #wasAccepted(node: string, digest: Digest): Promise<boolean> {
    const key = (await planNodes(this.#workspace, [node])).nodes.get(node)?.key;
    const trace = key == null ? undefined : traceOf(this.#workspace, key);
    return trace?.asIs === true && trace.content.some((item) => item.digest === digest);
  }

  async #checkUntouched(claim: Claim, actual: string | null): Promise<void> {
    // What cannot be read has no digest, and whoever writes to it would have met that.
    if (!isDigest(actual) || (await hasRotted(this.#workspace, claim, actual, this.#signal))) return;
    throw new ResError('output-modified', `${claim.path} was written to while it was looked at`, {
      hint: 'Stop what writes to it, and try again.',
    });
  }

  #keep(path: string, node: string, why: string): void {
    if (!this.#kept.some((row) => row.path === path)) this.#kept.push({ path, node, why });
  }

  /** Builds what was asked for and the outputs that are not what they were, but nothing that would touch a person's file. */
  async rebuild(before: readonly Checked[]): Promise<void> {
    const workspace = this.#workspace;
    const wrong = before.filter(({ state, place }) => place === 'output' && state !== 'ok');
    const overwrite = this.#o.overwrite ?? false;
    for (const { path, node, change } of wrong)
      if (change === 'modified' && !overwrite && node !== null) this.#keep(path, node, CHANGED);
    if (this.#storeIsDamaged) {
      this.#failed.push({
        what: this.#names.join(' '),
        message: 'not built: objects of the store are still damaged',
        hint: null,
      });
      return;
    }
    const wanted = [...new Set([...this.#names, ...wrong.flatMap(({ node }) => node ?? [])])];
    const free: string[] = [];
    for (const name of wanted) {
      const { blocked } = await planNodes(workspace, [name]);
      if (overwrite || blocked.length === 0) free.push(name);
      else
        for (const { path, node, is } of blocked)
          this.#keep(path, node, is === 'changed' ? CHANGED : FOREIGN);
    }
    if (free.length === 0) return;
    try {
      const result = await build(workspace, free, {
        offline: this.#o.offline ?? false,
        overwrite,
        keepGoing: true,
        signal: this.#signal,
        listener: this.#listener,
      });
      this.#buildBytes = result.downloaded_bytes;
      for (const node of [...result.failed, ...result.skipped])
        this.#failed.push({ what: node, message: 'could not be built', hint: null });
    } catch (error) {
      throwIfInterrupted(this.#signal);
      if (!(error instanceof ResError) || error.code === 'interrupted') throw error;
      const { message, hint } = errorReport(error);
      this.#failed.push({ what: free.join(' '), message, hint });
    }
    await this.#dropDamaged();
  }

  /** What the build put aside is not what anybody has a use for. */
  async #dropDamaged(): Promise<void> {
    const { store, state, cache } = this.#workspace;
    const outputs = new Set(Array.from(state.outputs.entries(), ([, { digest }]) => digest));
    for (const { actual: digest } of this.#admitted.values()) {
      for (const type of ['file', 'directory'] as const) {
        if (outputs.has(digest) || !store.has(digest, type)) continue;
        await store.remove(digest, type);
        cache.forget(store.path(digest, type));
      }
    }
    await state.flush();
  }

  /** How things are now: what was good and is still there is not read again. */
  async report(before: readonly Checked[]): Promise<VerifyReport> {
    const good = new Map(before.filter(({ state }) => state === 'ok').map((row) => [row.path, row]));
    const claims = await claimsOf(this.#workspace, this.#names);
    const known = (claim: Claim) => {
      const row = good.get(claim.path);
      return row?.expected === claim.expected ? row : undefined;
    };
    const others = claims.filter((claim) => !known(claim));
    const fresh = new Map(
      (await checkClaims(this.#workspace, others, this.#o)).map((row) => [row.path, row]),
    );
    const checked = claims.flatMap((claim) => known(claim) ?? this.#judged(fresh.get(claim.path)) ?? []);
    this.#noteRebuilt(before, checked);
    const report = reportOf(checked);
    const sum = (of: 'fetchedBytes' | 'savedBytes') =>
      this.#mended.reduce((total, row) => total + row[of], 0);
    return {
      ...report,
      ok: report.ok && this.#failed.length === 0,
      repair: {
        mended: this.#mended,
        removed: this.#removed,
        kept: this.#kept,
        failed: this.#failed,
        fetchedBytes: sum('fetchedBytes') + this.#buildBytes,
        savedBytes: sum('savedBytes'),
      },
    };
  }

  /** An output that was not exchanged holds to its record, which was made to say so, and is as damaged as it was. */
  #judged(row: Checked | undefined): Checked | undefined {
    const admitted = this.#admitted.get(row?.path ?? '');
    if (!row || !admitted || row.actual !== admitted.actual) return row;
    return { ...row, state: 'mismatch', change: 'damaged', expected: admitted.expected };
  }

  #noteRebuilt(before: readonly Checked[], after: readonly Checked[]): void {
    const good = new Set(after.filter(({ state }) => state === 'ok').map(({ path }) => path));
    for (const { path } of this.#mended) good.delete(path);
    for (const { path, place, node, state } of before) {
      if (place !== 'output' || state === 'ok' || !good.has(path)) continue;
      this.#mended.push({ path, place, node, by: 'build', fetchedBytes: 0, savedBytes: 0 });
    }
  }
}

const CHANGED = 'changed by hand; --overwrite replaces it';
const FOREIGN = 'not made by res; --overwrite replaces it';

function unreadable(path: string): ResError {
  return new ResError('io', `${path} cannot be read`, {
    hint: 'The disk is failing. Move the file away or remove it, and build again.',
  });
}
