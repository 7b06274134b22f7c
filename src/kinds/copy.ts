// copy: the same content under another name or mode.
import { joined } from './glimpse.js';
import type { Kind } from './kind.js';
import { single } from './recipe.js';

export const copy: Kind = {
  name: 'copy',
  references: (recipe) => single(recipe, 'copy'),
  keyed: () => ({}),
  tools: () => [],
  pool: 'disk',
  making: { by: 'sharing' },
  imageFormat: (_recipe, input) => input,
  glimpse: async (_recipe, inputs) => joined(inputs),
};
