// The threads of the process that hash: a few for all files, each of which takes some ten MiB.
import { availableParallelism } from 'node:os';
import { HashThread } from './hash-thread.js';

/** To start a thread takes longer than to hash so many bytes. */
const WORTH_STARTING = 16 * 1024 * 1024;
/** To tell one of them, and to open the file again, takes longer. */
const WORTH_TELLING = 1024 * 1024;
const MOST = Math.min(2, availableParallelism());
/** Chunks that a thread has at a time: while it answers for one the next is there. */
const CHUNKS_EACH = 2;

/** How many chunks of a file are to be under way beside those that are being hashed, so that no thread waits. */
export const CHUNKS_AHEAD = MOST * (CHUNKS_EACH - 1);

let threads: readonly HashThread[] = [];

/** Starts them if there are none. */
function all(): readonly HashThread[] {
  if (threads.length === 0) threads = Array.from({ length: MOST }, () => new HashThread());
  return threads;
}

/** Bytes of a file or stream up to which it is hashed faster without. */
export function worthAThread(): number {
  return threads.some(({ isUp }) => isUp) ? WORTH_TELLING : WORTH_STARTING;
}

/** The one with the fewest, for the sums of a file. */
export function threadForFile(): HashThread {
  return leastOf(all(), ({ files }) => files) ?? new HashThread();
}

/** One that can take a chunk at once. */
export function threadForChunk(): HashThread | undefined {
  const ready = all().filter(({ isUp, waiting }) => isUp && waiting < CHUNKS_EACH);
  return leastOf(ready, ({ files, waiting }) => files + waiting);
}

/** The first of equals. */
function leastOf(some: readonly HashThread[], load: (thread: HashThread) => number): HashThread | undefined {
  return some.toSorted((a, b) => load(a) - load(b))[0];
}
