// All kinds of targets, by their key in the manifest.
import { convert } from './convert.js';
import { copy } from './copy.js';
import { decompress } from './decompress.js';
import { extract } from './extract.js';
import { group } from './group.js';
import type { Kind } from './kind.js';
import { merge } from './merge.js';
import { run } from './run.js';

export const kinds: ReadonlyMap<string, Kind> = new Map(
  [merge, decompress, extract, convert, copy, group, run].map((kind) => [kind.name, kind]),
);
