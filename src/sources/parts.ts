// `parts: [{ url, sha256? }…]`: many files at explicit addresses, in the order of the manifest.
import { createHash } from 'node:crypto';
import type { JsonObject } from '../model/json.js';
import { absoluteUrl } from './local-file.js';
import { fileNameOf, listOf, objectOf, pinOf, urlOf } from './recipe.js';
import { redactUrl } from './redact.js';
import type { Pin, Source } from './source.js';

interface Part {
  readonly url: string;
  readonly pin: Pin;
}

function partsOf(recipe: JsonObject): readonly [Part, ...Part[]] {
  const part = (value: JsonObject): Part => ({ url: urlOf(value.url, 'parts.url'), pin: pinOf(value) });
  const [first, ...rest] = listOf(recipe.parts, 'parts').map((value) => part(objectOf(value, 'parts')));
  if (first === undefined) throw new Error('listOf gives at least one');
  return [first, ...rest];
}

export const partsSource: Source = {
  name: 'parts',
  place: 'remote',
  many: () => true,
  references: () => [],
  check: (recipe) => void partsOf(recipe),
  /** Of the first URL, for the reader, and of all of them, for the difference. */
  identity(recipe) {
    const urls = partsOf(recipe).map(({ url }) => redactUrl(url));
    const hash = createHash('sha256').update(urls.join('\n')).digest('hex').slice(0, 12);
    return `parts:${urls[0]}#${urls.length}-${hash}`;
  },
  async resolve(recipe) {
    return {
      files: partsOf(recipe).map(({ url, pin }) => ({ name: fileNameOf(url), url: redactUrl(url), ...pin })),
    };
  },
  async locate(recipe, _entry, { dir }) {
    return partsOf(recipe).map(({ url }) => ({ urls: [absoluteUrl(url, dir)] }));
  },
  pins(recipe) {
    const pins = partsOf(recipe).map(({ pin }) => pin);
    return pins.some((pin) => pin.sha256 !== undefined || pin.size !== undefined) ? pins : undefined;
  },
};
