// The events of a build for one reader, in their order. A build waits for no reader, and what is not read takes no more room for that:
// what is out of date or too much goes.
import type { BuildEvent } from '../model/event.js';
import { count } from '../report/format.js';

/** What programs print: lines that wait to be read. */
const MOST_LINES = 1000;

interface Place {
  event: BuildEvent;
}

/**
 * Of the progress of a node only the newest waits. Of lines of output the newest 1000 wait; where older ones went, one notice for each
 * node says how many. Everything else waits until it is read: it is a few events a node.
 */
export class EventQueue implements AsyncIterable<BuildEvent> {
  readonly #waiting = new Set<Place>();
  /** By node, its progress that can still be replaced: nothing else was told of the node since. */
  readonly #progress = new Map<string, Place>();
  readonly #lines: Place[] = [];
  /** By node, how many of its lines went, and the notice that says so. */
  readonly #gone = new Map<string, { readonly place: Place; count: number }>();
  #ended = false;
  #wake: (() => void) | undefined;

  /** How many wait to be read. */
  get length(): number {
    return this.#waiting.size;
  }

  push(event: BuildEvent): void {
    if ('node' in event) {
      const place = this.#progress.get(event.node);
      if (event.type === 'progress' && place) {
        place.event = event;
        return;
      }
      this.#progress.delete(event.node);
    }
    const place: Place = { event };
    this.#waiting.add(place);
    if (event.type === 'progress') this.#progress.set(event.node, place);
    if (event.type === 'output' && this.#lines.push(place) > MOST_LINES) this.#dropLine();
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** For one reader. */
  async *[Symbol.asyncIterator](): AsyncGenerator<BuildEvent, void, undefined> {
    for (;;) {
      // Those that are pushed while the reader is at work are in it too.
      for (const place of this.#waiting) {
        this.#take(place);
        yield place.event;
      }
      if (this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #take(place: Place): void {
    this.#waiting.delete(place);
    const { event } = place;
    if (event.type === 'output') this.#lines.shift();
    else if (!('node' in event)) return;
    else if (this.#progress.get(event.node) === place) this.#progress.delete(event.node);
    else if (this.#gone.get(event.node)?.place === place) this.#gone.delete(event.node);
  }

  /** The oldest one that waits. Its place is taken by the notice, unless that stands in an earlier one. */
  #dropLine(): void {
    const oldest = this.#lines.shift();
    if (!oldest || !('node' in oldest.event)) return;
    const { node } = oldest.event;
    const gone = this.#gone.get(node) ?? { place: oldest, count: 0 };
    if (gone.place === oldest) this.#gone.set(node, gone);
    else this.#waiting.delete(oldest);
    gone.count += 1;
    const lines = count(gone.count, 'line');
    const message = `not read in time and left out: ${lines} of its output; its log has all of it`;
    gone.place.event = { type: 'notice', node, message };
  }
}
