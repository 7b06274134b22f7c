// One file from one http(s) address into its partial file: asks, joins, retries, until the last byte is there.
import { ResError } from '../model/error.js';
import { byteLength } from './exchange.js';
import { type Failure, type Headers, networkFailure, statusFailure } from './failure.js';
import type { Network } from './network.js';
import type { PartialFile, Wanted } from './partial.js';
import { contentRange, endedEarly, rangeHeader } from './range.js';
import { redactUrl } from './redact.js';
import { COMPLETE, type Complete, interrupted, type RetryPolicy, retrying } from './retry.js';
import {
  downloadSegments,
  type FirstAnswer,
  MISFIT,
  type Misfit,
  type SegmentRules,
  type Slot,
} from './segments.js';
import { type Answer, get } from './wire.js';

export interface Download {
  readonly url: string;
  readonly ownHeaders: Headers;
  readonly expected: Wanted;
  readonly network: Network;
  readonly retry: RetryPolicy;
  /** Another place has the file: not worth waiting for a server that cannot be reached. */
  readonly hasOther: boolean;
  /** Its place among all downloads; where there is none, it comes over one connection. */
  readonly slot?: Slot;
  readonly segments: SegmentRules;
  readonly signal: AbortSignal;
  /** Bytes that arrived, wanted or not. */
  readonly onReceived: (bytes: number) => void;
  readonly onProgress: (done: number, total: number | null) => void;
  readonly onNotice: (message: string) => void;
}

/** A file that can be had in ranges, and whose rest is worth more than one connection. */
interface Split extends FirstAnswer {
  readonly kind: 'split';
}

/**
 * Resolves when all bytes that the server has are in `partial` (their sum is not looked at), or to why not; what arrived is
 * in `partial` then. Rejects with ResError `interrupted`, `io`, `no-space`, `config-invalid`, or as the slot does.
 */
export async function download(partial: PartialFile, o: Download): Promise<Complete | Failure> {
  const { slot } = o;
  if (!slot || isReadOnTheWay(o)) return inOnePiece(partial, o);
  const first = await insisting(partial, o, () => attempt(partial, o, slot));
  if (first.kind === 'complete' || first.kind === 'failed') return first;
  const end =
    first.kind === 'misfit'
      ? first
      : await downloadSegments(partial, first, { ...o, slot, rules: o.segments });
  return end.kind === 'misfit' ? inOnePiece(partial, o) : end;
}

/** By one answer after the other, each of which brings all that is missing. */
async function inOnePiece(partial: PartialFile, o: Download): Promise<Complete | Failure> {
  await partial.closeGaps();
  const end = await insisting(partial, o, () => attempt(partial, o));
  if (end.kind === 'complete' || end.kind === 'failed') return end;
  throw new Error('a file in one piece was split');
}

/** A proxy between here and a plain http server may keep whole files for others, and ranges never. */
function isReadOnTheWay({ network, url }: Download): boolean {
  return url.startsWith('http:') && network.proxyOf(new URL(url)) !== undefined;
}

function insisting<T extends { readonly kind: string }>(
  partial: PartialFile,
  o: Download,
  work: () => Promise<T | Failure>,
): Promise<T | Failure> {
  let furthest = partial.size;
  return retrying(work, {
    policy: o.retry,
    signal: o.signal,
    // A server that cannot resume and always breaks at the same place makes none.
    progressed: () => {
      const moved = partial.size > furthest;
      furthest = Math.max(furthest, partial.size);
      return moved;
    },
    giveUp: (failure) => o.hasOther && failure.unreachable === true,
    onRetry: o.onNotice,
  });
}

