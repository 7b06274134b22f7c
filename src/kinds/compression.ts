// Decompression of streams: which format it is, by its first bytes, and what decodes it. With the format's own program where
// it is installed, else with a library: the bytes are the same, so the program is not part of any key.
import { ResError } from '../model/error.js';
import { withCommas } from '../model/size.js';
import { ByteReader, restOf } from '../store/byte-reader.js';
import { DamagedError, describeBytes } from './bytes.js';
import type { KindContext } from './kind.js';

export type Compression = 'gzip' | 'xz' | 'zstd' | 'bzip2';
export const COMPRESSIONS: readonly Compression[] = ['gzip', 'xz', 'zstd', 'bzip2'];

/** As much as `recognise` looks at, bytes. */
export const MAGIC_LENGTH = 6;

/** No disk image is larger; an endless stream of zeros in a few bytes is stopped here. */
export const MAX_EXPANDED_BYTES = 16 * 1024 ** 4;

type Programs = Pick<KindContext, 'has' | 'pipe'>;

interface Decoder {
  readonly magic: (start: Uint8Array) => boolean;
  readonly program?: readonly [string, ...string[]];
  /** Loaded when it is needed: a build with nothing to do starts without it. */
  readonly library: () => Promise<(input: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>>;
}

const DECODERS: Readonly<Record<Compression, Decoder>> = {
  // zlib is as fast as the program, and in the house.
  gzip: { magic: startsWith(0x1f, 0x8b), library: async () => (await import('./gunzip.js')).gunzip },
  xz: {
    magic: startsWith(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00),
    program: ['xz', '-dc', '-T0'],
    library: async () => (await import('./unxz.js')).unxz,
  },
  zstd: {
    // A skippable frame may come first: pzstd and seekable zstd begin with one.
    magic: (start) =>
      startsWith(0x28, 0xb5, 0x2f, 0xfd)(start) ||
      (((start[0] ?? 0) & 0xf0) === 0x50 && startsWith(0x2a, 0x4d, 0x18)(start.subarray(1))),
    program: ['zstd', '-dcq'],
    library: async () => (await import('./unzstd.js')).unzstd,
  },
  bzip2: {
    magic: (start) =>
      startsWith(0x42, 0x5a, 0x68)(start) && (start[3] ?? 0) >= 0x31 && (start[3] ?? 0) <= 0x39,
    program: ['bzip2', '-dc'],
    library: async () => (await import('./unbzip2.js')).unbzip2,
  },
};

/** What decodes the format in this process. */
export function libraryOf(format: Compression): ReturnType<Decoder['library']> {
  return DECODERS[format].library();
}

/** The compression that these first bytes (`MAGIC_LENGTH` of them) announce. */
export function recognise(start: Uint8Array): Compression | undefined {
  return COMPRESSIONS.find((format) => DECODERS[format].magic(start));
}

/**
 * The decompressed bytes of `input`, whose name in messages is `what`. `format` overrides what the first bytes say.
 * Throws ResError `bad-format` when they say nothing or something else, `corrupt-input` for data that is damaged, cut off or
 * followed by something else; what the input throws is passed on.
 */
export async function* decompress(
  input: AsyncIterable<Uint8Array>,
  what: string,
  programs: Programs,
  format?: Compression,
): AsyncGenerator<Uint8Array> {
  const reader = new ByteReader(input);
  const start = await startOf(reader);
  const found = recognise(start);
  if (found === undefined || (format !== undefined && found !== format)) {
    await reader.close();
    throw new ResError('bad-format', notThat(what, start, found, format), {
      hint:
        found === undefined
          ? 'Known are gzip, xz, zstd and bzip2. What is not compressed needs no `decompress`.'
          : `Leave \`format\` out, or say \`format: ${found}\`.`,
    });
  }
  yield* decode(restOf(reader), found, what, programs);
}

async function startOf(reader: ByteReader): Promise<Uint8Array> {
  try {
    return await reader.peek(MAGIC_LENGTH);
  } catch (error) {
    await reader.close();
    throw error;
  }
}

function notThat(
  what: string,
  start: Uint8Array,
  found: Compression | undefined,
  format: Compression | undefined,
): string {
  const begins = `it begins with ${describeBytes(start)}`;
  if (found !== undefined) return `${what} is ${found}, not ${format ?? 'that'}`;
  return format === undefined
    ? `${what} is in no compression format that res knows: ${begins}`
    : `${what} is not ${format}: ${begins}`;
}

/** As `decompress`, for input that is known to be of the format. */
export async function* decode(
  input: AsyncIterable<Uint8Array>,
  format: Compression,
  what: string,
  programs: Programs,
): AsyncGenerator<Uint8Array> {
  const { program, library } = DECODERS[format];
  const source = new Watched(input);
  let given = 0;
  try {
    const decoded =
      program && programs.has(program[0])
        ? programs.pipe(program, source.stream())
        : (await library())(source.stream());
    for await (const piece of decoded) {
      given += piece.length;
      if (given > MAX_EXPANDED_BYTES) break;
      yield piece;
    }
  } catch (error) {
    throw source.failure ? source.failure.error : corrupt(error, format, what, source.bytes);
  }
  if (given > MAX_EXPANDED_BYTES) {
    throw new ResError('corrupt-input', `${what} expands to more than 16 TiB`, {
      hint: 'It is no disk image. Check where it comes from.',
    });
  }
  // The program bzip2 passes over what follows the end with a warning.
  if (format === 'bzip2' && !endsBzip2(source.tail)) {
    throw corrupt(new DamagedError('something else follows its end'), format, what, source.bytes);
  }
}

/** The input as the decoder reads it: how much, its last bytes, and whether a failure was the input's own. */
class Watched {
  readonly #input: AsyncIterable<Uint8Array>;
  bytes = 0;
  tail: Uint8Array = new Uint8Array(0);
  failure: { readonly error: unknown } | undefined;

