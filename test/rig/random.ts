// Bytes that look random and are the same for the same seed.
import { createCipheriv, createHash } from 'node:crypto';

/** `size` bytes, fast enough for hundreds of MiB. Incompressible. */
export function seededBytes(seed: string, size: number): Buffer {
  const key = createHash('sha256').update(seed).digest();
  const cipher = createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16, 32));
  return cipher.update(Buffer.alloc(size));
}
