// merge: concatenation, in order: the parts of a release become one file again.
import { joined } from './glimpse.js';
import type { Kind, KindContext } from './kind.js';
import { several } from './recipe.js';

export const merge: Kind = {
  name: 'merge',
  references: (recipe) => several(recipe, 'merge'),
  keyed: () => ({}),
  tools: () => [],
  pool: 'disk',
  making: { by: 'streaming', open: (_recipe, context) => concatenate(context) },
  glimpse: async (_recipe, inputs) => joined(inputs),
};

async function* concatenate(context: KindContext): AsyncGenerator<Uint8Array> {
  for (const input of context.inputs) {
    for await (const piece of input.stream()) {
      context.signal.throwIfAborted();
      yield piece;
    }
  }
}