  constructor(input: AsyncIterable<Uint8Array>) {
    this.#input = input;
  }

  async *stream(): AsyncGenerator<Uint8Array> {
    const iterator = this.#input[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.#next(iterator);
        if (next === undefined) return;
        this.bytes += next.length;
        this.tail =
          next.length >= TAIL ? next.slice(-TAIL) : Buffer.concat([this.tail, next]).subarray(-TAIL);
        yield next;
      }
    } finally {
      await iterator.return?.();
    }
  }

  async #next(iterator: AsyncIterator<Uint8Array>): Promise<Uint8Array | undefined> {
    try {
      const next = await iterator.next();
      return next.done ? undefined : next.value;
    } catch (error) {
      this.failure = { error };
      throw error;
    }
  }
}

function corrupt(error: unknown, format: Compression, what: string, bytes: number): unknown {
  const reason = reasonOf(error, format);
  if (reason === undefined) return error;
  const shown = withCommas(bytes);
  return new ResError(
    'corrupt-input',
    `${what} is not whole ${format} data: ${reason} (within the first ${shown} bytes)`,
    {
      hint: 'It is damaged or incomplete. Check that all parts are there, in order; `res verify` finds content that changed.',
      cause: error,
      ...(error instanceof ResError && error.command ? { command: error.command } : {}),
    },
  );
}

/** Undefined for failures that say nothing about the data. */
function reasonOf(error: unknown, format: Compression): string | undefined {
  if (error instanceof ResError) {
    // A program that was killed did not judge its input.
    if (error.code !== 'command-failed' || error.command?.signal !== undefined) return undefined;
    return said(error.command?.tail ?? [], DECODERS[format].program?.[0]) ?? `${format} failed`;
  }
  return error instanceof DamagedError ? error.message : undefined;
}

/** A program's own words: the first line that it signs with its name (more is advice), or the last one. */
function said(lines: readonly string[], program: string | undefined): string | undefined {
  const signed = lines.find((line) => line.startsWith(`${program}: `))?.slice(`${program}: `.length);
  return (signed ?? lines.findLast((line) => line.trim() !== ''))?.trim();
}

const TAIL = 11;
const BZIP2_END = 0x177245385090n;

/** Whether the last bytes are the end mark of a bzip2 stream, its checksum, and bits that fill the last byte. */
function endsBzip2(tail: Uint8Array): boolean {
  const value = BigInt(`0x${Buffer.from(tail).toString('hex') || '0'}`);
  for (let fill = 0n; fill < 8n; fill++) {
    if (((value >> (fill + 32n)) & 0xffffffffffffn) === BZIP2_END) return true;
  }
  return false;
}

function startsWith(...magic: readonly number[]): (start: Uint8Array) => boolean {
  return (start) => magic.every((byte, at) => start[at] === byte);
}
