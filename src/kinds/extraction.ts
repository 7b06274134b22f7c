// What extract does with the bytes: finds the archive's format, takes one file out of it or unpacks all.
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import picomatch from 'picomatch';
import { ResError } from '../model/error.js';
import { ByteReader, restOf } from '../store/byte-reader.js';
import { ioError } from '../store/files.js';
import { type ArchiveEntry, plainName, quote, safeSegments, unsafe } from './archive.js';
import { describeBytes } from './bytes.js';
import { decode, MAGIC_LENGTH, recognise } from './compression.js';
import { bytesOf, inputOf, nameOf } from './input.js';
import type { KindContext } from './kind.js';
import { ambiguousMember, LISTED, memberNotFound } from './member-errors.js';
import { BLOCK, looksLikeTar, readTar } from './tar.js';
import { unpack } from './unpack.js';
import { looksLikeZip, readZip } from './zip.js';

/** Fills `context.out` with all that the archive holds. Rejects with ResError, as `unpack` and the readers do. */
export function unpackInput(context: KindContext, strip: number): Promise<void> {
  return unpack(entriesOf(context), context.out, {
    archive: nameOf(inputOf(context)),
    strip,
    signal: context.signal,
  });
}

/**
 * The one file whose name matches; then the rest of the archive is read, as only its end shows that it is whole.
 * Throws ResError `member-not-found`, `unsafe-archive`, `bad-format`, `corrupt-input`.
 */
export async function* memberOf(context: KindContext, pattern: string): AsyncGenerator<Uint8Array> {
  const archive = nameOf(inputOf(context));
  const matches = matcher(pattern);
  const found: string[] = [];
  const others: string[] = [];
  let noFile: ArchiveEntry | undefined;
  let entries = 0;
  for await (const entry of entriesOf(context)) {
    context.signal.throwIfAborted();
    const name = plainName(entry.name);
    if (entry.type === 'directory') continue;
    entries++;
    if (!matches(name)) {
      if (others.length < LISTED) others.push(name);
      continue;
    }
    // Its name goes on to messages and is looked up in sums.
    safeSegments(archive, entry.name);
    if (found.includes(name)) throw unsafe(archive, entry.name, 'is there twice');
    // A hard link is a file by another name, but its content stands elsewhere in the archive.
    if (entry.type !== 'file' && entry.type !== 'hardlink') {
      noFile = entry;
      continue;
    }
    found.push(name);
    if (found.length === 1) {
      if (entry.type === 'hardlink') throw notFile(archive, entry);
      context.member(name, { executable: entry.executable });
      yield* entry.content();
    } else if (found.length > LISTED) break;
  }
  if (found.length === 0 && noFile) throw notFile(archive, noFile);
  if (found.length === 0) throw memberNotFound(archive, pattern, others, entries);
  if (found.length > 1) throw ambiguousMember(archive, pattern, found);
}

/** The name itself, whatever characters it has, or a glob. */
export function matcher(pattern: string): (name: string) => boolean {
  const plain = plainName(pattern);
  const glob = picomatch(plain, { dot: true });
  return (name) => name === plain || glob(name);
}

function notFile(archive: string, entry: ArchiveEntry): ResError {
  const link = entry.target === '' ? '' : ` to ${quote(entry.target)}`;
  return new ResError(
    'member-not-found',
    `${archive}: the member ${quote(plainName(entry.name))} is a ${entry.type}${link}, not a file`,
    {
      hint:
        entry.target === ''
          ? 'Name a regular file as `member`.'
          : 'Name the file that it leads to as `member`.',
    },
  );
}

/** Rejects with ResError `io` or `no-space`, or as the input does. */
async function spool(reader: ByteReader, path: string): Promise<void> {
  const file = await open(path, 'wx');
  try {
    for await (const piece of reader.rest()) {
      await file.writeFile(piece).catch((error: unknown) => {
        throw ioError(error, 'cannot write', path);
      });
    }
  } finally {
    await file.close();
  }
}

/** The archive's entries, whatever its format; that is told by its content. */
async function* entriesOf(context: KindContext): AsyncGenerator<ArchiveEntry> {
  const input = inputOf(context);
  const archive = nameOf(input);
  const zip = await zipAtRest(context);
  if (zip !== undefined) {
    yield* readZip(zip, archive);
    return;
  }
  const reader = new ByteReader(bytesOf(context));
  try {
    const start = await reader.peek(BLOCK);
    if (looksLikeZip(start)) {
      const path = join(context.scratch, 'archive.zip');
      await spool(reader, path);
      yield* readZip(path, archive);
      return;
    }
    const compression = recognise(start.subarray(0, MAGIC_LENGTH));
    const tar =
      compression === undefined ? restOf(reader) : decode(restOf(reader), compression, archive, context);
    yield* tarEntries(tar, archive, compression);
  } finally {
    await reader.close();
  }
}

async function* tarEntries(
  bytes: AsyncIterable<Uint8Array>,
  archive: string,
  compression: string | undefined,
): AsyncGenerator<ArchiveEntry> {
  const reader = new ByteReader(bytes);
  try {
    const start = await reader.peek(BLOCK);
    if (!looksLikeTar(start)) {
      const inside = compression === undefined ? archive : `what is ${compression}-compressed in ${archive}`;
      const begins = describeBytes(start.subarray(0, MAGIC_LENGTH));
      throw new ResError('bad-format', `${inside} is neither tar nor zip: it begins with ${begins}`, {
        hint:
          compression === undefined
            ? 'Known are zip, and tar as it is or compressed with gzip, xz, zstd or bzip2.'
            : 'One compressed file without an archive around it is taken with `decompress`.',
      });
    }
    yield* readTar(restOf(reader), archive);
  } finally {
    await reader.close();
  }
}

/** The path of a zip file that lies in a file already, undefined for all else: its directory is at its end, so it cannot be streamed. */
async function zipAtRest(context: KindContext): Promise<string | undefined> {
  const input = inputOf(context);
  if (!input.stored || input.items.length !== 1) return undefined;
  const [path] = await input.paths();
  if (path === undefined) return undefined;
  const file = await open(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return looksLikeZip(buffer) ? path : undefined;
  } finally {
    await file.close();
  }
}
