// CRC-32 as files of res write it: eight lower-case hexadecimal digits. It finds what a crash or a disk has torn, nothing worse.
import { crc32 } from 'node:zlib';

/** @param start where the sum begins: that of what came before, or a number that sets one kind of record apart */
export function crcHex(bytes: string | Uint8Array, start = 0): string {
  return sumHex(crc32(bytes, start));
}

export function sumHex(sum: number): string {
  return sum.toString(16).padStart(8, '0');
}
