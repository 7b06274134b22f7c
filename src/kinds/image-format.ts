// What format a disk image is in, by own reading of its first and last bytes. qemu-img is always told (`-f`): its own probing
// follows whatever a guest wrote to the beginning of its disk.
import { type FileHandle, open } from 'node:fs/promises';
import { ioError } from '../store/files.js';

export const IMAGE_FORMATS = [
  'raw',
  'qcow2',
  'vmdk',
  'vdi',
  'vhdx',
  'vpc',
  'qcow',
  'qed',
  'luks',
  'parallels',
] as const;
export type ImageFormat = (typeof IMAGE_FORMATS)[number];

/** An image's bytes where they matter; reads beyond its end give zeros. */
export interface ImageFile {
  readonly size: number;
  bytes(offset: number, length: number): Promise<Buffer>;
}

/** Lets `use` read the file. Rejects with ResError `io`, or as `use` does. */
export async function withImage<T>(path: string, use: (image: ImageFile) => Promise<T>): Promise<T> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw ioError(error, 'cannot read', path);
  });
  try {
    const { size } = await file.stat();
    return await use({ size, bytes: (offset, length) => read(file, offset, length) });
  } finally {
    await file.close();
  }
}

async function read(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(buffer, done, length - done, offset + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return buffer;
}

/** `raw` when nothing else is recognised. */
export async function probe(image: ImageFile): Promise<ImageFormat> {
  const head = await image.bytes(0, 1024);
  const at = (offset: number, magic: string) =>
    head.toString('latin1', offset, offset + magic.length) === magic;
  if (at(0, 'QFI\xfb')) return head.readUInt32BE(4) === 1 ? 'qcow' : 'qcow2';
  if (at(0, 'QED\0')) return 'qed';
  if (at(0, 'KDMV') || at(0, 'COWD') || isVmdkDescriptor(head)) return 'vmdk';
  if (at(0, 'vhdxfile')) return 'vhdx';
  if (at(0, 'LUKS\xba\xbe')) return 'luks';
  if (at(0, 'WithoutFreeSpace') || at(0, 'WithouFreSpacExt')) return 'parallels';
  if (head.readUInt32LE(0x40) === 0xbeda107f) return 'vdi';
  if (at(0, 'conectix') || (await hasVhdFooter(image))) return 'vpc';
  return 'raw';
}

/** Comments and blank lines may come before the line that tells. */
export function isVmdkDescriptor(head: Buffer): boolean {
  return head.toString('latin1').trimStart().toLowerCase().startsWith('# disk descriptorfile');
}

/** An image of fixed size is raw content with a footer. */
async function hasVhdFooter(image: ImageFile): Promise<boolean> {
  if (image.size < 512) return false;
  return (await image.bytes(image.size - 512, 8)).toString('latin1') === 'conectix';
}
