// Gets one file to disk, whole and checked, from the first place that has it: mirrors, the address itself, its
// alternative. The bytes that arrived before a failure, an interrupt or a crash are used again.
import { type FileHandle, rm } from 'node:fs/promises';
import type { Env } from '../model/env.js';
import { ResError } from '../model/error.js';
import type { Mirror } from '../model/manifest.js';
import type { ChunkSums } from '../store/chunk-summer.js';
import type { ByteRange } from '../store/chunks.js';
import { ioError } from '../store/files.js';
import { download } from './download.js';
import { byteLength } from './exchange.js';
import type { Failure, Headers } from './failure.js';
import { createHttpClient } from './http.js';
import { copyLocalFile } from './local-file.js';
import { openNetwork, stallTimeoutMs } from './network.js';
import { openPartial, type PartialFile, type Wanted, type Watcher, writeAll } from './partial.js';
import { type Peeked, peek, type Span } from './peek.js';
import { downloadRanges } from './ranges.js';
import { redactUrl } from './redact.js';
import { type Complete, DEFAULT_RETRY, isFailure, type RetryPolicy } from './retry.js';
import { SEGMENT_RULES, type SegmentRules, type Slot } from './segments.js';
import type { FetchLocation, HttpClient } from './source.js';

export interface FetchRequest {
  /** Its URLs are absolute. */
  readonly location: FetchLocation;
  /** Absolute path of the file to fill; kept for resuming, with `.json` beside it. */
  readonly partial: string;
  /** `sha256`: hex; `size`: bytes. */
  readonly expected: { readonly sha256?: string; readonly size?: number };
  /** Bytes there are, and in all; at most every 50 ms, and once at the end. */
  readonly onProgress: (done: number, total: number | null) => void;
  readonly onNotice: (message: string) => void;
  /** Is told of every piece; of a local file nothing comes in pieces. */
  readonly watcher?: Watcher;
  /** Its place among all downloads of a build: a large file may take more of them. */
  readonly slot?: Slot;
  readonly signal: AbortSignal;
}

export interface Fetched {
  /** That of the request: complete, checked and synced; the caller gives it its final name. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Hex. */
  readonly sha256: string;
  /** Bytes that came over the network, also those in vain; 0 for a local file. */
  readonly downloadedBytes: number;
  /** Sums of its pieces; undefined for a local file. */
  readonly chunks?: ChunkSums;
}

export interface PatchRequest {
  /** Its URLs are absolute; local ones are passed over. */
  readonly location: FetchLocation;
  /** Open for writing. */
  readonly file: FileHandle;
  /** For messages. */
  readonly path: string;
  /** Of the whole file, bytes. */
  readonly size: number;
  /** What is to be fetched of it. */
  readonly ranges: readonly ByteRange[];
  /** Called with all bytes that have come over the network so far. */
  readonly onReceived: (bytes: number) => void;
  readonly onNotice: (message: string) => void;
  readonly signal: AbortSignal;
}

export interface Fetcher {
  /**
   * Rejects with ResError `network`, `http-status`, `unauthorized`, `rate-limited`, `file-not-found`,
   * `checksum-mismatch`, `size-mismatch`, `io`, `no-space`, `config-invalid`, `interrupted`.
   */
  fetch(request: FetchRequest): Promise<Fetched>;
  /**
   * Fetches ranges of a file into one that is there, from the same places as `fetch`. Nothing is checked: the caller compares the
   * whole with its sum. Rejects with ResError as `fetch`, also when no place gives parts of the file.
   */
  patch(request: PatchRequest): Promise<void>;
  /**
   * A look at one end of a file, asked for once and in vain where that fails; for estimates. Asks the place that `fetch`
   * asks first. Rejects with ResError `interrupted`.
   */
  peek(location: FetchLocation, span: Span, signal: AbortSignal): Promise<Peeked | undefined>;
  readonly client: HttpClient;
  /** Breaks what is under way, so that the process can end. */
  close(): Promise<void>;
}

export interface FetcherOptions extends Partial<RetryPolicy> {
  readonly env: Env;
  readonly mirrors: readonly Mirror[];
  /** ms without a byte after which a connection is given up and tried again; by default what RES_STALL_TIMEOUT says. */
  readonly stallMs?: number;
  readonly segments?: SegmentRules;
  /** Of small requests, which belong to no file. */
  readonly onNotice?: (message: string) => void;
}

interface Place {
  readonly url: string;
  readonly ownHeaders: Headers;
  readonly isMirror: boolean;
}

const PROGRESS_EVERY_MS = 50;

