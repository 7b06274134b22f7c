// Images that name other files: qemu-img would read those into the result, whatever they are on this machine. The one image that may
// is an overlay that the manifest declares, and the one file that it may name is the image that it was made on.
import { realpath } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { ResError } from '../model/error.js';
import { errorCode, ioError } from '../store/files.js';
import {
  IMAGE_FORMATS,
  type ImageFile,
  type ImageFormat,
  isVmdkDescriptor,
  withImage,
} from './image-format.js';

/** Of the descriptor in a VMDK and of file names, bytes. */
const MAX_TEXT = 1024 * 1024;
const MAX_NAME = 1023;

/** What an image may name. */
export interface Allowed {
  /** Where the image itself lies: names in it start there. */
  readonly path: string;
  /** Absolute paths. */
  readonly files: readonly string[];
}

const NOTHING: Allowed = { path: '/', files: [] };

/**
 * Throws ResError `unsafe-image` when an image, read as `format`, refers to another file; `bad-format` when it is not in that
 * format; `corrupt-input` when it is cut off, where its header shows that. `what` is its name in messages.
 */
export async function checkImage(
  image: ImageFile,
  format: ImageFormat,
  what: string,
  allowed: Allowed = NOTHING,
): Promise<void> {
  switch (format) {
    case 'qcow':
    case 'qcow2':
      return checkQcow(image, format, what, allowed);
    case 'qed':
      return checkQed(image, what);
    case 'vmdk':
      return checkVmdk(image, what);
    case 'vdi':
      return checkVdi(image, what);
    case 'vpc':
      return checkVpc(image, what);
    case 'vhdx':
      return requireMagic(image, 'vhdxfile', format, what);
    case 'luks':
      return requireMagic(image, 'LUKS\xba\xbe', format, what);
    // No format that could refer to anything; parallels is checked by qemu-img, which knows both of its magics.
    case 'raw':
    case 'parallels':
      return;
  }
}

/** Versions 1 to 3 have the backing file's name in one place. */
async function checkQcow(
  image: ImageFile,
  format: ImageFormat,
  what: string,
  allowed: Allowed,
): Promise<void> {
  await requireMagic(image, 'QFI\xfb', format, what);
  const header = await image.bytes(0, 104);
  const version = header.readUInt32BE(4);
  if ((version === 1) !== (format === 'qcow'))
    throw notIn(format, what, `it is of version ${version} of that family`);
  const offset = header.readBigUInt64BE(8);
  const length = header.readUInt32BE(16);
  const headerLength = version >= 3 ? header.readUInt32BE(100) : 72;
  // Bit 2 of the incompatible features: an external data file.
  if (version >= 3 && (header.readBigUInt64BE(72) & 4n) !== 0n) {
    throw refers(what, 'its data file', await extension(image, headerLength, DATA_FILE));
  }
  if (offset === 0n && length === 0) return;
  const name = await nameAt(image, Number(offset), length);
  const base = await allowedFile(name, allowed);
  const said = version >= 2 ? await extension(image, headerLength, BACKING_FORMAT) : '';
  const baseFormat = IMAGE_FORMATS.find((known) => known === said);
  // Without its format it would be probed: what a guest wrote to a raw disk could pass for another format.
  if (base === undefined || baseFormat === undefined) throw refers(what, 'its backing file', name);
  await withImage(base, (below) => checkImage(below, baseFormat, what, { ...allowed, path: base }));
}

/** The file that a name in an image stands for, where it is one of those allowed. */
async function allowedFile(name: string, { path, files }: Allowed): Promise<string | undefined> {
  if (files.length === 0) return undefined;
  try {
    const named = await realpath(resolve(await realpath(dirname(path)), name));
    for (const file of files) if ((await realpath(file)) === named) return named;
    return undefined;
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
    throw ioError(error, 'cannot look at', name);
  }
}

/** Types of header extensions. */
const DATA_FILE = 0x44415441;
const BACKING_FORMAT = 0xe2792aca;

