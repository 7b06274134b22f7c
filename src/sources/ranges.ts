// Pieces out of a file at one http(s) address: what is damaged of a download is fetched, and not all of it. The ranges are
// asked for one after another over one connection; each is worth the same patience as a download.
import type { ByteRange } from '../store/chunks.js';
import { type Failure, type Headers, statusFailure } from './failure.js';
import type { Network } from './network.js';
import { isRange, rangeHeader, takeRange, uselessAnswer } from './range.js';
import { COMPLETE, type Complete, type RetryPolicy, retrying } from './retry.js';
import { get } from './wire.js';

export interface RangesDownload {
  readonly url: string;
  readonly ownHeaders: Headers;
  /** Of the whole file, bytes: a server with another one has other content. */
  readonly size: number;
  readonly network: Network;
  readonly retry: RetryPolicy;
  /** Another place has the file: not worth waiting for a server that cannot be reached. */
  readonly hasOther: boolean;
  readonly signal: AbortSignal;
  /** Takes bytes that arrived, in order within a range. */
  readonly write: (position: number, batch: readonly Uint8Array[]) => Promise<void>;
  readonly onNotice: (message: string) => void;
}

/**
 * Takes from `left` what has arrived: when it resolves to a failure, the rest is there for another place to be asked. Whether
 * the bytes are the right ones is the caller's to judge, by the sum of the whole. Rejects with ResError `interrupted`,
 * `config-invalid`, or with what `write` rejects with.
 */
export async function downloadRanges(left: ByteRange[], o: RangesDownload): Promise<Complete | Failure> {
  for (let range = left[0]; range !== undefined; range = left[0]) {
    let before = range.start;
    const end = await retrying(() => attempt(left, o), {
      policy: o.retry,
      signal: o.signal,
      progressed: () => {
        const start = left[0]?.start ?? before;
        const moved = start > before;
        before = start;
        return moved;
      },
      giveUp: (failure) => o.hasOther && failure.unreachable === true,
      onRetry: o.onNotice,
    });
    if (end.kind === 'failed') return end;
  }
  return COMPLETE;
}

/** The first range, or the rest of it. */
async function attempt(left: ByteRange[], o: RangesDownload): Promise<Complete | Failure> {
  const [first] = left;
  if (!first) return COMPLETE;
  const range = { start: first.start, end: first.start + first.length };
  const answer = await get(o.network, {
    url: o.url,
    ownHeaders: o.ownHeaders,
    headers: rangeHeader(range),
    signal: o.signal,
  });
  if (answer.kind === 'failed') return answer;
  if (answer.status !== 206) {
    await answer.discard();
    return answer.status === 200 || answer.status === 416
      ? uselessAnswer(o.url, 'gives no parts of it')
      : statusFailure(answer.status, answer.headers, answer.hop);
  }
  if (!isRange(answer.headers, range, o.size)) {
    await answer.discard();
    return uselessAnswer(o.url, 'gives other parts of it than those asked for');
  }
  const end = await takeRange(answer, range, o);
  left.splice(
    0,
    1,
    ...(range.start < range.end ? [{ start: range.start, length: range.end - range.start }] : []),
  );
  return end;
}
