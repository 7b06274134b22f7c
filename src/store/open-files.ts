// Who has a file open to write to it: a virtual machine that runs on an image goes on writing wherever the file is moved.
import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { errorCode } from './files.js';

export interface Writer {
  readonly pid: number;
  /** The program's name as the system shows it, at most 15 bytes. */
  readonly program: string;
}

/** A look at all processes serves this many times what it took, within these (ms): a build replaces many files at once. */
const LOOK_SHARE = 20;
const LEAST_LOOK_AGE = 100;
const MOST_LOOK_AGE = 1000;
/** The bits of O_WRONLY and O_RDWR. */
const WRITING = 0o3;

let last: { readonly until: number; readonly writers: ReadonlyMap<string, Writer> } | undefined;

/**
 * A process that may write to the file through a descriptor it holds. Undefined also where that cannot be seen: on another
 * host, in another container, of another user, or on a system without /proc.
 */
export function writerOf(path: string): Writer | undefined {
  const real = seen(() => realpathSync(path));
  if (real === undefined) return undefined;
  const now = performance.now();
  if (last === undefined || now > last.until) {
    const writers = lookAround();
    const took = performance.now() - now;
    last = { until: now + Math.min(Math.max(LEAST_LOOK_AGE, LOOK_SHARE * took), MOST_LOOK_AGE), writers };
  }
  return last.writers.get(real);
}

function lookAround(): ReadonlyMap<string, Writer> {
  const writers = new Map<string, Writer>();
  for (const pid of namesIn('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    for (const fd of namesIn(`/proc/${pid}/fd`)) {
      const target = seen(() => readlinkSync(`/proc/${pid}/fd/${fd}`));
      // Pipes and sockets have names of another form.
      if (!target?.startsWith('/') || target.startsWith('/dev/')) continue;
      const [, flags] = /^flags:\s*([0-7]+)/m.exec(textOf(`/proc/${pid}/fdinfo/${fd}`)) ?? [];
      if (flags === undefined || (Number.parseInt(flags, 8) & WRITING) === 0) continue;
      writers.set(target, { pid: Number(pid), program: textOf(`/proc/${pid}/comm`).trim() });
    }
  }
  return writers;
}

function namesIn(folder: string): readonly string[] {
  return seen(() => readdirSync(folder)) ?? [];
}

function textOf(path: string): string {
  return seen(() => readFileSync(path, 'utf8')) ?? '';
}

/** Processes come and go, and those of others may not be looked at: what cannot be seen is left out. */
function seen<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    return undefined;
  }
}
