// Memory for chunks, of files and streams; a new one for each would be as much garbage as there is content.
import { availableParallelism } from 'node:os';
import { CHUNK_SIZE } from '../model/digest.js';
import { giveBack, lend } from './lent.js';

/** Chunks of files at a time in the whole process, so that memory stays flat however many files are hashed. */
export const FILE_CHUNKS = Math.min(4, availableParallelism());
/** As many as are mostly in use; what a busy moment took more is given back at once. */
const MOST_IDLE = 2;

const idle: Buffer<ArrayBuffer>[] = [];

/** Of CHUNK_SIZE bytes. */
export function takeChunkBuffer(): Buffer<ArrayBuffer> {
  return idle.pop() ?? Buffer.allocUnsafe(CHUNK_SIZE);
}

/** @param memory of a buffer that was taken */
export function leaveChunkBuffer(memory: ArrayBuffer): void {
  const buffer = Buffer.from(memory);
  if (idle.length < MOST_IDLE) idle.push(buffer);
  else giveBack(lend(buffer));
}

const waiting: (() => void)[] = [];
let inUse = 0;

/** Lends one of the few chunk buffers that files have in the whole process. */
export async function withChunkBuffer<T>(use: (buffer: Buffer<ArrayBuffer>) => Promise<T>): Promise<T> {
  while (inUse >= FILE_CHUNKS) await new Promise<void>((resolve) => waiting.push(resolve));
  inUse++;
  const buffer = takeChunkBuffer();
  try {
    return await use(buffer);
  } finally {
    inUse--;
    leaveChunkBuffer(buffer.buffer);
    waiting.shift()?.();
  }
}
