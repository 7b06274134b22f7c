// decompress: gzip, xz, zstd or bzip2, by what the content is.
import type { JsonObject } from '../model/json.js';
import { COMPRESSIONS, type Compression, decompress as decompressed } from './compression.js';
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
};

function formatOf(recipe: JsonObject): Compression | undefined {
  return word(recipe, 'format', COMPRESSIONS);
}
