// One at a time: a lock between processes that install or compile in the same checkout.
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

const BEAT_MS = 1000;
/** A holder that shows no sign of life for this long is taken for dead, wherever it runs. */
const STALE_MS = 30_000;

/**
 * Runs `work` while holding the lock directory; waits for another holder, after telling `onWait` who it is.
 * The holder touches the lock every second. A dead holder's lock is taken over: at once if it ran on this machine,
 * after 30 s without a touch (by the waiter's own clock) otherwise.
 */
export async function withLock(directory, work, onWait) {
  const token = `${hostname()} ${process.pid}`;
  const seen = { id: '', since: 0 };
  for (let waits = 0; !take(directory, token); waits++) {
    const holder = look(directory);
    if (holder === undefined) continue;
    if (holder.id !== seen.id) Object.assign(seen, { id: holder.id, since: performance.now() });
    if (isDead(holder.token) || performance.now() - seen.since > STALE_MS) {
      discard(directory, holder.token);
      continue;
    }
    if (waits === 0) onWait(holder.token.split(' ')[1] ?? 'unknown');
    await sleep(100);
  }
  const release = () => rmSync(directory, { recursive: true, force: true });
  const beat = setInterval(() => touch(directory), BEAT_MS);
  process.on('exit', release);
  try {
    return await work();
  } finally {
    clearInterval(beat);
    process.off('exit', release);
    release();
  }
}

function take(directory, token) {
  try {
    mkdirSync(directory);
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
  writeFileSync(`${directory}/holder`, token);
  return true;
}

/** Who holds the lock, and an id that changes with every sign of life; undefined when it was just released. */
function look(directory) {
  try {
    const { mtimeMs, ino } = statSync(directory);
    return { token: readHolder(directory), id: `${ino} ${mtimeMs}` };
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Empty in the moment between the making of the lock and the writing of its holder. */
function readHolder(directory) {
  try {
    return readFileSync(`${directory}/holder`, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return '';
    throw error;
  }
}

function isDead(token) {
  const [host, pid] = token.split(' ');
  if (host !== hostname()) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

/** Only one of several waiters can rename the lock away; one that was renewed in between is put back. */
function discard(directory, token) {
  const aside = `${directory}.${process.pid}`;
  try {
    renameSync(directory, aside);
  } catch (error) {
    if (error.code === 'ENOENT') return;
    throw error;
  }
  if (readHolder(aside) === token) rmSync(aside, { recursive: true, force: true });
  else renameSync(aside, directory);
}

function touch(directory) {
  const now = new Date();
  try {
    utimesSync(directory, now, now);
  } catch (error) {
    // Taken over by a waiter while this process was suspended: nothing to keep alive any more.
    if (error.code !== 'ENOENT') throw error;
  }
}
