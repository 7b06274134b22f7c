// Zeros: images are mostly holes, which stand for them.
import { CHUNK_SIZE } from '../model/digest.js';

/** Of a chunk. Stands for a hole; shared, so never to be changed. */
export const ZEROS = Buffer.alloc(CHUNK_SIZE);
/** The sha256 of ZEROS, written out: a build with nothing to do shall not hash 4 MiB to start. */
export const SUM_OF_ZEROS: Uint8Array = Buffer.from(
  'bb9f8df61474d25e71fa00722318cd387396ca1736605e1248821cc0de3d3af8',
  'hex',
);

export function isZero(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const part = bytes.subarray(at, at + ZEROS.length);
    if (Buffer.compare(part, ZEROS.subarray(0, part.length)) !== 0) return false;
  }
  return true;
}