/** Throws ResError `config-invalid` for a bad RES_STALL_TIMEOUT. */
export function createFetcher(o: FetcherOptions): Fetcher {
  const network = openNetwork(o.env, { stallMs: o.stallMs ?? stallTimeoutMs(o.env) });
  const retry: RetryPolicy = {
    retries: o.retries ?? DEFAULT_RETRY.retries,
    baseDelayMs: o.baseDelayMs ?? DEFAULT_RETRY.baseDelayMs,
  };
  const client = createHttpClient({ network, retry, onNotice: o.onNotice ?? (() => undefined) });

  async function fetch(r: FetchRequest): Promise<Fetched> {
    const expected: Wanted = {
      ...r.expected,
      ...(r.expected.sha256 === undefined ? {} : { sha256: r.expected.sha256.toLowerCase() }),
    };
    const progress = throttled(r.onProgress);
    let received = 0;
    const onReceived = (bytes: number) => {
      received += bytes;
    };

    async function fromFile(place: Place): Promise<Got | Failure> {
      let content: Content;
      try {
        content = await copyLocalFile(place.url, r.partial, {
          signal: r.signal,
          onProgress: progress,
          replacing: async () => {
            // Neither a note of an earlier download nor who reads along is to take these bytes for what had arrived.
            await rm(`${r.partial}.json`, { force: true });
            r.watcher?.restarted();
          },
        });
      } catch (error) {
        if (error instanceof ResError && error.code === 'file-not-found')
          return { kind: 'failed', error, retry: 'no' };
        throw error;
      }
      const wrong = wrongContent(content, expected, place);
      if (wrong === undefined) return done(content);
      await rm(r.partial, { force: true });
      return wrong;
    }

    async function fromServer(place: Place, hasOther: boolean): Promise<Got | Failure> {
      for (let isSecond = false; ; isSecond = true) {
        const partial = await openPartial(r.partial, expected, r.signal, r.watcher);
        try {
          const isThere = await isComplete(partial, expected);
          const result = isThere
            ? ({ kind: 'complete' } as const)
            : await download(partial, {
                url: place.url,
                ownHeaders: place.ownHeaders,
                expected,
                network,
                retry,
                hasOther,
                // What was joined wrongly once is joined no more.
                ...(r.slot && !isSecond ? { slot: r.slot } : {}),
                segments: o.segments ?? SEGMENT_RULES,
                signal: r.signal,
                onReceived,
                onProgress: progress,
                onNotice: r.onNotice,
              });
          if (isFailure(result) && result.wrongContent !== true) return result;
          const content = await partial.sums();
          const wrong = isFailure(result) ? result : wrongContent(content, expected, place);
          if (wrong === undefined) {
            await partial.finish();
            return done(content);
          }
          const { joined } = partial;
          await partial.remove();
          if (!joined || isSecond) return wrong;
          // What was there before may be to blame; bytes of one answer cannot be joined wrongly.
          r.onNotice(`${wrong.error.message}; once more, from the start`);
        } finally {
          await partial.close();
        }
      }
    }

    function done(content: Content): Got {
      r.onProgress(content.size, content.size);
      return { kind: 'got', content };
    }

    const { content } = await fromAnywhere(r, (place, hasOther) =>
      isFile(place) ? fromFile(place) : fromServer(place, hasOther),
    );
    return { path: r.partial, ...content, downloadedBytes: received };
  }

  async function patch(r: PatchRequest): Promise<void> {
    const left = [...r.ranges];
    let received = 0;
    const write = async (position: number, batch: readonly Uint8Array[]) => {
      received += byteLength(batch);
      await writeAll(r.file, batch, position).catch((error: unknown) => {
        throw ioError(error, 'cannot write', r.path);
      });
      r.onReceived(received);
    };
    await fromAnywhere<Complete>(r, async (place, hasOther) => {
      if (isFile(place)) {
        const error = new ResError('network', `${place.url}: no place to fetch parts from`);
        return { kind: 'failed', error, retry: 'no' };
      }
      const { url, ownHeaders } = place;
      const { size, signal, onNotice } = r;
      return downloadRanges(left, {
        url,
        ownHeaders,
        size,
        network,
        retry,
        hasOther,
        signal,
        write,
        onNotice,
      });
    });
  }

  /** The first success: of mirrors, of the address itself, and of its alternative where that was refused. */
  async function fromAnywhere<T extends { readonly kind: string }>(
    r: Pick<FetchRequest, 'location' | 'onNotice'>,
    attempt: (place: Place, hasOther: boolean) => Promise<T | Failure>,
  ): Promise<T> {
    const failures: Failure[] = [];
    const among = async (places: readonly Place[]): Promise<T | undefined> => {
      for (const [i, place] of places.entries()) {
        const hasOther = i < places.length - 1;
        const result = await attempt(place, hasOther);
        if (!isFailure(result)) return result;
        failures.push(result);
        if (hasOther) r.onNotice(`${result.error.message}; taking the next address`);
      }
      return undefined;
    };
    const first = await among(placesOf(r.location, o.mirrors));
    if (first !== undefined) return first;
    const refused = failures.some(
      ({ status }) => status === 401 || status === 403 || status === 404 || status === 410,
    );
    const other = refused ? await r.location.alternative?.() : undefined;
    const second = other && (await among(placesOf(other, [])));
    if (second !== undefined) return second;
    throw combined(failures);
  }

  async function peekAt(
    location: FetchLocation,
    span: Span,
    signal: AbortSignal,
  ): Promise<Peeked | undefined> {
    const [place] = placesOf(location, o.mirrors);
    return place && peek({ network, url: place.url, headers: place.ownHeaders, span, signal });
  }

  return { fetch, patch, peek: peekAt, client, close: () => network.close() };
}

