// What formats need of bytes, whatever they are formats of.

/** Zeros that stand for a hole; shared, so never to be changed. */
export const ZEROS: Uint8Array = new Uint8Array(1024 * 1024);

/** Says what is wrong with the bytes of a format, in a few words: `unexpected end`. Whoever knows whose they are says the rest. */
export class DamagedError extends Error {}

export function isZero(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const part = bytes.subarray(at, at + ZEROS.length);
    if (Buffer.compare(part, ZEROS.subarray(0, part.length)) !== 0) return false;
  }
  return true;
}

/** The first bytes of something for a message: `50 4b 03 04 "PK.."`. */
export function describeBytes(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'nothing (it is empty)';
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  const text = Array.from(bytes, (byte) =>
    byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.',
  ).join('');
  return `${hex} "${text}"`;
}
