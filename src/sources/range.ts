// A range of a file in an answer: which one it is, and its bytes as they come.
import { ResError } from '../model/error.js';
import { byteLength } from './exchange.js';
import { type Failure, type Headers, networkFailure, TRY_AGAIN } from './failure.js';
import { redactUrl } from './redact.js';
import { COMPLETE, type Complete, interrupted } from './retry.js';
import type { Answer } from './wire.js';

/** A range that is on its way; `start` moves on with what has arrived. */
export interface Pending {
  start: number;
  /** Exclusive. */
  end: number;
}

/** What Content-Range says; undefined where it says nothing that can be understood. */
export function contentRange(
  headers: Headers,
): { readonly start: number; readonly end: number; readonly total: number | undefined } | undefined {
  const found = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers['content-range'] ?? '');
  if (!found) return undefined;
  const [, first, last, total] = found;
  return {
    start: Number(first),
    end: Number(last) + 1,
    total: total === '*' ? undefined : Number(total),
  };
}

/** Whether an answer is just this range of a file of `total` bytes, as far as it says. */
export function isRange(
  headers: Headers,
  { start, end }: { readonly start: number; readonly end: number },
  total: number,
): boolean {
  const found = contentRange(headers);
  return found?.start === start && found.end === end && (found.total ?? total) === total;
}

/** The header that asks for a range; without an end, for all that follows. */
export function rangeHeader({ start, end }: { readonly start: number; readonly end?: number }): Headers {
  return { range: `bytes=${start}-${end === undefined ? '' : end - 1}` };
}

export interface Taking {
  readonly url: string;
  readonly signal: AbortSignal;
  /** Bytes that arrived, in order. */
  readonly write: (position: number, batch: readonly Uint8Array[]) => Promise<void>;
}

/**
 * Writes what an answer brings of a range. Rejects with ResError `interrupted`, or with what `write` rejects with; a failure that
 * is not to be retried says that the answer brought more than the range.
 */
export async function takeRange(
  { body, hop }: Pick<Answer, 'body' | 'hop'>,
  range: Pending,
  { url, signal, write }: Taking,
): Promise<Complete | Failure> {
  const { start } = range;
  try {
    for await (const batch of body) {
      const arrived = byteLength(batch);
      if (range.start + arrived > range.end) return uselessAnswer(url, 'sent more than was asked for');
      await write(range.start, batch);
      range.start += arrived;
    }
  } catch (error) {
    if (signal.aborted) throw interrupted();
    return networkFailure(error, hop);
  }
  if (range.start === range.end) return COMPLETE;
  return endedEarly(url, range.start - start, range.end - start);
}

/** An answer that looked whole, and brought less than it should. */
export function endedEarly(url: string, came: number, due: number): Failure {
  const message = `${redactUrl(url)}: the answer ended after ${came} of ${due} bytes`;
  return { kind: 'failed', error: new ResError('network', message, { hint: TRY_AGAIN }), retry: 'yes' };
}

/** A server that answers, but not what ranges need. */
export function uselessAnswer(url: string, what: string): Failure {
  const error = new ResError('network', `${redactUrl(url)}: the server ${what}`);
  return { kind: 'failed', error, retry: 'no' };
}
