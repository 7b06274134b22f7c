// `url: URL` or `url: [URL, MIRROR…]`: one file at an address, with optional pins.
import type { JsonObject } from '../model/json.js';
import { absoluteUrl } from './local-file.js';
import { fileNameOf, listOf, pinOf, urlOf } from './recipe.js';
import { redactUrl } from './redact.js';
import type { Source } from './source.js';

function urlsOf(recipe: JsonObject): readonly [string, ...string[]] {
  const [first, ...mirrors] = listOf(recipe.url, 'url');
  return [urlOf(first, 'url'), ...mirrors.map((mirror) => urlOf(mirror, 'url'))];
}

export const urlSource: Source = {
  name: 'url',
  place: 'remote',
  references: () => [],
  check: (recipe) => void urlsOf(recipe),
  identity: (recipe) => `url:${redactUrl(urlsOf(recipe)[0])}`,
  async resolve(recipe) {
    const [url] = urlsOf(recipe);
    return { files: [{ name: fileNameOf(url), url: redactUrl(url), ...pinOf(recipe) }] };
  },
  async locate(recipe, _entry, { dir }) {
    return [{ urls: urlsOf(recipe).map((url) => absoluteUrl(url, dir)) }];
  },
  pins(recipe) {
    const pin = pinOf(recipe);
    return pin.sha256 === undefined && pin.size === undefined ? undefined : [pin];
  },
};
