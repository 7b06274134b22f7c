// An artifact is produced: what of it is at hand is held against its sums, and the rest is fetched.
import type { Content } from '../model/content.js';
import { ResError } from '../model/error.js';
import type { Node } from '../model/node.js';
import { artifactContent } from '../plan/assess.js';
import { checkNames } from '../plan/places.js';
import { makerOf } from '../plan/registry.js';
import type { Fetcher } from '../sources/fetch.js';
import { check, complete, type Site } from './accept.js';
import type { Arrival } from './arrival.js';
import { download } from './download.js';
import type { Begun } from './ledger.js';
import { showProgress } from './progress.js';
import { isLocal, offlineError, type RemoteNode, remoteNodes, saveLock } from './resolve.js';
import { Turns } from './turns.js';
import { fetchKey } from './work-key.js';

export interface ArtifactOptions {
  readonly fetcher: () => Fetcher;
  readonly offline: boolean;
}

export class Artifacts {
  readonly #site: Site;
  readonly #o: ArtifactOptions;
  /** By source: two nodes may name one, and the second one is to find the files at hand. */
  readonly #fetching = new Turns();
  #savingLock: Promise<void> = Promise.resolve();

  constructor(site: Site, options: ArtifactOptions) {
    this.#site = site;
    this.#o = options;
  }

  /**
   * Rejects with ResError for content that cannot be had or is not accepted.
   * @param sums path of the list that the node is held against, where it has one
   * @param arrivals of its files, for who reads them while they come
   */
  async produce(node: Node, sums: string | undefined, arrivals: readonly Arrival[] = []): Promise<Content> {
    const { workspace } = this.#site;
    const held = sums === undefined ? undefined : await this.#verifyHeld(node, sums);
    if (held) return held;
    const [remote] = remoteNodes(workspace, [node.name]);
    if (!remote) throw new ResError('file-not-found', `${node.name}: its files are gone`);
    if (this.#o.offline && !isLocal(workspace, node.name)) throw offlineError(node.name, remote.identity);
    return this.#fetching.run(remote.identity, () => this.#fetchAlone(remote, sums, arrivals));
  }

  /** What another build with the same store is just fetching is waited for, and found there afterwards. */
  #fetchAlone(remote: RemoteNode, sums: string | undefined, arrivals: readonly Arrival[]): Promise<Content> {
    const { workspace, listener, signal } = this.#site;
    const fetch = () => this.#fetch(remote, sums, arrivals);
    if (!workspace.shared) return fetch();
    return workspace.shared.alone(
      fetchKey(remote),
      {
        describe: `res build ${remote.node.name}`,
        onWait: (holder) =>
          listener({
            type: 'notice',
            node: remote.node.name,
            message: `waiting for ${holder}, which is fetching it`,
          }),
        signal,
      },
      () => {
        workspace.shared?.refresh();
        return fetch();
      },
    );
  }

  /** What of an artifact is at hand is held against its sums, and need not be fetched; undefined where it has to be. */
  async #verifyHeld(node: Node, sums: string): Promise<Content | undefined> {
    const { workspace, ledger, moves } = this.#site;
    const maker = makerOf(node);
    if (maker.is !== 'source') throw new Error(`${node.name} is no artifact`);
    const content = await artifactContent(workspace, node, maker.source);
    if (!content || !(await moves.isAtHand(node, content))) return undefined;
    const begun = ledger.start(node, 'execute', `verify ${node.name}`);
    for (const item of content) await check(node, item.digest, [node.output, item.name], sums);
    await complete(this.#site, begun, content);
    return content;
  }

  async #fetch(remote: RemoteNode, sums: string | undefined, arrivals: readonly Arrival[]): Promise<Content> {
    const { workspace, ledger, moves, listener, signal } = this.#site;
    const { node, identity } = remote;
    const files = workspace.lock.get(identity)?.files ?? [];
    checkNames(node, files);
    let begun: Begun | undefined;
    // While all its files wait for a place in the pool a node waits, and does not run.
    const begin = () => {
      begun ??= ledger.start(node, 'download', describeFiles(identity, files));
      return begun;
    };
    const { content, bytes } = await showProgress(node.name, listener, (progress) =>
      download(
        {
          workspace,
          fetcher: this.#o.fetcher(),
          signal,
          pooled: (work) =>
            ledger.pooled('network', node, (slot) => {
              begin();
              return work(slot);
            }),
          onProgress: (done, total) => {
            if (begun) progress.bytes(done, total);
          },
          onPercent: (percent) => {
            if (begun) progress.percent(percent);
          },
          onNotice: (message) => listener({ type: 'notice', node: node.name, message }),
          check: (item) =>
            check(node, item.type === 'file' ? item.digest : undefined, [node.output, item.name], sums),
          learned: () => this.#saveLock(),
          place: (temp, item) => moves.place(temp, node, item),
          arrivals,
        },
        remote,
      ),
    );
    ledger.downloaded(node.name, bytes);
    // Where nothing had to be fetched it begins and ends here.
    await complete(this.#site, begin(), content);
    return content;
  }

  /** One write after another, however many downloads learn something at once. */
  #saveLock(): Promise<void> {
    this.#savingLock = this.#savingLock.then(() => saveLock(this.#site.workspace));
    return this.#savingLock;
  }
}

/** What is fetched, in short: the file's name, or how many there are. */
function describeFiles(identity: string, files: readonly { readonly name: string }[]): string {
  const [first, ...more] = files;
  if (!first) return identity;
  return more.length === 0 ? first.name : `${more.length + 1} files`;
}
