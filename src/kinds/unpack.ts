// Fills a directory from an archive that is not trusted. The directory is fresh and nobody else's, every name is made anew and
// exclusively, and parents are directories made here: so nothing is ever written through a link or over another entry.
import { writeFileSync } from 'node:fs';
import { chmod, constants, copyFile, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { ResError } from '../model/error.js';
import { withCommas } from '../model/size.js';
import { errorCode, ioError, openSparseWriter } from '../store/files.js';
import { type ArchiveEntry, checkLinkTarget, MAX_ENTRIES, quote, safeSegments, unsafe } from './archive.js';
import { MAX_EXPANDED_BYTES } from './compression.js';

/** Files up to this many bytes are written in one go. */
const SMALL = 256 * 1024;

type Made = 'file' | 'directory' | 'symlink';

export interface UnpackOptions {
  /** Name in messages. */
  readonly archive: string;
  /** Leading folders that are taken off; what has no more of them is left out, as tar does. */
  readonly strip: number;
  readonly signal: AbortSignal;
}

/**
 * Puts the entries below `root`, which exists and is empty. Owners, times and all of the mode but the executable bit are ignored;
 * hard links become copies. Rejects with ResError `unsafe-archive`, `corrupt-input`, `io`, `no-space`.
 */
export async function unpack(
  entries: AsyncIterable<ArchiveEntry>,
  root: string,
  options: UnpackOptions,
): Promise<void> {
  const tree = new Tree(root, options);
  for await (const entry of entries) {
    options.signal.throwIfAborted();
    await tree.add(entry);
  }
}

class Tree {
  readonly #root: string;
  readonly #options: UnpackOptions;
  /** By path below the root. */
  readonly #made = new Map<string, Made>();
  readonly #sizes = new Map<string, number>();
  #entries = 0;
  #bytes = 0;

  constructor(root: string, options: UnpackOptions) {
    this.#root = root;
    this.#options = options;
  }

  async add(entry: ArchiveEntry): Promise<void> {
    const { archive, strip } = this.#options;
    this.#count(entry);
    const segments = safeSegments(archive, entry.name).slice(strip);
    if (segments.length === 0) {
      // The root itself, or what `strip` takes off whole.
      if (entry.type === 'directory' || strip > 0) return;
      throw unsafe(archive, entry.name, 'has no name');
    }
    const path = segments.join('/');
    await this.#parents(entry, segments.slice(0, -1));
    const before = this.#made.get(path);
    if (before !== undefined) {
      if (before === 'directory' && entry.type === 'directory') return;
      throw unsafe(archive, entry.name, `is there twice (${before}, then ${entry.type})`);
    }
    try {
      await this.#make(entry, segments, path);
    } catch (error) {
      // Where the file system takes names for one that differ (in case), exclusive creation finds out.
      if (errorCode(error) === 'EEXIST')
        throw unsafe(archive, entry.name, 'has a name that another entry has on this file system');
      // A failure of the archive's own bytes is no failure to write.
      if (error instanceof Error && 'syscall' in error)
        throw ioError(error, 'cannot write', join(this.#root, path));
      throw error;
    }
  }

  async #make(entry: ArchiveEntry, segments: readonly string[], path: string): Promise<void> {
    const { archive } = this.#options;
    const place = join(this.#root, path);
    switch (entry.type) {
      case 'file':
        await writeContent(entry, place, this.#options.signal);
        this.#sizes.set(path, entry.size);
        break;
      case 'directory':
        await mkdir(place);
        break;
      case 'symlink':
        checkLinkTarget(archive, entry.name, segments, entry.target);
        await symlink(entry.target, place);
        break;
      case 'hardlink':
        await this.#copyOf(entry, path);
        break;
      case 'device':
      case 'fifo':
        throw unsafe(archive, entry.name, `is a ${entry.type}`);
    }
    this.#made.set(path, entry.type === 'hardlink' ? 'file' : entry.type);
  }

  async #copyOf(entry: ArchiveEntry, path: string): Promise<void> {
    const { archive, strip } = this.#options;
    const source = safeSegments(archive, entry.target).slice(strip).join('/');
    const size = this.#sizes.get(source);
    if (size === undefined)
      throw unsafe(
        archive,
        entry.name,
        `is a hard link to ${quote(entry.target)}, which is no file before it`,
      );
    this.#expand(size);
    await copyFile(
      join(this.#root, source),
      join(this.#root, path),
      constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE,
    );
    this.#sizes.set(path, size);
  }

  async #parents(entry: ArchiveEntry, segments: readonly string[]): Promise<void> {
    let path = '';
    for (const segment of segments) {
      path = path === '' ? segment : `${path}/${segment}`;
      const made = this.#made.get(path);
      if (made === 'directory') continue;
      if (made !== undefined)
        throw unsafe(this.#options.archive, entry.name, `leads through ${quote(path)}, which is a ${made}`);
      try {
        await mkdir(join(this.#root, path));
      } catch (error) {
        if (errorCode(error) !== 'EEXIST') throw ioError(error, 'cannot create', join(this.#root, path));
        throw unsafe(
          this.#options.archive,
          entry.name,
          `leads through ${quote(path)}, a name that another entry has on this file system`,
        );
      }
      this.#made.set(path, 'directory');
    }
  }

  #count(entry: ArchiveEntry): void {
    if (++this.#entries > MAX_ENTRIES) throw this.#tooMuch(`more than ${withCommas(MAX_ENTRIES)} entries`);
    this.#expand(entry.size);
  }

  #expand(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > MAX_EXPANDED_BYTES) throw this.#tooMuch('more than 16 TiB of content');
  }

  #tooMuch(what: string): ResError {
    return new ResError('unsafe-archive', `${this.#options.archive} has ${what}`, {
      hint: 'No archive of files is as large. Check where it comes from; single files can be taken out with `member`.',
    });
  }
}

async function writeContent(entry: ArchiveEntry, path: string, signal: AbortSignal): Promise<void> {
  const mode = entry.executable ? 0o755 : 0o644;
  if (entry.size <= SMALL) {
    const pieces: Uint8Array[] = [];
    for await (const piece of entry.content()) pieces.push(piece);
    // A source tree has tens of thousands of them: to wait for a thread for each would take most of the time.
    writeFileSync(path, Buffer.concat(pieces), { flag: 'wx', mode });
    return;
  }
  const writer = await openSparseWriter(path);
  try {
    for await (const piece of entry.content()) {
      signal.throwIfAborted();
      await writer.write(piece);
    }
    await writer.close();
  } catch (error) {
    await writer.abort();
    throw error;
  }
  if (entry.executable) await chmod(path, mode);
}
