// copy: the same content under another name or mode.
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
  estimate: (_recipe, inputBytes) => inputBytes,
};
