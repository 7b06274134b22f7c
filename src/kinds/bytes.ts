// What formats need of bytes, whatever they are formats of.

/** Says what is wrong with the bytes of a format, in a few words: `unexpected end`. Whoever knows whose they are says the rest. */
export class DamagedError extends Error {}

/** The first bytes of something for a message: `50 4b 03 04 "PK.."`. */
export function describeBytes(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'nothing (it is empty)';
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  const text = Array.from(bytes, (byte) =>
    byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.',
  ).join('');
  return `${hex} "${text}"`;
}
