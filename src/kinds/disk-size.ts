// How large the disk in an image is, and how large one is wanted to be: disks are only ever made larger.
import { ResError } from '../model/error.js';
import type { Json, JsonObject } from '../model/json.js';
import type { ImageFormat } from './image-format.js';
import type { KindContext } from './kind.js';
import { bytes } from './recipe.js';

/** Bytes. */
export type DiskSize = { readonly is: number } | { readonly add: number };

/** The field `size`: `20G`, or `+4G` for that much more. Throws ResError `manifest-invalid`. */
export function diskSizeOf(recipe: JsonObject): DiskSize | undefined {
  const value = recipe.size;
  if (value === undefined) return undefined;
  if (typeof value === 'string' && value.startsWith('+')) return { add: bytes(value.slice(1), 'size') };
  return { is: bytes(value, 'size') };
}

/** As part of a key. */
export function keyedSize(size: DiskSize | undefined): { readonly size?: Json } {
  if (size === undefined) return {};
  return { size: 'is' in size ? size.is : `+${size.add}` };
}

/**
 * Bytes that a disk of `current` bytes is to have. Throws ResError `size-mismatch` when that is less.
 * @param what the image's name in messages
 */
export function wantedSize(size: DiskSize, current: number, what: string): number {
  const wanted = 'is' in size ? size.is : current + size.add;
  if (wanted >= current) return wanted;
  throw new ResError(
    'size-mismatch',
    `size: ${wanted} bytes are less than the ${current} bytes that the disk in ${what} has`,
    {
      hint: 'A disk is never made smaller: that would cut off its end. Choose a larger size, or shrink it in a step of its own.',
    },
  );
}

/** Bytes that the guest sees. */
export async function virtualSize(path: string, format: ImageFormat, context: KindContext): Promise<number> {
  let printed = '';
  await context.exec(['qemu-img', 'info', '--output=json', '-f', format, path], {
    onStdout: (text) => {
      printed += text;
    },
  });
  const info: unknown = JSON.parse(printed);
  const size =
    typeof info === 'object' && info !== null && 'virtual-size' in info ? info['virtual-size'] : undefined;
  if (typeof size !== 'number') throw new Error('qemu-img info gave no virtual size');
  return size;
}
