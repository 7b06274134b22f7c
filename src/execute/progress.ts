// Progress events at a pace that a screen and a log can take.
import type { EventListener } from '../model/event.js';

const PACE_MS = 100;

/** Passes on at most one progress event a node every 100 ms, and always the last. */
export class Throttle {
  readonly #node: string;
  readonly #listener: EventListener;
  #last = performance.now();

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

  #send(done: number, total: number | null, unit: 'bytes' | 'percent', last: boolean): void {
    const now = performance.now();
    if (!last && now - this.#last < PACE_MS) return;
    this.#last = now;
    this.#listener({ type: 'progress', node: this.#node, done, total, unit });
  }
}
