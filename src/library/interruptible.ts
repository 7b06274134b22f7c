// Work under the signals of a caller. Whatever a signal was aborted with, the work ends with the one error that res has for that.
import { setMaxListeners } from 'node:events';
import { ResError } from '../model/error.js';

export interface Interruptible {
  /** Aborting ends the work in order: what was downloaded is kept, and the promise rejects with ResError `interrupted`. */
  readonly signal?: AbortSignal;
}

/** Rejects as `work` does; with ResError `interrupted` and no call of it when a signal is aborted already. */
export async function interruptible<T>(
  signals: readonly (AbortSignal | undefined)[],
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  // All that runs at once listens, and Node warns of more than ten.
  setMaxListeners(0, controller.signal);
  const listening = new AbortController();
  for (const signal of signals) {
    const abort = () =>
      controller.abort(new ResError('interrupted', 'interrupted', { cause: signal?.reason }));
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort, { signal: listening.signal });
  }
  try {
    controller.signal.throwIfAborted();
    return await work(controller.signal);
  } finally {
    listening.abort();
  }
}