interface Content {
  readonly size: number;
  readonly sha256: string;
  readonly chunks?: ChunkSums;
}

interface Got {
  readonly kind: 'got';
  readonly content: Content;
}

/** What is as long as it should be; without a length any beginning may be all of it. */
async function isComplete(partial: PartialFile, { sha256, size }: Wanted): Promise<boolean> {
  if (sha256 === undefined || partial.size !== (size ?? partial.size)) return false;
  return (await partial.sums()).sha256 === sha256;
}

function isFile({ url }: Place): boolean {
  return /^file:/i.test(url);
}

function throttled(report: FetchRequest['onProgress']): FetchRequest['onProgress'] {
  let last = Number.NEGATIVE_INFINITY;
  return (done, total) => {
    const now = performance.now();
    if (now - last < PROGRESS_EVERY_MS) return;
    last = now;
    report(done, total);
  };
}

/** Where to ask, in order: for each URL its mirrors, then itself; no place twice. */
function placesOf(location: FetchLocation, mirrors: readonly Mirror[]): readonly Place[] {
  const [first] = location.urls;
  if (first === undefined) throw new Error('a location without a URL');
  const owner = originOf(first);
  const places = new Map<string, Place>();
  const add = (url: string, isMirror: boolean) => {
    const ownHeaders = owner !== undefined && originOf(url) === owner ? (location.headers ?? {}) : {};
    if (!places.has(url)) places.set(url, { url, ownHeaders, isMirror });
  };
  for (const [i, url] of location.urls.entries()) {
    for (const mirror of mirrors) {
      if (!url.startsWith(mirror.from)) continue;
      for (const to of mirror.to) add(to + url.slice(mirror.from.length), true);
    }
    add(url, i > 0);
  }
  return [...places.values()];
}

function originOf(url: string): string | undefined {
  return /^https?:/i.test(url) ? new URL(url).origin : undefined;
}

function wrongContent(content: Content, expected: Wanted, place: Place): Failure | undefined {
  const { size, sha256 } = expected;
  const where = `${redactUrl(place.url)}${place.isMirror ? ' (a mirror)' : ''}`;
  const hint =
    'The file was replaced or damaged. If the change is expected, run `res update`, or correct the checksum in the manifest.';
  if (size !== undefined && size !== content.size) {
    const message = `${where}: ${size} bytes expected, ${content.size} found`;
    return {
      kind: 'failed',
      error: new ResError('size-mismatch', message, { hint }),
      retry: 'no',
      wrongContent: true,
    };
  }
  if (sha256 !== undefined && sha256 !== content.sha256) {
    const message = `${where}: wrong checksum\n  expected sha256 ${sha256}\n  actual   sha256 ${content.sha256}`;
    return {
      kind: 'failed',
      error: new ResError('checksum-mismatch', message, { hint }),
      retry: 'no',
      wrongContent: true,
    };
  }
  return undefined;
}

/** The last place's error, which is that of the address itself, with what the others said. */
function combined(failures: readonly Failure[]): ResError {
  const last = failures.at(-1);
  if (last === undefined) throw new Error('a failure without a reason');
  const others = failures.slice(0, -1).map(({ error }) => error.message.replace(/\s*\n\s*/g, ', '));
  if (others.length === 0) return last.error;
  const hint = [last.error.hint, `Tried before: ${others.join('; ')}.`]
    .filter((text) => text !== undefined)
    .join(' ');
  return new ResError(last.error.code, last.error.message, { hint, cause: last.error });
}
