// Reads tar archives (ustar, pax, GNU) as a stream. Own code, for two things that matter for disk images: GNU's sparse files, which
// is what `tar -S` makes of a raw image and what cloud images come as, are expanded; and an archive that is cut off, even
// between two entries, is an error.
import { ResError } from '../model/error.js';
import { withCommas } from '../model/size.js';
import { ByteReader } from '../store/byte-reader.js';
import { isZero, ZEROS } from '../store/zeros.js';
import type { ArchiveEntry } from './archive.js';
import { quote } from './archive.js';

export const BLOCK = 512;
/** Of a pax header or long name, bytes. */
const MAX_EXTRA = 4 * 1024 * 1024;
/** Runs of data in one sparse file. */
const MAX_RUNS = 1_000_000;
const PIECE = 1024 * 1024;

interface Header {
  readonly name: string;
  readonly link: string;
  readonly mode: number;
  /** Bytes stored in the archive. */
  readonly size: number;
  readonly type: string;
  readonly gnu: boolean;
  readonly block: Uint8Array;
}

interface Run {
  readonly offset: number;
  readonly length: number;
}

/** Attributes of pax headers by keyword; the sparse map of version 0.0 is collected in order. */
interface Attributes {
  readonly values: Map<string, string>;
  readonly runs: number[];
}

const TYPES: Readonly<Record<string, ArchiveEntry['type']>> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'device',
  '4': 'device',
  '5': 'directory',
  '6': 'fifo',
};

/** Whether the first `BLOCK` bytes are a tar header. */
export function looksLikeTar(start: Uint8Array): boolean {
  return start.length === BLOCK && !isZero(start) && checksumMatches(start);
}

/**
 * The entries in order; reads to the end of the input, so that whatever makes the bytes sees it too. `archive` is its name in
 * messages. Throws ResError `corrupt-input`, `bad-format`; what the input throws is passed on.
 */
export async function* readTar(
  input: AsyncIterable<Uint8Array>,
  archive: string,
): AsyncGenerator<ArchiveEntry> {
  const reader = new TarReader(new ByteReader(input), archive);
  try {
    for (;;) {
      const entry = await reader.next();
      if (entry === undefined) return;
      yield entry;
    }
  } finally {
    await reader.close();
  }
}

class TarReader {
  readonly #reader: ByteReader;
  readonly #archive: string;
  readonly #global = new Map<string, string>();
  /** Of the entry at hand: stored bytes that were not read yet, and what fills its last block. */
  #left = 0;
  #fill = 0;

  constructor(reader: ByteReader, archive: string) {
    this.#reader = reader;
    this.#archive = archive;
  }

  close(): Promise<void> {
    return this.#reader.close();
  }

