// What compressed data is before it is unpacked: its first bytes, and how many there are, from the two ends of the data.
import { constants, createGunzip } from 'node:zlib';
import { type Compression, libraryOf } from './compression.js';

/** Bytes of the decoded beginning: the header of an archive, and the first tables of an image in it. */
const BEGINNING = 2 * 1024 * 1024;
/** Compressed bytes that are decoded at a time: of zeros, 1000 times as many come out. */
const SLICE = 4096;

/** The first bytes of what is in `head`, which is cut off somewhere; undefined when it cannot be decoded. */
export async function unpackedHead(head: Uint8Array, format: Compression): Promise<Uint8Array | undefined> {
  const decoded = format === 'gzip' ? gunzipStart(head) : (await libraryOf(format))(slices(head));
  const pieces: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const piece of decoded) {
      pieces.push(piece.slice());
      length += piece.length;
      if (length >= BEGINNING) break;
    }
  } catch {
    // It is cut off, so that every decoder fails in the end; what came before that is what is wanted.
  }
  return length === 0 ? undefined : Buffer.concat(pieces);
}

async function* slices(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += SLICE) yield bytes.subarray(at, at + SLICE);
}

/** zlib gives what it has decoded of cut-off data only when told that the end may be missing. */
function gunzipStart(head: Uint8Array): AsyncIterable<Uint8Array> {
  const decoder = createGunzip({ finishFlush: constants.Z_SYNC_FLUSH });
  decoder.end(head);
  return decoder;
}

/**
 * Bytes of the decoded data, as the format notes them; null when it does not, or not where one of the ends shows it. Data
 * that was put together of several pieces may note that of one of them only: an estimate.
 * @param packed bytes of the data
 */
export function unpackedSize(
  format: Compression,
  packed: number | null,
  head: Uint8Array | undefined,
  tail: Uint8Array | undefined,
): number | null {
  switch (format) {
    case 'gzip':
      return packed === null || tail === undefined ? null : gzipSize(packed, tail);
    case 'zstd':
      return head === undefined ? null : zstdSize(head);
    case 'xz':
      return tail === undefined ? null : xzSize(tail);
    case 'bzip2':
      return null;
  }
}

/** Its last four bytes are the length modulo 2^32: nothing grows when it is compressed, and so at least that many there are. */
function gzipSize(packed: number, tail: Uint8Array): number | null {
  if (tail.length < 8) return null;
  const noted = view(tail).getUint32(tail.length - 4, true);
  // What cannot be compressed is stored, in blocks that add a little to it.
  const least = Math.floor((packed - 64) / 1.01);
  return noted >= least ? noted : noted + Math.ceil((least - noted) / 2 ** 32) * 2 ** 32;
}

/** Of the first frame, which is the only one unless several programs or threads made them. */
function zstdSize(head: Uint8Array): number | null {
  if (head.length < 18 || view(head).getUint32(0, true) !== 0xfd2fb528) return null;
  const flags = head[4] ?? 0;
  const single = (flags & 0x20) !== 0;
  const at = 5 + (single ? 0 : 1) + ([0, 1, 2, 4][flags & 3] ?? 0);
  switch (flags >> 6) {
    case 0:
      return single ? (head[at] ?? null) : null;
    case 1:
      return view(head).getUint16(at, true) + 256;
    case 2:
      return view(head).getUint32(at, true);
    default:
      return Number(view(head).getBigUint64(at, true));
  }
}

const XZ_FOOTER = 12;

/** From the index before the footer: of each block, how long it is and what it decodes to. */
function xzSize(tail: Uint8Array): number | null {
  const footer = tail.length - XZ_FOOTER;
  if (footer < 0 || tail[footer + 10] !== 0x59 || tail[footer + 11] !== 0x5a) return null;
  const start = footer - (view(tail).getUint32(footer + 4, true) + 1) * 4;
  if (start < 0 || tail[start] !== 0) return null;
  const reader = new Numbers(tail, start + 1);
  const blocks = reader.next();
  let size = 0;
  for (let block = 0; block < blocks && reader.at < footer; block++) {
    reader.next();
    size += reader.next();
  }
  return size;
}

/** Numbers of seven bits a byte, low ones first. */
class Numbers {
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  next(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.#bytes[this.at++] ?? 0;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  }
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
