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

/** The one with the least to do, for the sums of a file that grows. */
export function threadForFile(): HashThread {
  const [first = new HashThread(), ...others] = all();
  return others.reduce((least, one) => (one.files < least.files ? one : least), first);
}

/** One that can take a chunk at once. */
export function threadForChunk(): HashThread | undefined {
  const load = (thread: HashThread) => thread.waiting + thread.files;
  return all()
    .filter((thread) => thread.isUp && thread.waiting < CHUNKS_EACH)
    .reduce<HashThread | undefined>((best, one) => (best && load(best) <= load(one) ? best : one), undefined);
}
