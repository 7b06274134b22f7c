// decompress: gzip, xz, zstd or bzip2, by what the content is.
import type { JsonObject } from '../model/json.js';
import {
  COMPRESSIONS,
  type Compression,
  decompress as decompressed,
  MAGIC_LENGTH,
  recognise,
} from './compression.js';
import { type Glimpse, type InputGlimpse, NO_GLIMPSE, unpackedDiskBytes } from './glimpse.js';
import { bytesOf, inputOf, nameOf } from './input.js';
import type { Kind } from './kind.js';
import { single, word } from './recipe.js';

export const decompress: Kind = {
  name: 'decompress',
  references: (recipe) => single(recipe, 'decompress'),
  keyed(recipe) {
    const format = formatOf(recipe);
    return format === undefined ? {} : { format };
  },
  tools: () => [],
  pool: 'cpu',
  making: {
    by: 'streaming',
    open: (recipe, context) =>
      decompressed(bytesOf(context), nameOf(inputOf(context)), context, formatOf(recipe)),
  },
  glimpse: (_recipe, inputs) => glimpse(inputs),
};

function formatOf(recipe: JsonObject): Compression | undefined {
  return word(recipe, 'format', COMPRESSIONS);
}

// What reads compressed data is loaded when it is needed: a build with nothing to do starts without it.
async function glimpse([input]: readonly InputGlimpse[]): Promise<Glimpse> {
  const head = await input?.head();
  const format = head && recognise(head.subarray(0, MAGIC_LENGTH));
  if (!input || !head || !format) return NO_GLIMPSE;
  const { unpackedHead, unpackedSize } = await import('./unpacked.js');
  const noted = format === 'gzip' || format === 'xz' ? await input.tail() : undefined;
  const size = unpackedSize(format, input.size, head, noted);
  const start = await unpackedHead(head, format);
  return {
    ...NO_GLIMPSE,
    size,
    diskBytes: unpackedDiskBytes(size, input.size),
    head: async () => start,
  };
}