  async next(): Promise<ArchiveEntry | undefined> {
    await this.#skip();
    let longName: string | undefined;
    let longLink: string | undefined;
    let own: Attributes = { values: new Map(), runs: [] };
    for (;;) {
      const header = await this.#header();
      if (header === undefined) return undefined;
      switch (header.type) {
        case 'L':
          longName = cString(await this.#extra(header));
          continue;
        case 'K':
          longLink = cString(await this.#extra(header));
          continue;
        case 'g':
          for (const [key, value] of this.#attributes(await this.#extra(header)).values)
            this.#global.set(key, value);
          continue;
        case 'x':
        case 'X':
          own = this.#attributes(await this.#extra(header));
          continue;
        // The archive's own label.
        case 'V':
          continue;
      }
      const values = new Map([...this.#global, ...own.values]);
      return this.#entry(header, { values, runs: own.runs }, longName, longLink);
    }
  }

  async #entry(
    header: Header,
    attributes: Attributes,
    longName: string | undefined,
    longLink: string | undefined,
  ): Promise<ArchiveEntry> {
    const { values } = attributes;
    const name = values.get('GNU.sparse.name') ?? values.get('path') ?? longName ?? header.name;
    const stored = this.#size(values.get('size'), name) ?? header.size;
    // Before pax, a name that ends with `/` made a directory.
    const type = TYPES[header.type] === 'file' && name.endsWith('/') ? 'directory' : TYPES[header.type];
    if (type === undefined) throw this.#unknown(header, name);
    if (type !== 'file' && stored > 0)
      throw this.#damaged(`the entry ${quote(name)} is a ${type} with content`);
    this.#left = stored;
    this.#fill = (BLOCK - (stored % BLOCK)) % BLOCK;
    const sparse = await this.#sparseMap(header, attributes, name);
    const content =
      sparse === undefined ? () => this.#stored(stored) : () => this.#expanded(sparse.runs, sparse.size);
    return {
      name,
      type,
      size: sparse?.size ?? stored,
      executable: type === 'file' && (header.mode & 0o111) !== 0,
      target:
        type === 'symlink' || type === 'hardlink' ? (values.get('linkpath') ?? longLink ?? header.link) : '',
      content,
    };
  }

  #unknown(header: Header, name: string): ResError {
    const type =
      header.type === 'M' ? 'a piece of a file of another volume' : `of the type ${quote(header.type)}`;
    return new ResError(
      'bad-format',
      `${this.#archive}: the entry ${quote(name)} is ${type}, which res cannot take out`,
      {
        hint: 'Make the archive anew with `tar --format=posix`.',
      },
    );
  }

  /** Undefined at the end mark. */
  async #header(): Promise<Header | undefined> {
    const block = await this.#reader.take(BLOCK);
    if (block.length < BLOCK) throw this.#damaged('it ends without its end mark');
    if (isZero(block)) {
      await this.#end();
      return undefined;
    }
    if (!checksumMatches(block)) throw this.#damaged('a header has a wrong checksum');
    const magic = latin1(block.subarray(257, 263));
    const short = cString(block.subarray(0, 100));
    const prefix = magic === 'ustar\0' ? cString(block.subarray(345, 500)) : '';
    const type = latin1(block.subarray(156, 157));
    const header: Header = {
      name: prefix === '' ? short : `${prefix}/${short}`,
      link: cString(block.subarray(157, 257)),
      mode: this.#number(block.subarray(100, 108)),
      size: this.#number(block.subarray(124, 136)),
      type,
      gnu: magic === 'ustar ',
      block,
    };
    if (type === 'D') throw this.#unknown(header, header.name);
    return header;
  }

  /**
   * Two blocks of zeros; a lone one only when nothing follows. What comes after them is not the archive's; but where that is
   * another archive, as when several files that are no parts of one were joined, what is in it must not be lost without a word.
   */
  async #end(): Promise<void> {
    const second = await this.#reader.take(BLOCK);
    if (!isZero(second)) throw this.#damaged('a block of zeros stands between its entries');
    let next: Uint8Array;
    do next = await this.#reader.take(BLOCK);
    while (next.length > 0 && isZero(next));
    if (looksLikeTar(next)) throw this.#several();
    for await (const piece of this.#reader.rest()) void piece;
  }

  #several(): ResError {
    const at = withCommas(this.#reader.offset - BLOCK);
    return new ResError(
      'bad-format',
      `${this.#archive}: a second tar archive follows the first (at byte ${at})`,
      {
        hint: 'Only parts of one archive can be read as one. Take out of each archive what is wanted of it.',
      },
    );
  }

  async #extra(header: Header): Promise<Uint8Array> {
    if (header.size > MAX_EXTRA) throw this.#damaged('a long name or header is over 4 MiB');
    const bytes = await this.#exactly(header.size);
    await this.#exactly((BLOCK - (header.size % BLOCK)) % BLOCK);
    return bytes;
  }

  #attributes(bytes: Uint8Array): Attributes {
    const values = new Map<string, string>();
    const runs: number[] = [];
    for (let at = 0; at < bytes.length; ) {
      const space = bytes.indexOf(0x20, at);
      const digits = space === -1 ? '' : latin1(bytes.subarray(at, space));
      const end = at + Number(digits);
      const equals = bytes.indexOf(0x3d, space);
      if (
        !/^\d{1,10}$/.test(digits) ||
        end > bytes.length ||
        bytes[end - 1] !== 0x0a ||
        equals === -1 ||
        equals >= end
      ) {
        throw this.#damaged('a pax header is malformed');
      }
      const key = utf8(bytes.subarray(space + 1, equals));
      const value = utf8(bytes.subarray(equals + 1, end - 1));
      // These two alternate, once for each run of data.
      if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') runs.push(this.#whole(value));
      else if (value === '') values.delete(key);
      else values.set(key, value);
      at = end;
    }
    return { values, runs };
  }

