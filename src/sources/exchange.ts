// One request and its answer as an async iterable that loses nothing: when a connection breaks, what arrived before comes
// out first, then the error. (The bodies of undici's `request` and `fetch` drop what they hold at that moment.)
import type { Dispatcher } from 'undici';
import { giveBack, lend } from '../store/lent.js';

export interface Exchange {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** To be iterated once, in batches of what has arrived. Leaving the loop early breaks the connection. */
  readonly body: AsyncIterable<readonly Uint8Array[]>;
  /** Gives the rest of the answer up: what is short is read, so that the connection can be kept; else it is broken. */
  discard(): Promise<void>;
}

/** Bytes that may wait to be taken; the socket is paused above that. */
const HIGH_WATER = 1024 * 1024;
/** Small writes cost more than they carry: less than this waits for more… */
const BATCH_BYTES = 256 * 1024;
/** …but no longer, so that a crash loses next to nothing. */
const LINGER_MS = 50;
const DISCARD_LIMIT = 128 * 1024;

type State =
  | { readonly is: 'open' }
  | { readonly is: 'ended' }
  | { readonly is: 'broken'; readonly error: Error };

/** Rejects, and its body rejects, with undici's errors, or with the signal's reason. */
export function exchange(
  dispatcher: Dispatcher,
  options: Dispatcher.DispatchOptions,
  signal: AbortSignal | undefined,
): Promise<Exchange> {
  return new Promise((resolve, reject) => {
    let queue: Uint8Array[] = [];
    let queued = 0;
    let state: State = { is: 'open' };
    let controller: Dispatcher.DispatchController | undefined;
    let wake: () => void = () => undefined;

    const settle = (to: State) => {
      if (state.is !== 'open') return;
      state = to;
      signal?.removeEventListener('abort', onAbort);
      wake();
    };
    const abort = (error: Error) => {
      settle({ is: 'broken', error });
      controller?.abort(error);
      reject(error);
    };
    const onAbort = () => abort(reasonOf(signal));

    /** Until bytes arrive or the answer is over; with `lingerMs`, until there is a batch of them or the time has passed. */
    async function more(lingerMs: number | undefined): Promise<void> {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resume) => {
        wake = () => {
          if (state.is !== 'open' || lingerMs === undefined || queued >= BATCH_BYTES) resume();
        };
        if (lingerMs !== undefined) timer = setTimeout(resume, lingerMs);
      });
      clearTimeout(timer);
    }

    async function* body(): AsyncGenerator<readonly Uint8Array[]> {
      try {
        for (;;) {
          if (state.is === 'open' && queued === 0) await more(undefined);
          if (state.is === 'open' && queued < BATCH_BYTES) await more(LINGER_MS);
          if (queued > 0) {
            const batch = queue;
            queue = [];
            queued = 0;
            if (controller?.paused === true) controller.resume();
            yield batch;
          } else if (state.is !== 'open') {
            if (state.is === 'broken') throw state.error;
            return;
          }
        }
      } finally {
        if (state.is === 'open') abort(new Error('the rest of the answer is not wanted'));
        for (const piece of queue.splice(0)) giveBack(piece);
      }
    }

    async function discard(): Promise<void> {
      let left = DISCARD_LIMIT;
      try {
        for await (const batch of body()) {
          left -= byteLength(batch);
          if (left < 0) return;
        }
      } catch (error) {
        // A connection that broke under bytes that nobody wants is no failure.
        if (state.is !== 'broken' || state.error !== error) throw error;
      }
    }

    if (signal?.aborted === true) return reject(reasonOf(signal));
    signal?.addEventListener('abort', onAbort, { once: true });
    dispatcher.dispatch(options, {
      onRequestStart(started) {
        controller = started;
        // Given up while the connection was being made.
        if (state.is === 'broken') started.abort(state.error);
      },
      onResponseStart(_controller, status, headers) {
        if (status >= 200) resolve({ status, headers, body: body(), discard });
      },
      onResponseData(receiving, chunk) {
        // A piece of what was read from the socket, into memory of its own.
        queue.push(lend(chunk));
        queued += chunk.byteLength;
        if (queued > HIGH_WATER) receiving.pause();
        wake();
      },
      onResponseEnd() {
        settle({ is: 'ended' });
      },
      onResponseError(_controller, error) {
        settle({ is: 'broken', error });
        reject(error);
      },
    });
  });
}

export function byteLength(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
}

function reasonOf(signal: AbortSignal | undefined): Error {
  return signal?.reason instanceof Error ? signal.reason : new Error('interrupted');
}
