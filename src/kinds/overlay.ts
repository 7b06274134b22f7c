// overlay: a qcow2 image that holds only what differs from the one that it stands on. It names that one by the way from its own
// place to it, so that a workspace can be moved as a whole; and it is made to be written to, which nothing here undoes.
import { dirname, relative } from 'node:path';
import type { JsonObject } from '../model/json.js';
import { type DiskSize, diskSizeOf, keyedSize, virtualSize, wantedSize } from './disk-size.js';
import { type Glimpse, type InputGlimpse, NO_GLIMPSE } from './glimpse.js';
import { IMAGE_FORMATS, type ImageFormat } from './image-format.js';
import { imageInput } from './image-input.js';
import type { Kind, KindContext, Places } from './kind.js';
import { single, word } from './recipe.js';

/** Bytes of one that nothing was written to yet, about. */
const EMPTY_BYTES = 200 * 1024;

interface Overlay {
  readonly from: ImageFormat | undefined;
  readonly size: DiskSize | undefined;
}

export const overlay: Kind = {
  name: 'overlay',
  references: (recipe) => single(recipe, 'overlay'),
  check: (recipe) => void parse(recipe),
  keyed(recipe) {
    const { from, size } = parse(recipe);
    return { ...(from === undefined ? {} : { from }), ...keyedSize(size) };
  },
  leans: (places) => ({ backing: wayToBase(places) }),
  tools: () => ['qemu-img'],
  pool: 'disk',
  making: { by: 'writing', write: (recipe, context) => write(parse(recipe), context) },
  imageFormat: () => 'qcow2',
  glimpse: async (_recipe, inputs) => glimpse(inputs),
};

function parse(recipe: JsonObject): Overlay {
  return { from: word(recipe, 'from', IMAGE_FORMATS), size: diskSizeOf(recipe) };
}

/** As qemu reads it: from the folder of the overlay. What stands before a colon would be a protocol. */
function wayToBase({ out, inputs: [base = ''] }: Places): string {
  const way = relative(dirname(out), base);
  return way.includes(':') && !way.startsWith('.') ? `./${way}` : way;
}

async function write(recipe: Overlay, context: KindContext): Promise<void> {
  const { places } = context;
  if (!places) throw new Error('an overlay was made without its place');
  const { path, format, what } = await imageInput(context, 'overlay', recipe.from);
  const current = await virtualSize(path, format, context);
  const size = recipe.size === undefined ? current : wantedSize(recipe.size, current, what);
  // Unchecked (-u): from where it is written, the way leads nowhere.
  const backing = ['-b', wayToBase(places), '-F', format];
  const argv = ['create', '-q', '-u', '-f', 'qcow2', ...backing, context.out, String(size)];
  await context.exec(['qemu-img', ...argv]);
}

function glimpse([input]: readonly InputGlimpse[]): Glimpse {
  return {
    ...NO_GLIMPSE,
    size: EMPTY_BYTES,
    diskBytes: EMPTY_BYTES,
    ...(input?.image ? { image: input.image } : {}),
  };
}
