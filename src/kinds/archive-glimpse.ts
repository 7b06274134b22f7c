// What an archive holds, from its two ends: a tar says before each file how large it is, a zip at its end.
import { constants, inflateRawSync } from 'node:zlib';
import { ResError } from '../model/error.js';
import { type ArchiveEntry, plainName } from './archive.js';
import { MAGIC_LENGTH, recognise } from './compression.js';
import { matcher } from './extraction.js';
import { type Glimpse, type InputGlimpse, NO_GLIMPSE, unpackedDiskBytes } from './glimpse.js';
import { probe } from './image-format.js';
import { readQcow2 } from './qcow2.js';
import { BLOCK, looksLikeTar, readTar } from './tar.js';
import { unpackedHead, unpackedSize } from './unpacked.js';
import { looksLikeZip } from './zip.js';

/** As much of a file in an archive as is looked at, bytes. */
const MEMBER_HEAD = 2 * 1024 * 1024;

/** Of the file whose name matches, if it is near the beginning of a tar, or in a small zip. */
export async function glimpseOfMember(inputs: readonly InputGlimpse[], pattern: string): Promise<Glimpse> {
  const [input] = inputs;
  const head = await input?.head();
  if (!input || !head) return NO_GLIMPSE;
  const matches = matcher(pattern);
  if (looksLikeZip(head)) {
    const entry = zipEntries((await input.tail()) ?? new Uint8Array(0), input.size)?.find(({ name }) =>
      matches(plainName(name)),
    );
    if (!entry) return { ...NO_GLIMPSE, ...scratchOf(input) };
    return { ...(await memberGlimpse(entry.size, entry.packed, zipHead(head, entry))), ...scratchOf(input) };
  }
  const member = await tarMember(await tarHead(head), matches);
  return member ? memberGlimpse(member.size, input.size, member.head) : NO_GLIMPSE;
}

/** Of all that is in it, about: what a tar has beside its files' contents is little. */
export async function glimpseOfAll(inputs: readonly InputGlimpse[]): Promise<Glimpse> {
  const [input] = inputs;
  const head = await input?.head();
  if (!input || !head) return NO_GLIMPSE;
  if (looksLikeZip(head)) {
    const entries = zipEntries((await input.tail()) ?? new Uint8Array(0), input.size);
    const size = entries ? entries.reduce((sum, entry) => sum + entry.size, 0) : null;
    return { ...NO_GLIMPSE, size, diskBytes: unpackedDiskBytes(size, input.size), ...scratchOf(input) };
  }
  const compression = recognise(head.subarray(0, MAGIC_LENGTH));
  const tail = compression === 'gzip' || compression === 'xz' ? await input.tail() : undefined;
  const size = compression ? unpackedSize(compression, input.size, head, tail) : input.size;
  return { ...NO_GLIMPSE, size, diskBytes: unpackedDiskBytes(size, input.size) };
}

/** A zip is read from its end: one that comes in a stream is written down first. */
function scratchOf({ size }: Glimpse): Pick<Glimpse, 'scratchBytes'> {
  return size === null ? {} : { scratchBytes: size };
}

async function memberGlimpse(
  size: number,
  packed: number | null,
  head: Uint8Array | undefined,
): Promise<Glimpse> {
  const isDense = head !== undefined && (await isPackedImage(head, size));
  return {
    ...NO_GLIMPSE,
    size,
    diskBytes: isDense ? size : unpackedDiskBytes(size, packed),
    exact: isDense,
    head: async () => head,
  };
}

/** Whether it is a disk image without the holes of the disk: what is empty is not in the file at all. */
async function isPackedImage(head: Uint8Array, size: number): Promise<boolean> {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  const format = await probe({
    size: 0,
    bytes: async (offset, length) => Buffer.concat([bytes.subarray(offset, offset + length)], length),
  });
  if (format === 'raw') return false;
  const image = readQcow2(head, size);
  // As long as its disk: its clusters were laid out before they were needed.
  return image === undefined || size < image.virtualSize;
}

