import { describe, expect, it } from 'vitest';
import type { BuildEvent } from '../../src/model/event.js';
import { traceRecorder } from '../../src/report/trace.js';

function started(node: string, through: readonly string[] = []): Extract<BuildEvent, { type: 'started' }> {
  return { type: 'started', node, work: 'execute', detail: `convert ${node}`, through };
}

function finished(node: string): Extract<BuildEvent, { type: 'finished' }> {
  return { type: 'finished', node, work: 'execute', duration_ms: 1, size: 7, digests: [], output: null };
}

/** What a recorder makes of events at given times (ms), the metadata left out. */
function traced(...events: readonly (readonly [number, BuildEvent])[]) {
  let time = 1000;
  const recorder = traceRecorder(() => time);
  for (const [at, event] of events) {
    time = 1000 + at;
    recorder.listener(event);
  }
  return recorder.trace().traceEvents.filter(({ ph }) => ph === 'X');
}

describe('the trace of a build', () => {
  it('has an event a node, in microseconds from the beginning', () => {
    expect(traced([5, started('raw', ['merged'])], [17, finished('raw')])).toEqual([
      {
        name: 'raw',
        cat: 'execute',
        ph: 'X',
        ts: 5000,
        dur: 12_000,
        pid: 1,
        tid: 1,
        args: { detail: 'convert raw', through: ['merged'], size: 7, digests: [] },
      },
    ]);
  });

  it('tells apart how long it waited, ran, and was brought to its place', () => {
    const [whole, placing] = traced(
      [5, { ...started('raw'), waited_ms: 4 }],
      [17, { ...finished('raw'), placing_ms: 3 }],
    );
    expect(whole).toMatchObject({ name: 'raw', ts: 5000, dur: 12_000, args: { waited_ms: 4 } });
    // Within the other: viewers show it below.
    expect(placing).toMatchObject({ cat: 'placing', ts: 14_000, dur: 3000, tid: whole?.tid });
  });

  it('has what runs at one time in different rows, and uses a row again', () => {
    const events = traced(
      [0, started('a')],
      [1, started('b')],
      [2, finished('a')],
      [3, started('c')],
      [4, finished('b')],
      [5, finished('c')],
    );
    expect(events.map(({ name, tid }) => [name, tid])).toEqual([
      ['a', 1],
      ['b', 2],
      ['c', 1],
    ]);
  });

  it('names the process and the rows', () => {
    const recorder = traceRecorder(() => 0);
    for (const event of [started('a'), started('b'), finished('b')]) recorder.listener(event);
    const named = recorder.trace().traceEvents.filter(({ ph }) => ph === 'M');
    expect(named.map(({ name, tid, args }) => [name, tid, args.name])).toEqual([
      ['process_name', 0, 'res build'],
      ['thread_name', 1, 'at a time: 1'],
      ['thread_name', 2, 'at a time: 2'],
    ]);
  });

  it('says which failed, and which did not come to an end', () => {
    const error = {
      code: 'io',
      message: 'disk full',
      hint: null,
      diagnostics: [],
      command: null,
      log: null,
    } as const;
    const events = traced([0, started('a')], [0, started('b')], [1, { type: 'failed', node: 'a', error }]);
    expect(events.map(({ name, args }) => [name, args.error, args.unfinished])).toEqual([
      ['a', 'disk full', undefined],
      ['b', undefined, true],
    ]);
  });
});
