// Who holds a lock, as written into its file, and whether that process still lives.
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync, statfsSync } from 'node:fs';
import { hostname } from 'node:os';
import { errorCode } from './files.js';

export interface Holder {
  readonly host: string;
  readonly pid: number;
  /** Of the process, in the system's own terms: tells it from a later one with the same pid. Empty: unknown. */
  readonly start: string;
  /** Of the running kernel. Empty where there is none. */
  readonly boot: string;
  /** The namespace that the pid counts in: containers share a kernel, not pids. Empty where there is none. */
  readonly pids: string;
  /** What it does: `res build raw-disk`. */
  readonly doing: string;
  /** Milliseconds since 1970, UTC. */
  readonly since: number;
  /** Of this one acquisition. */
  readonly token: string;
}

export function thisProcess(doing: string, token: string): Holder {
  return { host: hostname(), pid: process.pid, ...surroundings(), doing, since: Date.now(), token };
}

function surroundings(): Pick<Holder, 'start' | 'boot' | 'pids'> {
  return {
    start: startTime(process.pid) ?? '',
    boot: readIfThere('/proc/sys/kernel/random/boot_id').trim(),
    pids: readLinkIfThere('/proc/self/ns/pid'),
  };
}

/** Undefined for what is no holder: empty, torn, or written by something else. */
export function parseHolder(text: string): Holder | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const fields: Readonly<Record<string, unknown>> = { ...value };
  const { host, pid, start, boot, pids, doing, since, token } = fields;
  if (typeof host !== 'string' || typeof pid !== 'number' || typeof start !== 'string') return undefined;
  if (typeof boot !== 'string' || typeof pids !== 'string' || typeof doing !== 'string') return undefined;
  if (typeof since !== 'number' || typeof token !== 'string') return undefined;
  return { host, pid, start, boot, pids, doing, since, token };
}

/** How names of this process's own begin; looked up once. */
let ownName: string | undefined;

/** A name that nothing else has, and that tells whose it is: see `ownerIsDead`. */
export function nameOfOwn(): string {
  ownName ??= `${process.pid}-${hereHash()}-${shortHash(startTime(process.pid) ?? '')}`;
  return `${ownName}-${randomBytes(6).toString('hex')}`;
}

/** Whether a name was made by `nameOfOwn` of a process that certainly is no more. */
export function ownerIsDead(name: string): boolean {
  const [, pid = '', here, start] = /^(\d+)-([0-9a-f]{8})-([0-9a-f]{8})-[0-9a-f]{12}$/.exec(name) ?? [];
  if (here !== hereHash() || start === shortHash('')) return false;
  const now = startTime(Number(pid));
  return now === undefined || (now !== '' && shortHash(now) !== start);
}

/** Of where a pid counts. */
function hereHash(): string {
  const { boot, pids } = surroundings();
  return shortHash(`${hostname()}\0${boot}\0${pids}`);
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

/** `res build raw-disk (pid 4711 on lab3, since 12:03)` */
export function describeHolder(holder: Holder): string {
  const since = new Date(holder.since);
  const clock = `${pad(since.getHours())}:${pad(since.getMinutes())}`;
  return `${holder.doing} (pid ${holder.pid} on ${holder.host}, since ${clock})`;
}

function pad(n: number): string {
  return String(n).padStart(2, '0');
}

/** File systems that one kernel at a time can have mounted: ext, xfs, btrfs, tmpfs, f2fs, zfs. */
const LOCAL_FILE_SYSTEMS: ReadonlySet<number> = new Set([
  0xef53, 0x58465342, 0x9123683e, 0x01021994, 0xf2f52010, 0x2fc12fc1,
]);

/**
 * `dead` is certain; `unknown` is a process that cannot be seen from here (another host or container), of which only the
 * heartbeat can tell.
 */
export function lifeOf(holder: Holder, dir: string): 'alive' | 'dead' | 'unknown' {
  const here = surroundings();
  if (holder.boot !== here.boot) {
    // On a local file system that kernel can only have been an earlier one of this machine.
    return LOCAL_FILE_SYSTEMS.has(statfsSync(dir).type) ? 'dead' : 'unknown';
  }
  if (holder.host !== hostname() || holder.pids !== here.pids) return 'unknown';
  const start = startTime(holder.pid);
  if (start === undefined) return 'dead';
  return start === holder.start || holder.start === '' || start === '' ? 'alive' : 'dead';
}

/** Undefined when there is no such process (a zombie counts as none: it holds nothing any more); empty when there is no telling. */
function startTime(pid: number): string | undefined {
  if (process.platform === 'linux') {
    const text = readIfThere(`/proc/${pid}/stat`);
    if (text === '') return undefined;
    // The program's name, in parentheses, may hold anything; the fields after it start with the third.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : (fields[22 - 3] ?? '');
  }
  try {
    // Elsewhere only; reading it takes longer than all else here.
    const { execFileSync } = process.getBuiltinModule('node:child_process');
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || undefined;
  } catch (error) {
    // Without ps: at least whether the pid is in use.
    if (errorCode(error) === 'ENOENT') return processExists(pid) ? '' : undefined;
    return undefined;
  }
}

function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) !== 'ESRCH';
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = errorCode(error);
    // ESRCH: the process ended between open and read.
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES') return '';
    throw error;
  }
}

function readLinkIfThere(path: string): string {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'EACCES') return '';
    throw error;
  }
}
