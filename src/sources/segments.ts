// A file in segments, over as many connections as its build has places for: the earliest bytes that are missing come first, so that
// who reads along from the beginning gets them as fast as all connections together bring them.
import { setMaxListeners } from 'node:events';
import { giveBack } from '../store/lent.js';
import { byteLength } from './exchange.js';
import { type Failure, type Headers, isTransient, statusFailure } from './failure.js';
import type { Network } from './network.js';
import type { PartialFile } from './partial.js';
import { isRange, type Pending, rangeHeader, takeRange } from './range.js';
import { COMPLETE, type Complete, interrupted, isFailure, type RetryPolicy, retrying } from './retry.js';
import { type Answer, get } from './wire.js';

/** The place that a download has among all of a build, which share a limited number of them. */
export interface Slot {
  /** Lets what is more urgent and waits go first. Rejects when it does not get a place again. */
  giveWay(): Promise<void>;
  /**
   * Runs `work` in a place more, in the turn of this one, as soon as there is one; it must not reject. Resolves when that is done,
   * or when there will be no place.
   */
  beside(work: (slot: Slot) => Promise<void>): Promise<void>;
}

export interface SegmentsDownload {
  readonly url: string;
  readonly ownHeaders: Headers;
  readonly network: Network;
  readonly retry: RetryPolicy;
  readonly hasOther: boolean;
  readonly slot: Slot;
  readonly rules: SegmentRules;
  readonly signal: AbortSignal;
  readonly onReceived: (bytes: number) => void;
  readonly onProgress: (done: number, total: number | null) => void;
  readonly onNotice: (message: string) => void;
}

/** An answer that brings bytes from `start` on, and so how many there are in all. */
export interface FirstAnswer {
  readonly answer: Answer;
  readonly start: number;
  /** Where it ends: at the end of what was asked for, or of the file. */
  readonly end: number;
  /** Of the whole file, bytes. */
  readonly total: number;
}

/** Ranges of this file cannot be had, or do not belong together: it is to be asked for in one piece. */
export interface Misfit {
  readonly kind: 'misfit';
}

export const MISFIT: Misfit = { kind: 'misfit' };

export interface SegmentRules {
  /** Bytes of the first segments, which show how fast a connection is. */
  readonly first: number;
  /** What one connection brings within this time, ms, is not worth another one. */
  readonly worthMs: number;
}

export const SEGMENT_RULES: SegmentRules = { first: 4 * 1024 * 1024, worthMs: 500 };

/** A segment takes about so long, so that the next request costs little… */
const SEGMENT_MS = 3000;
/** …but is no longer than so many of the first ones, or this share of the file: so much lies behind gaps for each connection. */
const LARGEST_SEGMENT = 4;
const LARGEST_SHARE = 1 / 512;
/** Nor more than this part of what is left, so that all connections come to the end at about the same time. */
const SHARES = 4;
/** How much more it has to be worth to break an answer off: what is on the way of it is lost. */
const BREAK_OFF = 4;
/** Connections beside the first one of a file, whatever places there are: more would be rude. */
const MOST_BESIDE = 15;
/** Segments that have to come before a server that refused a connection is asked for one more again. */
const PATIENCE = 16;

/**
 * Resolves when all bytes are in `partial` (their sum is not looked at), or to why not; what arrived is in `partial` then, and may
 * have gaps. Rejects with ResError `interrupted`, `io`, `no-space`, `config-invalid`, or as the place does.
 */
export function downloadSegments(
  partial: PartialFile,
  first: FirstAnswer,
  o: SegmentsDownload,
): Promise<Complete | Failure | Misfit> {
  return new Segments(partial, first.total, o).run(first);
}

class Segments {
  readonly #partial: PartialFile;
  readonly #total: number;
  readonly #o: SegmentsDownload;
  readonly #pending = new Set<Pending>();
  /** Ends all connections, and the wait for the next try. */
  readonly #stop = new AbortController();
  /** Of one connection, bytes a ms; 0 until one has brought a segment. */
  #rate = 0;
  #length: number;
  /** Connections beside the first one. */
  #beside = 0;
  /** How many of these the server bears. */
  #most = MOST_BESIDE;
  #arrived = 0;
  /** Where the address leads. */
  #direct: string | undefined;
  /** For a place for one more. */
  #isWaiting = false;
  /** Why a connection beside ended that should not have. */
  #broken: { readonly error: unknown } | undefined;
  #wake: () => void = () => undefined;

