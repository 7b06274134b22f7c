// Bytes that look random and are the same for the same seed.
import { createCipheriv, createHash } from 'node:crypto';

/** `size` bytes, fast enough for hundreds of MiB. Incompressible. */
export function seededBytes(seed: string, size: number): Buffer {
  const key = createHash('sha256').update(seed).digest();
  const cipher = createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16, 32));
  return cipher.update(Buffer.alloc(size));
}

/** Numbers from 0 up to, not including, 1; the same for the same seed. */
export function randomNumbers(seed: string): () => number {
  let block: Buffer = Buffer.alloc(0);
  let blocks = 0;
  let at = 0;
  return () => {
    if (at === block.length) {
      block = seededBytes(`${seed} ${blocks}`, 4096);
      blocks += 1;
      at = 0;
    }
    const value = block.readUInt32LE(at);
    at += 4;
    return value / 2 ** 32;
  };
}
