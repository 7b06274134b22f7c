// The parts of unbzip2-stream that unbzip2.ts drives; the package has no types.
declare module 'unbzip2-stream/lib/bit_iterator.js' {
  /** Gives the next n bits; null aligns to the next byte. */
  interface Bits {
    (count: number | null): number;
    readonly bytesRead: number;
  }
  export default function bitIterator(nextBuffer: () => Uint8Array | undefined): Bits;
}
declare module 'unbzip2-stream/lib/bzip2.js' {
  import type bitIterator from 'unbzip2-stream/lib/bit_iterator.js';

  type Bits = ReturnType<typeof bitIterator>;
  const bzip2: {
    /** Reads the header of a stream and gives its level, 1 to 9. */
    header(bits: Bits): number;
    /** Decodes a block and gives the stream's checksum so far, or null at the stream's end. */
    decompress(
      bits: Bits,
      put: (byte: number) => void,
      work: Int32Array,
      size: number,
      crc: number,
    ): number | null;
  };
  export default bzip2;
}