async function tarHead(head: Uint8Array): Promise<Uint8Array> {
  const compression = recognise(head.subarray(0, MAGIC_LENGTH));
  return compression ? ((await unpackedHead(head, compression)) ?? new Uint8Array(0)) : head;
}

interface Member {
  readonly size: number;
  readonly head: Uint8Array;
}

async function tarMember(start: Uint8Array, matches: (name: string) => boolean): Promise<Member | undefined> {
  if (!looksLikeTar(start.subarray(0, BLOCK))) return undefined;
  try {
    for await (const entry of readTar(only(start), '')) {
      if (entry.type === 'file' && matches(plainName(entry.name)))
        return { size: entry.size, head: await firstBytes(entry) };
    }
  } catch (error) {
    endOfGlimpse(error);
  }
  return undefined;
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function firstBytes(entry: ArchiveEntry): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const piece of entry.content()) {
      pieces.push(piece);
      length += piece.length;
      if (length >= MEMBER_HEAD) break;
    }
  } catch (error) {
    endOfGlimpse(error);
  }
  return Buffer.concat(pieces);
}

/** The reader takes the end of what is seen for that of a damaged archive. */
function endOfGlimpse(error: unknown): void {
  if (!(error instanceof ResError)) throw error;
}

interface ZipEntry {
  readonly name: string;
  readonly method: number;
  /** Bytes. */
  readonly packed: number;
  readonly size: number;
  /** Of its local header in the archive. */
  readonly offset: number;
}

const END_LENGTH = 22;
const ENTRY_LENGTH = 46;
/** What does not fit in 32 bits stands elsewhere. */
const ELSEWHERE = 0xffffffff;

/** The central directory; undefined when it is not whole in the tail, or the archive is of the large kind. */
function zipEntries(tail: Uint8Array, size: number | null): readonly ZipEntry[] | undefined {
  const bytes = Buffer.from(tail.buffer, tail.byteOffset, tail.byteLength);
  const end = bytes.lastIndexOf('PK\x05\x06', undefined, 'latin1');
  if (size === null || end < 0 || end + END_LENGTH > bytes.length) return undefined;
  const offset = bytes.readUInt32LE(end + 16);
  let at = offset - (size - bytes.length);
  if (offset === ELSEWHERE || at < 0) return undefined;
  const entries: ZipEntry[] = [];
  for (let left = bytes.readUInt16LE(end + 10); left > 0; left--) {
    if (at + ENTRY_LENGTH > end || bytes.toString('latin1', at, at + 4) !== 'PK\x01\x02') return undefined;
    const nameLength = bytes.readUInt16LE(at + 28);
    const entry = {
      method: bytes.readUInt16LE(at + 10),
      packed: bytes.readUInt32LE(at + 20),
      size: bytes.readUInt32LE(at + 24),
      name: bytes.toString('utf8', at + ENTRY_LENGTH, at + ENTRY_LENGTH + nameLength),
      offset: bytes.readUInt32LE(at + 42),
    };
    if ([entry.size, entry.packed, entry.offset].includes(ELSEWHERE)) return undefined;
    entries.push(entry);
    at += ENTRY_LENGTH + nameLength + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32);
  }
  return entries;
}

/** The first bytes of a zip's file, where it begins within the archive's head. */
function zipHead(head: Uint8Array, { offset, method }: ZipEntry): Uint8Array | undefined {
  if (offset + 30 > head.length) return undefined;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const start = offset + 30 + view.getUint16(offset + 26, true) + view.getUint16(offset + 28, true);
  const packed = head.subarray(start);
  if (packed.length === 0) return undefined;
  if (method === 0) return packed;
  if (method !== 8) return undefined;
  try {
    return inflateRawSync(packed, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: 16 * MEMBER_HEAD });
  } catch {
    // Damaged, or mostly zeros: nothing to hold an estimate on, and whoever unpacks it says more.
    return undefined;
  }
}
