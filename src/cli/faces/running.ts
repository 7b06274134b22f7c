// What is under way at the moment, worked out from the events: who runs, how far it is, how fast, for how long still.
import type { BuildEvent, Work } from '../../model/event.js';

export interface RunningNode {
  readonly node: string;
  readonly work: Work;
  readonly detail: string;
  readonly through: readonly string[];
  /** ms, on the clock that the events came by. */
  readonly since: number;
  readonly progress:
    | { readonly done: number; readonly total: number | null; readonly unit: 'bytes' | 'percent' }
    | undefined;
  /** Units (bytes or percent) a second over the last seconds; undefined until there is a measure of it. */
  readonly rate: number | undefined;
}

type Sample = readonly [at: number, done: number];

interface Entry extends Omit<RunningNode, 'rate'> {
  /** Oldest first, within the last RATE_WINDOW_MS. */
  readonly samples: readonly Sample[];
}

/** Long enough to smooth bursts, short enough to show a connection that slows down. */
const RATE_WINDOW_MS = 5_000;
/** Less time than this gives no rate worth showing. */
const RATE_LEAST_MS = 500;

export class Running {
  readonly #entries = new Map<string, Entry>();
  readonly #ended = new Set<string>();
  readonly #failed = new Set<string>();
  #planned = 0;

  /** @param now ms on any steady clock */
  take(event: BuildEvent, now: number): void {
    switch (event.type) {
      case 'planned':
        this.#planned = event.run + event.restore;
        return;
      case 'started': {
        const { node, work, detail, through } = event;
        this.#entries.set(node, {
          node,
          work,
          detail,
          through,
          since: now,
          progress: undefined,
          samples: [],
        });
        return;
      }
      case 'progress': {
        const entry = this.#entries.get(event.node);
        if (entry) this.#entries.set(event.node, progressed(entry, event, now));
        return;
      }
      case 'failed':
        this.#failed.add(event.node);
        this.#end(event.node);
        return;
      case 'finished':
        // What streamed through it is done with it, and was counted in the plan.
        for (const node of this.#entries.get(event.node)?.through ?? []) this.#ended.add(node);
        this.#end(event.node);
        return;
      case 'skipped':
        this.#end(event.node);
        return;
    }
  }

  /** In the order in which they started. */
  nodes(now: number): readonly RunningNode[] {
    return Array.from(this.#entries.values(), (entry) => shown(entry, now));
  }

  /** Undefined when it does not run. */
  node(name: string, now: number): RunningNode | undefined {
    const entry = this.#entries.get(name);
    return entry && shown(entry, now);
  }

  get counts(): { done: number; total: number; running: number; failed: number } {
    const done = this.#ended.size - this.#failed.size;
    const total = Math.max(this.#planned, this.#ended.size + this.#entries.size);
    return { done, total, running: this.#entries.size, failed: this.#failed.size };
  }

  #end(node: string): void {
    this.#entries.delete(node);
    this.#ended.add(node);
  }
}

function shown({ samples, ...entry }: Entry, now: number): RunningNode {
  return { ...entry, rate: rateOf(samples, now) };
}

/** ms until the total is reached at the present rate; undefined while there is no telling. */
export function timeLeft({ progress, rate }: RunningNode): number | undefined {
  if (!progress || progress.total === null || rate === undefined || rate <= 0) return undefined;
  return (Math.max(0, progress.total - progress.done) / rate) * 1000;
}

function progressed(entry: Entry, event: Extract<BuildEvent, { type: 'progress' }>, now: number): Entry {
  const { done, total, unit } = event;
  // A transfer that began again, or another unit: what was measured before says nothing about it.
  const restarted =
    entry.progress !== undefined && (entry.progress.unit !== unit || done < entry.progress.done);
  const kept = restarted ? [] : entry.samples.filter(([at]) => now - at <= RATE_WINDOW_MS);
  return { ...entry, progress: { done, total, unit }, samples: [...kept, [now, done]] };
}

/** Measured up to `now` and not to the last sample, so that a stalled transfer is seen to slow down. */
function rateOf(samples: readonly Sample[], now: number): number | undefined {
  const [first] = samples;
  const last = samples.at(-1);
  if (!first || !last || now - first[0] < RATE_LEAST_MS) return undefined;
  return ((last[1] - first[1]) / (now - first[0])) * 1000;
}
