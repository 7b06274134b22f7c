// copy: the same content under another name or mode; or one file out of a directory, with its own mode.
import type { JsonObject } from '../model/json.js';
import { joined, NO_GLIMPSE } from './glimpse.js';
import type { Kind, KindContext } from './kind.js';
import { single, text } from './recipe.js';

export const copy: Kind = {
  name: 'copy',
  references: (recipe) => single(recipe, 'copy'),
  moves: (recipe) => memberOf(recipe) === undefined,
  keyed(recipe) {
    const member = memberOf(recipe);
    return member === undefined ? {} : { member };
  },
  tools: () => [],
  pool: 'disk',
  making: {
    by: 'recipe',
    choose(recipe) {
      const member = memberOf(recipe);
      return member === undefined
        ? { by: 'sharing' }
        : { by: 'streaming', open: (_recipe, context) => fileOf(member, context) };
    },
  },
  imageFormat: (recipe, input) => (memberOf(recipe) === undefined ? input : undefined),
  glimpse: async (recipe, inputs) => (memberOf(recipe) === undefined ? joined(inputs) : NO_GLIMPSE),
};

function memberOf(recipe: JsonObject): string | undefined {
  return text(recipe, 'member');
}

// Loaded when it is needed: a build with nothing to do starts without it.
async function* fileOf(member: string, context: KindContext): AsyncGenerator<Uint8Array> {
  const { fileInDirectory } = await import('./directory-member.js');
  yield* fileInDirectory(context, member);
}
