// One file from one http(s) address into its partial file: asks, joins, retries, until the last byte is there.
import { ResError } from '../model/error.js';
import { byteLength } from './exchange.js';
import { type Failure, type Headers, networkFailure, statusFailure, TRY_AGAIN } from './failure.js';
import type { Network } from './network.js';
import type { PartialFile, Wanted } from './partial.js';
import { redactUrl } from './redact.js';
import { interrupted, type RetryPolicy, retrying } from './retry.js';
import { type Answer, get } from './wire.js';

export interface Download {
  readonly url: string;
  readonly ownHeaders: Headers;
  readonly expected: Wanted;
  readonly network: Network;
  readonly retry: RetryPolicy;
  /** Another place has the file: not worth waiting for a server that cannot be reached. */
  readonly hasOther: boolean;
  readonly signal: AbortSignal;
  /** Bytes that arrived, wanted or not. */
  readonly onReceived: (bytes: number) => void;
  readonly onProgress: (done: number, total: number | null) => void;
  readonly onNotice: (message: string) => void;
}

export interface Complete {
  readonly kind: 'complete';
}

export const COMPLETE: Complete = { kind: 'complete' };

/**
 * Resolves when all bytes that the server has are in `partial` (their sum is not looked at), or to why not; what arrived is
 * in `partial` then. Rejects with ResError `interrupted`, `io`, `no-space`, `config-invalid`.
 */
export async function download(partial: PartialFile, o: Download): Promise<Complete | Failure> {
  let furthest = partial.size;
  return retrying(() => attempt(partial, o), {
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

async function attempt(partial: PartialFile, o: Download): Promise<Complete | Failure> {
  const condition = partial.resume(o.url);
  if (condition === undefined && partial.size > 0) await partial.restart();
  if (partial.size > 0 && partial.size === o.expected.size) return COMPLETE;
  const answer = await get(o.network, {
    url: o.url,
    ownHeaders: o.ownHeaders,
    signal: o.signal,
    ...(condition === undefined ? {} : { headers: condition }),
  });
  if (answer.kind === 'failed') return answer;
  switch (answer.status) {
    case 200:
      if (partial.size > 0) {
        o.onNotice(`${redactUrl(o.url)}: cannot be resumed (changed, or the server cannot): from the start`);
        await partial.restart();
      }
      return receive(partial, o, answer, lengthOf(answer.headers['content-length']));
    case 206: {
      const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(answer.headers['content-range'] ?? '');
      const fits = range !== null && Number(range[1]) === partial.size && partial.size > 0;
      if (!fits || !partial.continuedBy(o.url, answer.headers)) return startOver(partial, o, answer);
      return receive(partial, o, answer, range[3] === '*' ? Number(range[2]) + 1 : Number(range[3]));
    }
    case 416: {
      const total = lengthOf(/^bytes \*\/(\d+)$/.exec(answer.headers['content-range'] ?? '')?.[1]);
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

async function receive(
  partial: PartialFile,
  o: Download,
  answer: Answer,
  total: number | undefined,
): Promise<Complete | Failure> {
  const { size: wanted } = o.expected;
  if (wanted !== undefined && total !== undefined && total !== wanted) {
    await answer.discard();
    // A cut-off copy in some cache is often gone with the next request; a longer file is another file.
    return wrongSize(o, total, total < wanted ? 'once' : 'no');
  }
  await partial.begin(o.url, answer.headers);
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
  return {
    kind: 'failed',
    error: new ResError(
      'network',
      `${redactUrl(o.url)}: the answer ended after ${partial.size} of ${due} bytes`,
      { hint: TRY_AGAIN },
    ),
    retry: 'yes',
  };
}