  /** Where the stored bytes of a sparse file belong; undefined for other files. */
  async #sparseMap(
    header: Header,
    { values, runs }: Attributes,
    name: string,
  ): Promise<{ readonly runs: readonly Run[]; readonly size: number } | undefined> {
    if (header.type === 'S') {
      if (!header.gnu) throw this.#unknown(header, name);
      const size = this.#number(header.block.subarray(483, 495));
      return this.#checkedMap(await this.#oldMap(header), size, name);
    }
    const size = values.get('GNU.sparse.realsize') ?? values.get('GNU.sparse.size');
    if (size === undefined) return undefined;
    if (values.get('GNU.sparse.major') === '1')
      return this.#checkedMap(await this.#storedMap(), this.#whole(size), name);
    const listed = values.get('GNU.sparse.map');
    const numbers = listed === undefined ? runs : listed.split(',').map((number) => this.#whole(number));
    return this.#checkedMap(numbers, this.#whole(size), name);
  }

  /** GNU's old format: in the header, and in blocks that follow it. */
  async #oldMap({ block }: Header): Promise<number[]> {
    const numbers: number[] = [];
    const read = (from: Uint8Array, start: number, pairs: number) => {
      for (let at = start; at < start + pairs * 24; at += 24) {
        if (from[at] === 0) return;
        numbers.push(this.#number(from.subarray(at, at + 12)), this.#number(from.subarray(at + 12, at + 24)));
      }
    };
    read(block, 386, 4);
    for (let more = block[482] !== 0; more; ) {
      const next = await this.#exactly(BLOCK);
      read(next, 0, 21);
      more = next[504] !== 0;
      if (numbers.length > 2 * MAX_RUNS) throw this.#damaged('a sparse file has too many parts');
    }
    return numbers;
  }

  /** pax 1.0: decimal lines at the beginning of the content, filled to a block. */
  async #storedMap(): Promise<number[]> {
    let used = 0;
    let lines: string[] = [];
    let rest = '';
    let pairs: number | undefined;
    while (pairs === undefined || lines.length < 1 + 2 * pairs) {
      if (this.#left < BLOCK) throw this.#damaged('the map of a sparse file is malformed');
      rest += latin1(await this.#exactly(BLOCK));
      this.#left -= BLOCK;
      used += BLOCK;
      const parts = rest.split('\n');
      rest = parts.pop() ?? '';
      lines = lines.concat(parts);
      pairs ??= lines.length > 0 ? this.#whole(lines[0]) : undefined;
      if ((pairs ?? 0) > MAX_RUNS || used > 64 * MAX_RUNS)
        throw this.#damaged('a sparse file has too many parts');
    }
    return lines.slice(1, 1 + 2 * pairs).map((line) => this.#whole(line));
  }

  #checkedMap(
    numbers: readonly number[],
    size: number,
    name: string,
  ): { readonly runs: readonly Run[]; readonly size: number } {
    const runs: Run[] = [];
    let end = 0;
    let total = 0;
    for (let at = 0; at < numbers.length; at += 2) {
      const offset = numbers[at] ?? 0;
      const length = numbers[at + 1] ?? -1;
      if (offset < end || length < 0 || offset + length > size)
        throw this.#damaged(`the map of the sparse file ${quote(name)} is wrong`);
      end = offset + length;
      total += length;
      runs.push({ offset, length });
    }
    if (total !== this.#left) throw this.#damaged(`the map of the sparse file ${quote(name)} is wrong`);
    return { runs, size };
  }

  async *#expanded(runs: readonly Run[], size: number): AsyncGenerator<Uint8Array> {
    let position = 0;
    for (const { offset, length } of runs) {
      yield* zeros(offset - position);
      yield* this.#stored(length);
      position = offset + length;
    }
    yield* zeros(size - position);
  }

  async *#stored(count: number): AsyncGenerator<Uint8Array> {
    for (let left = count; left > 0; ) {
      const piece = await this.#reader.some(Math.min(left, PIECE));
      if (piece === undefined) throw this.#damaged('it ends within a file');
      left -= piece.length;
      this.#left -= piece.length;
      yield piece;
    }
  }

  /** To the next header. */
  async #skip(): Promise<void> {
    for await (const piece of this.#stored(this.#left)) void piece;
    await this.#exactly(this.#fill);
    this.#fill = 0;
  }

  async #exactly(count: number): Promise<Uint8Array> {
    const bytes = await this.#reader.take(count);
    if (bytes.length < count) throw this.#damaged('it ends within an entry');
    return bytes;
  }

  #size(value: string | undefined, name: string): number | undefined {
    if (value === undefined) return undefined;
    const size = Number(value);
    if (!/^\d+$/.test(value) || !Number.isSafeInteger(size))
      throw this.#damaged(`the size of ${quote(name)} is no number`);
    return size;
  }

  #whole(value: string | undefined): number {
    const number = Number(value);
    if (value === undefined || !/^\d+$/.test(value) || !Number.isSafeInteger(number)) {
      throw this.#damaged('the map of a sparse file is malformed');
    }
    return number;
  }

  /** Octal digits, or GNU's big endian binary with the first bit set. */
  #number(field: Uint8Array): number {
    const first = field[0] ?? 0;
    if (first === 0x80) {
      const value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0);
      if (!Number.isSafeInteger(value)) throw this.#damaged('a number in a header is too large');
      return value;
    }
    const digits = latin1(field)
      .replace(/[\0 ]+$/, '')
      .trimStart();
    if (!/^[0-7]*$/.test(digits)) throw this.#damaged('a number in a header is malformed');
    return Number.parseInt(digits || '0', 8);
  }

  #damaged(why: string): ResError {
    const at = withCommas(this.#reader.offset);
    return new ResError(
      'corrupt-input',
      `${this.#archive} is not a whole tar archive: ${why} (at byte ${at})`,
      {
        hint: 'It is damaged or incomplete. Check that all parts are there, in order; `res verify` finds content that changed.',
      },
    );
  }
}

function* zeros(count: number): Generator<Uint8Array> {
  for (let left = count; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, left);
}

/** The sum counts its own field as blanks; some old programs took bytes for signed. */
function checksumMatches(block: Uint8Array): boolean {
  let sum = 8 * 0x20;
  let signed = sum;
  for (let at = 0; at < BLOCK; at++) {
    if (at === 148) at = 156;
    const byte = block[at] ?? 0;
    sum += byte;
    signed += byte < 128 ? byte : byte - 256;
  }
  const claimed = Number.parseInt(latin1(block.subarray(148, 156)).replace(/\0.*$/s, '').trim(), 8);
  return claimed === sum || claimed === signed;
}

function cString(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return utf8(end === -1 ? bytes : bytes.subarray(0, end));
}

function utf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
