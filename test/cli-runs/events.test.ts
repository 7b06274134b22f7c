// What a build tells other programs: its events by their schema, and its trace by the rules of the format.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { BuildEvent } from '../../src/model/event.js';
import type { TraceEvent } from '../../src/report/trace.js';
import { validator } from '../rig/schemas.js';
import { openSite } from './site.js';

const MANIFEST = `res: 1
artifacts:
  parts: { github: { repo: lab/images, release: v1, asset: "data.bin.*" } }
  kernel: { github: { repo: lab/images, release: v1, asset: vmlinux }, output: kernel }
targets:
  data: { merge: parts, output: data.bin }
  copied: { copy: kernel, output: copied }
  bad: { extract: kernel, member: x }
  after: { copy: bad, output: after }
default: [data, kernel, copied, after]
`;

/** A build with downloads, a retry, a failure and what is skipped because of it. */
async function eventfulBuild() {
  const site = await openSite({ manifest: MANIFEST });
  site.server.fault(site.part(), { status: 503 });
  const run = await site.res('build -k --json --progress json --trace trace.json');
  const events: readonly BuildEvent[] = run.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  return { site, run, events };
}

describe('a build', () => {
  it('tells each event as the schema says, in an order that makes sense', async () => {
    const { run, events, site } = await eventfulBuild();
    expect(run.status).toBe(1);
    const check = validator('events');
    for (const event of events) expect(check(event), JSON.stringify(event)).toEqual([]);
    const types = new Set(events.map(({ type }) => type));
    for (const type of [
      'resolving',
      'planned',
      'started',
      'notice',
      'finished',
      'failed',
      'skipped',
      'summary',
    ])
      expect(types).toContain(type);
    expect(events.at(-1)?.type).toBe('summary');
    expect(events.filter(({ type }) => type === 'summary')).toHaveLength(1);
    const begun = new Set<string>();
    for (const event of events) {
      if (event.type === 'started') begun.add(event.node);
      if (event.type === 'finished') expect(begun).toContain(event.node);
    }
    expectTrace(readFileSync(site.work.path('trace.json'), 'utf8'), events);
  });
});

/** The rules of the Trace Event Format for what is in it: complete events and metadata, in one process. */
function expectTrace(text: string, events: readonly BuildEvent[]): void {
  const trace: { displayTimeUnit: string; traceEvents: readonly TraceEvent[] } = JSON.parse(text);
  expect(trace.displayTimeUnit).toBe('ms');
  const rows = new Map<number, { from: number; to: number }[]>();
  for (const { ph, name, cat, ts, dur, pid, tid, args } of trace.traceEvents) {
    expect([typeof name, typeof cat, pid]).toEqual(['string', 'string', 1]);
    expect(Number.isInteger(tid)).toBe(true);
    if (ph === 'M') {
      expect(['process_name', 'thread_name']).toContain(name);
      expect(args).toEqual({ name: expect.any(String) });
      continue;
    }
    expect(ph).toBe('X');
    expect([Number.isInteger(ts), Number.isInteger(dur)]).toEqual([true, true]);
    expect(ts).toBeGreaterThanOrEqual(0);
    expect(dur).toBeGreaterThanOrEqual(0);
    rows.set(tid, [...(rows.get(tid) ?? []), { from: ts, to: ts + (dur ?? 0) }]);
  }
  // What shares a row is one after another, or one within the other.
  for (const row of rows.values()) {
    const open: number[] = [];
    for (const { from, to } of row.toSorted((a, b) => a.from - b.from || b.to - a.to)) {
      while ((open.at(-1) ?? Number.POSITIVE_INFINITY) <= from) open.pop();
      expect(to).toBeLessThanOrEqual(open.at(-1) ?? Number.POSITIVE_INFINITY);
      open.push(to);
    }
  }
  const named = new Set(trace.traceEvents.filter(({ name }) => name === 'thread_name').map(({ tid }) => tid));
  expect(named).toEqual(new Set(rows.keys()));
  const started = events.flatMap((event) => (event.type === 'started' ? [event.node] : []));
  const drawn = trace.traceEvents
    .filter(({ ph, cat }) => ph === 'X' && cat !== 'placing')
    .map(({ name }) => name);
  expect(drawn.sort()).toEqual(started.sort());
}
