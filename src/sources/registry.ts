// Every kind of artifact, by its key in the manifest.
import { gitSource } from './git.js';
import { githubSource } from './github.js';
import { partsSource } from './parts.js';
import { pathSource } from './path.js';
import type { Source } from './source.js';
import { urlSource } from './url.js';

export const sources: ReadonlyMap<string, Source> = new Map(
  [urlSource, partsSource, githubSource, pathSource, gitSource].map((source) => [source.name, source]),
);
