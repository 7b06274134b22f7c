// Memory of bytes on their way, given back at once. The garbage collector knows of it only by the number of bytes, and lets 32 MiB
// and more pile up before it looks: a stream of gigabytes would make the process by so much larger than what it works with.
//
// Who makes a piece says that nobody else has its memory (`lend`); who was the last to read it gives it back. Both are free not
// to: what is not given back is collected some day, and what was not lent is left alone.
import threads, { MessageChannel } from 'node:worker_threads';

const lent = new WeakSet<ArrayBufferLike>();
/** Less is not worth it. */
const LEAST_BYTES = 8192;

/** Whether small buffers lie in it, whoever has them. From Node 21 on it is marked; before, it was no larger than what is not worth it. */
const isShared: (memory: ArrayBufferLike) => boolean =
  'isMarkedAsUntransferable' in threads
    ? (threads.isMarkedAsUntransferable as (memory: ArrayBufferLike) => boolean)
    : () => false;

/** Marks the memory of a piece as made for it, or for it and pieces that went before it; what comes after it lies elsewhere. */
export function lend<P extends Uint8Array>(piece: P): P {
  if (piece.buffer.byteLength > LEAST_BYTES && !isShared(piece.buffer)) lent.add(piece.buffer);
  return piece;
}

/** For a piece of lent memory, or the part of one, that is read by nobody any more; with its last byte the memory is free. */
export function giveBack(piece: Uint8Array): void {
  const { buffer } = piece;
  if (piece.byteOffset + piece.byteLength < buffer.byteLength || !lent.delete(buffer)) return;
  if (buffer instanceof ArrayBuffer) free(buffer);
}

/** From Node 22 on the language has a way; before, what is sent to a port that is closed is thrown away. */
const free: (buffer: ArrayBuffer) => void =
  'transfer' in ArrayBuffer.prototype
    ? (buffer) => void (buffer as ArrayBuffer & { transfer(length: number): ArrayBuffer }).transfer(0)
    : (buffer) => closedPort().postMessage(null, [buffer]);

let port: MessageChannel['port1'] | undefined;

function closedPort(): MessageChannel['port1'] {
  if (port === undefined) {
    const { port1, port2 } = new MessageChannel();
    port2.close();
    port = port1;
  }
  return port;
}
