// A build as a trace in Chrome's format, which Perfetto and chrome://tracing open: what ran when, side by side.
// (Trace Event Format: complete events `X`, times in microseconds, a row a `tid`.)
import type { BuildEvent } from '../model/event.js';

export interface TraceEvent {
  readonly name: string;
  readonly cat: string;
  readonly ph: 'X' | 'M';
  /** Microseconds since the build began. */
  readonly ts: number;
  readonly dur?: number;
  readonly pid: 1;
  /** A row; no two nodes that run at one time share it. */
  readonly tid: number;
  readonly args: Readonly<Record<string, unknown>>;
}

export interface Trace {
  readonly displayTimeUnit: 'ms';
  readonly traceEvents: readonly TraceEvent[];
}

interface Running {
  readonly started: Extract<BuildEvent, { type: 'started' }>;
  readonly ts: number;
  readonly tid: number;
}

/** @param now milliseconds of a clock that does not go back */
export function traceRecorder(now: () => number): { listener(event: BuildEvent): void; trace(): Trace } {
  const begin = now();
  const running = new Map<string, Running>();
  const traceEvents: TraceEvent[] = [
    { name: 'process_name', cat: '__metadata', ph: 'M', ts: 0, pid: 1, tid: 0, args: { name: 'res build' } },
  ];
  const micros = () => Math.round((now() - begin) * 1000);
  const freeRow = () => {
    const taken = new Set([...running.values()].map(({ tid }) => tid));
    let row = 1;
    while (taken.has(row)) row++;
    return row;
  };

  const end = (node: string, outcome: Readonly<Record<string, unknown>>, placing_ms = 0) => {
    const run = running.get(node);
    if (!run) return;
    running.delete(node);
    const now = micros();
    const { work, detail, through, waited_ms } = run.started;
    traceEvents.push({
      name: node,
      cat: work,
      ph: 'X',
      ts: run.ts,
      dur: now - run.ts,
      pid: 1,
      tid: run.tid,
      args: { detail, through, ...(waited_ms === undefined ? {} : { waited_ms }), ...outcome },
    });
    if (placing_ms === 0) return;
    // Within the other, at its end.
    const dur = Math.min(placing_ms * 1000, now - run.ts);
    traceEvents.push({
      name: 'brought to its place',
      cat: 'placing',
      ph: 'X',
      ts: now - dur,
      dur,
      pid: 1,
      tid: run.tid,
      args: { node },
    });
  };

  return {
    listener(event) {
      if (event.type === 'started') running.set(event.node, { started: event, ts: micros(), tid: freeRow() });
      else if (event.type === 'finished')
        end(event.node, { size: event.size, digests: event.digests }, event.placing_ms);
      else if (event.type === 'failed') end(event.node, { error: event.error.message });
    },
    trace() {
      // What was interrupted, or failed under the name of a node that streams into it.
      for (const node of [...running.keys()]) end(node, { unfinished: true });
      return { displayTimeUnit: 'ms', traceEvents: [...traceEvents, ...rowNames(traceEvents)] };
    },
  };
}

/** Perfetto shows them in the place of numbers of threads. */
function rowNames(events: readonly TraceEvent[]): readonly TraceEvent[] {
  const rows = [...new Set(events.filter(({ ph }) => ph === 'X').map(({ tid }) => tid))].sort(
    (a, b) => a - b,
  );
  return rows.map((tid) => ({
    name: 'thread_name',
    cat: '__metadata',
    ph: 'M',
    ts: 0,
    pid: 1,
    tid,
    args: { name: `at a time: ${tid}` },
  }));
}
