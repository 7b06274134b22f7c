// group: a name for several nodes; nothing is made.
import type { Kind } from './kind.js';
import { several } from './recipe.js';

export const group: Kind = {
  name: 'group',
  references: (recipe) => several(recipe, 'group'),
  keyed: () => ({}),
  tools: () => [],
  pool: 'cpu',
  making: { by: 'naming' },
};