  constructor(partial: PartialFile, total: number, options: SegmentsDownload) {
    this.#partial = partial;
    this.#total = total;
    this.#o = options;
    this.#length = options.rules.first;
    // Each connection listens.
    setMaxListeners(0, this.#stop.signal);
  }

  async run(first: FirstAnswer): Promise<Complete | Failure | Misfit> {
    this.#direct = ledTo(first.answer, this.#o.url);
    const { signal, retry, hasOther, onNotice } = this.#o;
    const stop = () => this.#stop.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    let given: FirstAnswer | undefined = first;
    let furthest = this.#partial.present;
    try {
      await this.#partial.allowGaps();
      return await retrying(
        () => {
          const answer = given;
          given = undefined;
          return this.#fetchAll(answer);
        },
        {
          policy: retry,
          signal: this.#stop.signal,
          progressed: () => {
            const moved = this.#partial.present > furthest;
            furthest = this.#partial.present;
            return moved;
          },
          giveUp: (failure) => hasOther && failure.unreachable === true,
          onRetry: onNotice,
        },
      );
    } catch (error) {
      if (this.#broken) throw this.#broken.error;
      if (signal.aborted) throw interrupted();
      if (this.#isWhole) return COMPLETE;
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
      this.#stop.abort();
      while (this.#beside > 0) await this.#oneEnded();
    }
  }

  /** Segment after segment until there is none left, those included that a connection beside leaves behind. */
  async #fetchAll(given: FirstAnswer | undefined): Promise<Complete | Failure | Misfit> {
    const { slot } = this.#o;
    let end = given ? await this.#takeFirst(given) : await this.#fetchNext(slot);
    for (;;) {
      if (end === undefined) {
        if (this.#beside === 0) return COMPLETE;
        await this.#oneEnded();
        if (this.#broken) throw this.#broken.error;
      } else if (end.kind !== 'complete') return end;
      else if (this.#free().length > 0) await slot.giveWay();
      end = await this.#fetchNext(slot);
    }
  }

  #takeFirst({ answer, start, end, total }: FirstAnswer): Promise<Complete | Failure> {
    const [gap = [start, end] as const] = this.#partial.gaps(total);
    const range = { start, end: Math.min(end, gap[1], start + this.#largest) };
    return this.#take(range, end, answer);
  }

  /** Undefined when all that is missing is on its way. */
  async #fetchNext(slot: Slot): Promise<Complete | Failure | Misfit | undefined> {
    const next = this.#next();
    if (!next) return undefined;
    const { range, asked } = next;
    this.#pending.add(range);
    this.#addConnection(slot);
    try {
      const { url } = this.#o;
      const condition = this.#partial.condition(url);
      if (!condition) return MISFIT;
      const began = performance.now();
      const answer = await this.#ask({ ...condition, ...rangeHeader({ start: range.start, end: asked }) });
      if (answer.kind === 'failed') return answer;
      if (answer.status !== 206) {
        await answer.discard();
        if (answer.status === 200 || answer.status === 416) return MISFIT;
        return statusFailure(answer.status, answer.headers, answer.hop);
      }
      const fits = isRange(answer.headers, { start: range.start, end: asked }, this.#total);
      if (fits && this.#partial.continuedBy(url, answer.headers))
        return await this.#take(range, asked, answer, began);
      await answer.discard();
      return MISFIT;
    } finally {
      this.#pending.delete(range);
    }
  }

  /** At once where the address led before, as long as that is good: many a server sends each request on to a signed address. */
  async #ask(headers: Headers): Promise<Answer | Failure> {
    const { url, ownHeaders, network } = this.#o;
    const { signal } = this.#stop;
    const direct = this.#direct;
    if (direct !== undefined) {
      const answer = await get(network, { url: direct, headers, signal });
      if (answer.kind === 'answer' && (answer.status < 400 || isTransient(answer.status))) return answer;
      if (this.#direct === direct) this.#direct = undefined;
      if (answer.kind === 'failed') return answer;
      await answer.discard();
    }
    const answer = await get(network, { url, ownHeaders, headers, signal });
    if (answer.kind === 'answer' && answer.status === 206) this.#direct = ledTo(answer, url);
    return answer;
  }

  /** @param brings where the answer ends: it may bring more than the range, which grows as long as nobody else should fetch that */
  async #take(
    range: Pending,
    brings: number,
    answer: Answer,
    began = performance.now(),
  ): Promise<Complete | Failure> {
    const { start } = range;
    const body =
      brings > range.end ? upTo(answer.body, start, (end) => this.#extend(range, end)) : answer.body;
    this.#pending.add(range);
    try {
      const end = await takeRange({ ...answer, body }, range, {
        url: this.#o.url,
        signal: this.#stop.signal,
        write: async (position, batch) => {
          const arrived = byteLength(batch);
          this.#o.onReceived(arrived);
          await this.#partial.write(position, batch);
          this.#o.onProgress(this.#partial.present, this.#total);
          this.#measure(position + arrived - start, performance.now() - began);
        },
      });
      if (end.kind === 'complete' && ++this.#arrived % PATIENCE === 0)
        this.#most = Math.min(MOST_BESIDE, this.#most + 1);
      return end;
    } finally {
      this.#pending.delete(range);
      await this.#partial.note();
    }
  }

  /** Where a range ends of which bytes up to `position` came: it goes on where one connection is enough. */
  #extend(range: Pending, position: number): number {
    const free = position > range.end ? this.#free().find(({ start }) => start === range.end) : undefined;
    if (free && !this.#isWorthMore(BREAK_OFF)) range.end = Math.min(free.end, position + this.#largest);
    return range.end;
  }

  #measure(bytes: number, ms: number): void {
    // What waited in buffers on the way comes faster than the network brings it.
    if (bytes >= this.#o.rules.first / 2 && ms > 0) this.#rate = bytes / ms;
  }

  get #largest(): number {
    return Math.max(this.#o.rules.first * LARGEST_SEGMENT, Math.ceil(this.#total * LARGEST_SHARE));
  }

  /** The earliest bytes that are neither there nor on their way, and how far they are asked for. */
  #next(): { readonly range: Pending; readonly asked: number } | undefined {
    const [free] = this.#free();
    if (!free) return undefined;
    const { first } = this.#o.rules;
    const lasting = Math.ceil(this.#rate * SEGMENT_MS);
    this.#length = Math.min(Math.max(first, lasting), this.#length * 2, this.#largest);
    const end = free.start + Math.min(this.#length, Math.max(first, Math.ceil(this.#left() / SHARES)));
    // No crumbs.
    const range = { start: free.start, end: end + first / 4 >= free.end ? free.end : end };
    return { range, asked: this.#isWorthMore() ? range.end : free.end };
  }

  #free(): readonly Pending[] {
    const pending = [...this.#pending].sort((a, b) => a.start - b.start);
    const free: Pending[] = [];
    for (const [start, end] of this.#partial.gaps(this.#total)) {
      let position = start;
      for (const range of pending) {
        if (range.end <= position || range.start >= end) continue;
        if (range.start > position) free.push({ start: position, end: range.start });
        position = Math.max(position, range.end);
      }
      if (position < end) free.push({ start: position, end });
    }
    return free;
  }

  /** Whether what nobody fetches yet would take one connection long. */
  #isWorthMore(times = 1): boolean {
    return this.#rate > 0 && this.#left() / this.#rate > times * this.#o.rules.worthMs;
  }

  /** Bytes that nobody fetches yet. */
  #left(): number {
    return this.#free().reduce((sum, { start, end }) => sum + end - start, 0);
  }

  get #isWhole(): boolean {
    return this.#partial.gaps(this.#total).length === 0;
  }

  get #isOver(): boolean {
    return this.#stop.signal.aborted;
  }

  #addConnection(slot: Slot): void {
    if (this.#isWaiting || this.#isOver || this.#beside >= this.#most || !this.#isWorthMore()) return;
    this.#isWaiting = true;
    void slot.beside(async (another) => {
      this.#isWaiting = false;
      if (!this.#isOver) await this.#fetchBeside(another);
    });
  }

  /** Without patience: what it leaves behind is fetched by the first connection. */
  async #fetchBeside(slot: Slot): Promise<void> {
    this.#beside++;
    try {
      for (;;) {
        const end = await this.#fetchNext(slot);
        if (end === undefined) return;
        if (end.kind !== 'complete') {
          this.#most = isFailure(end) ? this.#beside - 1 : Number.NEGATIVE_INFINITY;
          return;
        }
        if (!(await this.#keeps(slot))) return;
      }
    } catch (error) {
      if (this.#isOver) return;
      this.#broken = { error };
      this.#stop.abort();
    } finally {
      this.#leave();
    }
  }

  /** Whether it still has its place, and work to do, after it gave way. */
  async #keeps(slot: Slot): Promise<boolean> {
    this.#leave();
    try {
      await slot.giveWay();
      return !this.#isOver;
    } catch {
      return false;
    } finally {
      this.#beside++;
    }
  }

  #leave(): void {
    this.#beside--;
    // The first connection may be waiting to ask again for what others have brought since.
    if (this.#isWhole) this.#stop.abort();
    this.#wake();
  }

  #oneEnded(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** The address that answered, if that is on another host: on the same one it may want the credentials of the first. */
function ledTo({ hop }: Answer, url: string): string | undefined {
  return new URL(hop.url).host === new URL(url).host ? undefined : hop.url;
}

/**
 * What comes before a limit; the rest is not waited for.
 * @param limitFor is told how far bytes would go that came, or may come
 */
async function* upTo(
  body: AsyncIterable<readonly Uint8Array[]>,
  start: number,
  limitFor: (position: number) => number,
): AsyncGenerator<readonly Uint8Array[]> {
  let position = start;
  for await (const batch of body) {
    const end = limitFor(position + byteLength(batch));
    const taken: Uint8Array[] = [];
    for (const piece of batch) {
      const room = end - position;
      if (room > 0) {
        taken.push(piece.subarray(0, room));
        position += Math.min(piece.length, room);
      } else giveBack(piece);
    }
    yield taken;
    if (position >= end && limitFor(position + 1) <= position) return;
  }
}
