// Pieces out of a file at one http(s) address: what is damaged of a download is fetched, and not all of it. The ranges are
// asked for one after another over one connection; each is worth the same patience as a download.
import { ResError } from '../model/error.js';
import type { ByteRange } from '../store/chunks.js';
import { COMPLETE, type Complete } from './download.js';
import { byteLength } from './exchange.js';
import { type Failure, type Headers, networkFailure, statusFailure } from './failure.js';
import type { Network } from './network.js';
import { redactUrl } from './redact.js';
import { interrupted, type RetryPolicy, retrying } from './retry.js';
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
  const range = left[0];
  if (!range) return COMPLETE;
  const end = range.start + range.length;
  const answer = await get(o.network, {
    url: o.url,
    ownHeaders: o.ownHeaders,
    headers: { range: `bytes=${range.start}-${end - 1}` },
    signal: o.signal,
  });
  if (answer.kind === 'failed') return answer;
  if (answer.status !== 206) {
    await answer.discard();
    return answer.status === 200 || answer.status === 416
      ? useless(o, 'gives no parts of it')
      : statusFailure(answer.status, answer.headers, answer.hop);
  }
  const found = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(answer.headers['content-range'] ?? '');
  const fits =
    found !== null &&
    Number(found[1]) === range.start &&
    Number(found[2]) === end - 1 &&
    (found[3] === '*' || Number(found[3]) === o.size);
  if (!fits) {
    await answer.discard();
    return useless(o, 'gives other parts of it than those asked for');
  }
  let position = range.start;
  try {
    for await (const batch of answer.body) {
      const arrived = byteLength(batch);
      if (position + arrived > end) return useless(o, 'sent more than was asked for');
      await o.write(position, batch);
      position += arrived;
      left[0] = { start: position, length: end - position };
    }
  } catch (error) {
    if (o.signal.aborted) throw interrupted();
    return networkFailure(error, answer.hop);
  }
  if (position === end) {
    left.shift();
    return COMPLETE;
  }
  const message = `${redactUrl(o.url)}: the answer ended after ${position - range.start} of ${range.length} bytes`;
  return { kind: 'failed', error: new ResError('network', message), retry: 'yes' };
}

function useless(o: RangesDownload, what: string): Failure {
  const error = new ResError('network', `${redactUrl(o.url)}: the server ${what}`);
  return { kind: 'failed', error, retry: 'no' };
}