/** @param slot where the file may be split, should that be worth it */
async function attempt(
  partial: PartialFile,
  o: Download,
  slot?: Slot,
): Promise<Complete | Split | Misfit | Failure> {
  const condition = partial.condition(o.url);
  if (condition === undefined && partial.present > 0) await partial.restart();
  const { size } = o.expected;
  if (partial.size > 0 && partial.size === size) return COMPLETE;
  const start = partial.size;
  const end = slot && condition && size !== undefined ? endOfFirst(partial, size, o.segments) : undefined;
  const asksForPart = start > 0 || end !== undefined;
  const answer = await get(o.network, {
    url: o.url,
    ownHeaders: o.ownHeaders,
    signal: o.signal,
    ...(asksForPart
      ? { headers: { ...condition, ...rangeHeader({ start, ...(end === undefined ? {} : { end }) }) } }
      : {}),
  });
  if (answer.kind === 'failed') return answer;
  switch (answer.status) {
    case 200: {
      if (partial.present > 0) {
        o.onNotice(`${redactUrl(o.url)}: cannot be resumed (changed, or the server cannot): from the start`);
        await partial.restart();
      }
      const total = lengthOf(answer.headers['content-length']);
      // Whoever gives all to who asks for a part gives no parts, whatever it says; unless the part was wanted of an older version.
      const isDeaf = asksForPart && condition?.['if-range'] === undefined;
      const mayBeSplit = slot !== undefined && !isDeaf && answer.headers['accept-ranges'] === 'bytes';
      return receive(partial, o, answer, { total, mayBeSplit });
    }
    case 206: {
      const range = contentRange(answer.headers);
      const fits = range?.start === start && asksForPart && range.end <= (end ?? range.end);
      if (!fits || !partial.continuedBy(o.url, answer.headers))
        return end === undefined ? startOver(partial, o, answer) : misfit(answer);
      const total = range.total ?? (end === undefined ? range.end : size);
      return receive(partial, o, answer, { total, mayBeSplit: slot !== undefined, end: range.end });
    }
    case 416: {
      const total = lengthOf(/^bytes \*\/(\d+)$/.exec(answer.headers['content-range'] ?? '')?.[1]);
      if (end !== undefined) return misfit(answer);
      if (total === undefined || total !== partial.size) return startOver(partial, o, answer);
      await answer.discard();
      return o.expected.size === undefined || o.expected.size === total
        ? COMPLETE
        : wrongSize(o, total, 'no');
    }
    default:
      await answer.discard();
      return statusFailure(answer.status, answer.headers, answer.hop);
  }
}

/** The end of the first segment of what is missing; undefined where that is all, or hardly less. */
function endOfFirst(partial: PartialFile, size: number, { first }: SegmentRules): number | undefined {
  const [gap] = partial.gaps(size);
  if (!gap || (gap[1] === size && gap[1] - gap[0] <= 2 * first)) return undefined;
  return Math.min(gap[1], gap[0] + first);
}

async function misfit(answer: Answer): Promise<Misfit> {
  await answer.discard();
  return MISFIT;
}

/** What is there and what the server has do not go together. */
async function startOver(partial: PartialFile, o: Download, answer: Answer): Promise<Failure> {
  await answer.discard();
  await partial.restart();
  const message = `${redactUrl(o.url)}: the server's answer does not continue what has arrived`;
  const error = new ResError('network', message, {
    hint: 'The server, or a proxy or cache before it, answers wrongly. Try again later, or name a mirror.',
  });
  return { kind: 'failed', error, retry: 'yes', waitMs: 0 };
}

function lengthOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

function wrongSize(o: Download, actual: number | undefined, retry: Failure['retry']): Failure {
  const found = actual === undefined ? 'more than that' : `${actual}`;
  return {
    kind: 'failed',
    error: new ResError(
      'size-mismatch',
      `${redactUrl(o.url)}: ${o.expected.size} bytes expected, the server has ${found}`,
      {
        hint: 'The file was replaced since. If that is expected, run `res update`, or correct the size in the manifest.',
      },
    ),
    retry,
    wrongContent: true,
  };
}

interface Incoming {
  /** Of the whole file, bytes, as far as the server says. */
  readonly total: number | undefined;
  readonly mayBeSplit: boolean;
  /** Where the answer ends, if not with the file. */
  readonly end?: number;
}

async function receive(
  partial: PartialFile,
  o: Download,
  answer: Answer,
  { total, mayBeSplit, end = total }: Incoming,
): Promise<Complete | Split | Failure> {
  const { size: wanted } = o.expected;
  if (wanted !== undefined && total !== undefined && total !== wanted) {
    await answer.discard();
    // A cut-off copy in some cache is often gone with the next request; a longer file is another file.
    return wrongSize(o, total, total < wanted ? 'once' : 'no');
  }
  await partial.begin(o.url, answer.headers);
  const start = partial.size;
  const isLong = total !== undefined && total - start > 2 * o.segments.first;
  if (
    mayBeSplit &&
    end !== undefined &&
    total !== undefined &&
    (isLong || end < total || partial.present > start)
  ) {
    if (partial.condition(o.url)) return { kind: 'split', answer, start, end, total };
  }
  const limit = wanted ?? total ?? Number.POSITIVE_INFINITY;
  const shown = wanted ?? total ?? null;

  o.onProgress(partial.size, shown);
  try {
    for await (const batch of answer.body) {
      const arrived = byteLength(batch);
      o.onReceived(arrived);
      if (partial.size + arrived > limit) return wrongSize(o, undefined, 'no');
      await partial.append(batch);
      o.onProgress(partial.size, shown);
    }
  } catch (error) {
    if (o.signal.aborted) throw interrupted();
    return networkFailure(error, answer.hop);
  }
  const due = wanted ?? total;
  if (due === undefined || partial.size === due) return COMPLETE;
  return endedEarly(o.url, partial.size, due);
}
