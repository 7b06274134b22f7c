// Reads zip files, from their central directory as all zip programs do; checks what yauzl leaves to its user: checksums.
import { isUtf8 } from 'node:buffer';
import { crc32 } from 'node:zlib';
import { type Entry, getFileNameLowLevel, openPromise, type ZipFile } from 'yauzl';
import { ResError } from '../model/error.js';
import { type ArchiveEntry, quote, unsafe } from './archive.js';

/** As long as the target of a link can be on any system, bytes. */
const MAX_TARGET = 4096;

/** Hosts that put a Unix mode in the upper half of the external attributes. */
const UNIX = 3;
const MACOS = 19;

export function looksLikeZip(start: Uint8Array): boolean {
  // The second is an archive without entries.
  const magic = Buffer.from(start.subarray(0, 4)).toString('latin1');
  return magic === 'PK\x03\x04' || magic === 'PK\x05\x06';
}

/**
 * The entries of the zip file at `path` in the order of its directory. `archive` is its name in messages.
 * Throws ResError `corrupt-input`, `bad-format`, `unsafe-archive`.
 */
export async function* readZip(path: string, archive: string): AsyncGenerator<ArchiveEntry> {
  // Names come as bytes: they are judged here, not by yauzl, which knows fewer tricks.
  const zip = await opened(path, archive);
  try {
    for (;;) {
      const entry = await nextEntry(zip, archive);
      if (entry === undefined) return;
      yield await archiveEntry(zip, entry, archive);
    }
  } finally {
    zip.close();
  }
}

async function opened(path: string, archive: string): Promise<ZipFile> {
  try {
    return await openPromise(path, { decodeStrings: false, autoClose: false });
  } catch (error) {
    throw damaged(archive, error);
  }
}

function nextEntry(zip: ZipFile, archive: string): Promise<Entry | undefined> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => {
      zip.removeAllListeners('entry').removeAllListeners('end').removeAllListeners('error');
      act();
    };
    zip.once('entry', (entry: Entry) => settle(() => resolve(entry)));
    zip.once('end', () => settle(() => resolve(undefined)));
    zip.once('error', (error: unknown) => settle(() => reject(damaged(archive, error))));
    zip.readEntry();
  });
}

async function archiveEntry(zip: ZipFile, entry: Entry, archive: string): Promise<ArchiveEntry> {
  const name = getFileNameLowLevel(nameFlags(entry), entry.fileNameRaw, entry.extraFields, true);
  const mode = unixMode(entry);
  const type = typeOf(name, mode);
  const content = () => contentOf(zip, entry, name, archive);
  return {
    name,
    type,
    size: entry.uncompressedSize,
    executable: type === 'file' && (mode & 0o111) !== 0,
    target: type === 'symlink' ? await linkTarget(content(), entry, name, archive) : '',
    content,
  };
}

/** Unix programs write UTF-8 without always saying so (bit 11); what is not said counts as the code page of DOS. */
function nameFlags(entry: Entry): number {
  const host = entry.versionMadeBy >> 8;
  const utf8 = (host === UNIX || host === MACOS) && isUtf8(entry.fileNameRaw);
  return utf8 ? entry.generalPurposeBitFlag | 0x800 : entry.generalPurposeBitFlag;
}

function unixMode(entry: Entry): number {
  const host = entry.versionMadeBy >> 8;
  return host === UNIX || host === MACOS ? entry.externalFileAttributes >>> 16 : 0;
}

function typeOf(name: string, mode: number): ArchiveEntry['type'] {
  switch (mode & 0o170000) {
    case 0o120000:
      return 'symlink';
    case 0o040000:
      return 'directory';
    case 0o010000:
      return 'fifo';
    case 0o020000:
    case 0o060000:
    case 0o140000:
      return 'device';
    default:
      return name.endsWith('/') ? 'directory' : 'file';
  }
}

async function linkTarget(
  content: AsyncIterable<Uint8Array>,
  entry: Entry,
  name: string,
  archive: string,
): Promise<string> {
  if (entry.uncompressedSize > MAX_TARGET)
    throw unsafe(archive, name, 'is a symbolic link with a target of over 4096 bytes');
  const pieces: Uint8Array[] = [];
  for await (const piece of content) pieces.push(piece);
  return Buffer.concat(pieces).toString('utf8');
}

async function* contentOf(
  zip: ZipFile,
  entry: Entry,
  name: string,
  archive: string,
): AsyncGenerator<Uint8Array> {
  if (entry.isEncrypted()) {
    throw new ResError('bad-format', `${archive}: the entry ${quote(name)} is encrypted`, {
      hint: 'res knows no passwords. Decrypt the archive before, or have it published without encryption.',
    });
  }
  if (entry.compressionMethod !== 0 && entry.compressionMethod !== 8) {
    const method = `the zip compression method ${entry.compressionMethod}`;
    throw new ResError(
      'bad-format',
      `${archive}: the entry ${quote(name)} uses ${method}, which res does not know`,
      {
        hint: 'Known are stored and deflated entries. Make the archive anew with `zip`.',
      },
    );
  }
  let sum = 0;
  try {
    for await (const piece of await zip.openReadStreamPromise(entry)) {
      sum = crc32(piece, sum);
      yield piece;
    }
  } catch (error) {
    throw damaged(archive, error, name);
  }
  if (sum !== entry.crc32) throw damaged(archive, new Error('its checksum does not match'), name);
}

/** yauzl says all that is wrong with a file in plain errors. */
function damaged(archive: string, error: unknown, name?: string): unknown {
  if (!(error instanceof Error) || error instanceof ResError || 'syscall' in error) return error;
  if (error.message.includes('encryption')) {
    return new ResError('bad-format', `${archive} is encrypted`, {
      cause: error,
      hint: 'res knows no passwords. Decrypt it before.',
    });
  }
  const entry = name === undefined ? '' : `the entry ${quote(name)}: `;
  return new ResError('corrupt-input', `${archive} is not a whole zip file: ${entry}${error.message}`, {
    cause: error,
    hint: 'It is damaged or incomplete. Check that all parts are there, in order; `res verify` finds content that changed.',
  });
}
