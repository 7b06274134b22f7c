// One request and its answer as an async iterable that loses nothing: when a connection breaks, what arrived before comes
// out first, then the error. (The bodies of undici's `request` and `fetch` drop what they hold at that moment.)
import type { Dispatcher } from 'undici';

export interface Exchange {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** To be iterated once. Leaving the loop early breaks the connection. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Gives the rest of the answer up: what is short is read, so that the connection can be kept; else it is broken. */
  discard(): Promise<void>;
}

/** Bytes that may wait to be taken; the socket is paused above that. */
const HIGH_WATER = 1024 * 1024;
const DISCARD_LIMIT = 128 * 1024;

type State = { readonly is: 'open' } | { readonly is: 'ended' } | { readonly is: 'broken'; readonly error: Error };

/** Rejects, and its body rejects, with undici's errors, or with the signal's reason. */
export function exchange(
  dispatcher: Dispatcher,
  options: Dispatcher.DispatchOptions,
  signal: AbortSignal | undefined,
): Promise<Exchange> {
  return new Promise((resolve, reject) => {
    const queue: Uint8Array[] = [];
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

    async function* body(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          const chunk = queue.shift();
          if (chunk !== undefined) {
            queued -= chunk.byteLength;
            if (queued < HIGH_WATER / 2 && controller?.paused === true) controller.resume();
            yield chunk;
          } else if (state.is === 'open') {
            await new Promise<void>((resume) => {
              wake = resume;
            });
          } else {
            if (state.is === 'broken') throw state.error;
            return;
          }
        }
      } finally {
        if (state.is === 'open') abort(new Error('the rest of the answer is not wanted'));
      }
    }

    async function discard(): Promise<void> {
      let left = DISCARD_LIMIT;
      try {
        for await (const chunk of body()) {
          left -= chunk.byteLength;
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
        queue.push(chunk);
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

function reasonOf(signal: AbortSignal | undefined): Error {
  return signal?.reason instanceof Error ? signal.reason : new Error('interrupted');
}