/** The text of a header extension; empty when there is none. */
async function extension(image: ImageFile, headerLength: number, wanted: number): Promise<string> {
  let at = headerLength;
  // There are a handful of extensions in the first cluster.
  for (let n = 0; n < 32; n++) {
    const head = await image.bytes(at, 8);
    const type = head.readUInt32BE(0);
    const length = head.readUInt32BE(4);
    if (type === wanted) return nameAt(image, at + 8, length);
    if (type === 0) break;
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return '';
}

async function checkQed(image: ImageFile, what: string): Promise<void> {
  await requireMagic(image, 'QED\0', 'qed', what);
  const header = await image.bytes(0, 64);
  // Bit 0 of the features: a backing file.
  const flagged = (header.readBigUInt64LE(16) & 1n) !== 0n;
  const length = header.readUInt32LE(60);
  if (flagged || length !== 0)
    throw refers(what, 'its backing file', await nameAt(image, header.readUInt32LE(56), length));
}

/** A descriptor, on its own or embedded, says where the content is and whether there is a parent. */
async function checkVmdk(image: ImageFile, what: string): Promise<void> {
  const head = await image.bytes(0, 1024);
  const magic = head.toString('latin1', 0, 4);
  if (isVmdkDescriptor(head)) {
    const text = (await image.bytes(0, Math.min(image.size, MAX_TEXT))).toString('latin1');
    throw refers(what, 'its extents', /^\s*(?:RW|RDONLY)\s+\d+\s+\w+\s+"([^"]*)"/m.exec(text)?.[1] ?? '');
  }
  if (magic !== 'KDMV' && magic !== 'COWD') throw notIn('vmdk', what, 'its header is another');
  // Wherever the header says that the descriptor is, qemu-img looks for a parent's name here.
  await checkVmdkParent(image, 512, 20 * 512, what);
  if (magic === 'COWD') return;
  // Without a capacity of its own, the embedded descriptor is read as if it stood alone.
  if (head.readBigUInt64LE(12) === 0n) throw refers(what, 'its extents', '');
  const offset = Number(head.readBigUInt64LE(28)) * 512;
  const length = Math.min(Number(head.readBigUInt64LE(36)) * 512, MAX_TEXT);
  if (offset > 0 && Number.isSafeInteger(offset)) await checkVmdkParent(image, offset, length, what);
}

async function checkVmdkParent(
  image: ImageFile,
  offset: number,
  length: number,
  what: string,
): Promise<void> {
  const text = (await image.bytes(offset, length)).toString('latin1');
  const name = /parentFileNameHint\s*=?\s*"?([^"\n]*)/i.exec(text)?.[1];
  if (name !== undefined) throw refers(what, 'its parent', name);
}

/** 1: dynamic, 2: static; others (3: undo, 4: differencing) need a parent. */
async function checkVdi(image: ImageFile, what: string): Promise<void> {
  const header = await image.bytes(0, 0x188);
  if (header.readUInt32LE(0x40) !== 0xbeda107f) throw notIn('vdi', what, 'its header is another');
  const type = header.readUInt32LE(0x4c);
  if (type !== 1 && type !== 2) throw refers(what, 'its parent', '');
  // qemu-img takes what is missing for zeros. The last block need not be whole.
  const [data, block, allocated] = [
    header.readUInt32LE(0x158),
    header.readUInt32LE(0x178),
    header.readUInt32LE(0x184),
  ];
  if (image.size < data + block * (allocated - 1)) {
    throw new ResError(
      'corrupt-input',
      `${what} is cut off: parts of the disk lie beyond the end of the file`,
      {
        hint: 'The image is incomplete. Get it again; `verify` with its published checksum finds this earlier.',
      },
    );
  }
}

/** 2: fixed, 3: dynamic, 4: differencing. */
async function checkVpc(image: ImageFile, what: string): Promise<void> {
  for (const offset of [0, Math.max(0, image.size - 512)]) {
    const footer = await image.bytes(offset, 512);
    if (footer.toString('latin1', 0, 8) !== 'conectix') continue;
    if (footer.readUInt32BE(60) === 4) throw refers(what, 'its parent', '');
    return;
  }
  throw notIn('vpc', what, 'it has neither a header nor a footer of that format');
}

async function requireMagic(
  image: ImageFile,
  magic: string,
  format: ImageFormat,
  what: string,
): Promise<void> {
  const head = await image.bytes(0, magic.length);
  if (head.toString('latin1') !== magic) throw notIn(format, what, 'its header is another');
}

async function nameAt(image: ImageFile, offset: number, length: number): Promise<string> {
  if (!Number.isSafeInteger(offset)) return '';
  return (await image.bytes(offset, Math.min(length, MAX_NAME))).toString('utf8').replace(/\0.*$/s, '');
}

function notIn(format: ImageFormat, what: string, why: string): ResError {
  return new ResError('bad-format', `${what} is no ${format} image: ${why}`, {
    hint: 'Leave `from` out, and the format is told by the content.',
  });
}

function refers(what: string, as: string, name: string): ResError {
  const other = name === '' ? 'another file' : `the file ${JSON.stringify(name)}`;
  return new ResError(
    'unsafe-image',
    `${what} is not whole: qemu-img would read ${other} of this machine as ${as}`,
    {
      hint: 'Have an image made that stands alone (`qemu-img convert` without a backing or data file, `qemu-img rebase -b ""`), or, if its content is raw, say `from: raw`.',
    },
  );
}
