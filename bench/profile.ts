// Where the time of a build goes: which node ran when, as `build --trace` tells it, and on what the main thread spent its time,
// as V8's profiler tells it.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type Command, measure } from './measure.js';
import { RES } from './peers.js';

export interface Span {
  readonly node: string;
  /** ms since the build began. */
  readonly begin: number;
  /** ms */
  readonly took: number;
}

/** What ran when, in the order in which it began. */
export function spansOf(traceFile: string): readonly Span[] {
  const trace: unknown = JSON.parse(readFileSync(traceFile, 'utf8'));
  const events = fieldOf(trace, 'traceEvents');
  if (!Array.isArray(events)) throw new Error(`${traceFile} is no trace`);
  return events
    .filter((event: unknown) => fieldOf(event, 'ph') === 'X')
    .map((event: unknown) => ({
      node: nameWithChain(event),
      begin: Number(fieldOf(event, 'ts')) / 1000,
      took: Number(fieldOf(event, 'dur')) / 1000,
    }))
    .sort((a, b) => a.begin - b.begin);
}

function nameWithChain(event: unknown): string {
  const through = fieldOf(fieldOf(event, 'args'), 'through');
  return [...(Array.isArray(through) ? through : []), fieldOf(event, 'name')].join(' → ');
}

export interface Share {
  readonly what: string;
  /** ms of the main thread. */
  readonly ms: number;
}

/** Runs `res build` in the command's folder under the profiler: time of the main thread by function, the longest first. */
export async function profileOfBuild(command: Omit<Command, 'argv'>): Promise<readonly Share[]> {
  const folder = mkdtempSync(join(tmpdir(), 'res-bench-profile-'));
  try {
    const [node, main] = RES;
    await measure({ ...command, argv: [node, '--cpu-prof', `--cpu-prof-dir=${folder}`, main, 'build'] });
    // A thread has a profile of its own; the first one written with thread number 0 is the main thread's.
    const main0 = readdirSync(folder).find((name) => /\.0\.\d+\.cpuprofile$/.test(name));
    if (main0 === undefined) throw new Error('the profiler wrote nothing');
    return selfTimes(JSON.parse(readFileSync(join(folder, main0), 'utf8')));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Time in which a function itself ran, and not what it called. */
function selfTimes(profile: unknown): readonly Share[] {
  const names = new Map<unknown, string>();
  for (const node of listOf(profile, 'nodes')) names.set(fieldOf(node, 'id'), functionName(node));
  const times = new Map<string, number>();
  const deltas = listOf(profile, 'timeDeltas');
  for (const [i, sample] of listOf(profile, 'samples').entries()) {
    const name = names.get(sample) ?? '';
    times.set(name, (times.get(name) ?? 0) + Number(deltas[i]) / 1000);
  }
  return [...times].map(([what, ms]) => ({ what, ms })).sort((a, b) => b.ms - a.ms);
}

function functionName(node: unknown): string {
  const frame = fieldOf(node, 'callFrame');
  const name = String(fieldOf(frame, 'functionName') || 'anonymous function');
  if (name === '(idle)') return 'waiting';
  if (name === '(program)') return "Node's own code (reading, writing, sockets)";
  if (name === '(garbage collector)') return 'garbage collection';
  const url = String(fieldOf(frame, 'url'));
  const place = url.startsWith('node:')
    ? url
    : url === ''
      ? 'built in'
      : basename(url).replace(/-[A-Z0-9]{8}\.js$/, '.js');
  return `\`${name}\` (${place})`;
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.entries(value).find(([key]) => key === name)?.[1]
    : undefined;
}

function listOf(value: unknown, name: string): readonly unknown[] {
  const list = fieldOf(value, name);
  return Array.isArray(list) ? list : [];
}
