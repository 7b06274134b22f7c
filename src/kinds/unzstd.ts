// zstd without the program: fzstd decodes, and what it leaves out is done here (RFC 8878): frame by frame, lengths and
// checksums, so that cut or changed data is found as the program finds it.
import { Decompress } from 'fzstd';
import xxhash from 'xxhash-wasm';
import { ByteReader } from '../store/byte-reader.js';
import { DamagedError } from './bytes.js';

const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;
/** As the program: a frame that wants more memory is refused. */
const MAX_WINDOW = 128 * 1024 * 1024;
const MAX_BLOCK = 128 * 1024;

/** Any number of frames. Throws DamagedError, which says what is wrong with the data. */
export async function* unzstd(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = new ByteReader(input);
  try {
    for (;;) {
      const start = await reader.peek(4);
      if (start.length === 0) return;
      const magic = start.length === 4 ? uint(start) : undefined;
      if (magic === MAGIC) yield* frame(reader);
      else if (magic !== undefined && (magic & 0xfffffff0) >>> 0 === SKIPPABLE) await skipFrame(reader);
      else throw new DamagedError('something else follows its end');
    }
  } finally {
    await reader.close();
  }
}

async function skipFrame(reader: ByteReader): Promise<void> {
  let left = uint((await exactly(reader, 8)).subarray(4));
  while (left > 0) {
    const piece = await reader.some(left);
    if (piece === undefined) throw new DamagedError('unexpected end');
    left -= piece.length;
  }
}

async function* frame(reader: ByteReader): AsyncGenerator<Uint8Array> {
  const header = await frameHeader(reader);
  const { create64 } = await xxhash();
  const hash = create64();
  let size = 0;
  let decoded: Uint8Array[] = [];
  const decoder = new Decompress((piece) => {
    decoded.push(piece);
  });
  decode(decoder, header.bytes, false);
  for (let last = false; !last; ) {
    const block = await blockBytes(reader, header.window);
    last = block.last;
    decode(decoder, block.bytes, false);
    if (last) decode(decoder, header.checksum ? await peekExactly(reader, 4) : new Uint8Array(0), true);
    for (const piece of decoded) {
      if (piece.length === 0) continue;
      size += piece.length;
      if (header.checksum) hash.update(piece);
      yield piece;
    }
    decoded = [];
  }
  if (header.size !== undefined && header.size !== size)
    throw new DamagedError('a frame is not as long as it says');
  if (header.checksum && uint(await exactly(reader, 4)) !== Number(hash.digest() & 0xffffffffn)) {
    throw new DamagedError('a checksum does not match');
  }
}

interface FrameHeader {
  readonly bytes: Uint8Array;
  readonly window: number;
  /** Bytes of content, where the header says so. */
  readonly size: number | undefined;
  readonly checksum: boolean;
}

async function frameHeader(reader: ByteReader): Promise<FrameHeader> {
  const flags = (await peekExactly(reader, 5))[4] ?? 0;
  const single = (flags & 0x20) !== 0;
  const windowLength = single ? 0 : 1;
  const dictionaryLength = [0, 1, 2, 4][flags & 3] ?? 0;
  const sizeLength = [single ? 1 : 0, 2, 4, 8][flags >> 6] ?? 0;
  const bytes = await exactly(reader, 5 + windowLength + dictionaryLength + sizeLength);
  if ((flags & 0x08) !== 0) throw new DamagedError('a frame uses a reserved bit');
  const dictionary = bytes.subarray(5 + windowLength, 5 + windowLength + dictionaryLength);
  if (dictionary.some((byte) => byte !== 0)) throw new DamagedError('it needs a dictionary');
  const size =
    sizeLength === 0 ? undefined : uint(bytes.subarray(-sizeLength)) + (sizeLength === 2 ? 256 : 0);
  const window = single ? (size ?? 0) : windowSize(bytes[5] ?? 0);
  if (window > MAX_WINDOW) {
    throw new DamagedError(
      `it needs a window of ${window} bytes; at most ${MAX_WINDOW} are allowed (zstd --long=27)`,
    );
  }
  return { bytes, window, size, checksum: (flags & 0x04) !== 0 };
}

function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

async function blockBytes(reader: ByteReader, window: number): Promise<{ bytes: Uint8Array; last: boolean }> {
  const header = uint(await peekExactly(reader, 3));
  const type = (header >> 1) & 3;
  const size = header >> 3;
  if (type === 3) throw new DamagedError('a block is of a reserved type');
  if (size > Math.min(MAX_BLOCK, Math.max(window, 1024))) throw new DamagedError('a block is too long');
  // A run of one byte is stored as that byte.
  const bytes = await exactly(reader, 3 + (type === 1 ? 1 : size));
  return { bytes, last: (header & 1) === 1 };
}

/** Damaged data makes fzstd throw all kinds of errors. */
function decode(decoder: Decompress, bytes: Uint8Array, final: boolean): void {
  try {
    decoder.push(bytes, final);
  } catch (error) {
    throw new DamagedError('its data is damaged', { cause: error });
  }
}

async function peekExactly(reader: ByteReader, count: number): Promise<Uint8Array> {
  const bytes = await reader.peek(count);
  if (bytes.length < count) throw new DamagedError('unexpected end');
  return bytes;
}

async function exactly(reader: ByteReader, count: number): Promise<Uint8Array> {
  await peekExactly(reader, count);
  return reader.take(count);
}

/** Little endian. */
function uint(bytes: Uint8Array): number {
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
}
