// Progress events at a pace that a screen and a log can take.
import type { EventListener } from '../model/event.js';

const PACE_MS = 100;

/** Takes how far something is, as often as it is known. */
export interface Progress {
  /** @param total null as long as nobody knows it */
  bytes(done: number, total: number | null): void;
  percent(done: number): void;
}

/**
 * Does some work of a node, whose progress is told at most every 100 ms, and always the newest: also when nothing more comes,
 * as when a download stalls.
 */
export async function showProgress<T>(
  node: string,
  listener: EventListener,
  work: (progress: Progress) => Promise<T>,
): Promise<T> {
  const throttle = new Throttle(node, listener);
  try {
    return await work(throttle);
  } finally {
    throttle.end();
  }
}

class Throttle implements Progress {
  readonly #node: string;
  readonly #listener: EventListener;
  #last = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #tell: (() => void) | undefined;

  constructor(node: string, listener: EventListener) {
    this.#node = node;
    this.#listener = listener;
  }

  bytes(done: number, total: number | null): void {
    this.#send(done, total, 'bytes', done === total);
  }

  percent(done: number): void {
    this.#send(done, 100, 'percent', done >= 100);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#tell = undefined;
  }

  #send(done: number, total: number | null, unit: 'bytes' | 'percent', isLast: boolean): void {
    this.#tell = () => this.#listener({ type: 'progress', node: this.#node, done, total, unit });
    const wait = isLast ? 0 : this.#last + PACE_MS - performance.now();
    if (wait <= 0) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), wait).unref();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#last = performance.now();
    this.#tell?.();
    this.#tell = undefined;
  }
}
