// All kinds of targets, by their key in the manifest.
import { convert } from './convert.js';
import { copy } from './copy.js';
import { decompress } from './decompress.js';
import { extract } from './extract.js';
import { group } from './group.js';
import type { Kind } from './kind.js';
import { merge } from './merge.js';
import { overlay } from './overlay.js';
import { run } from './run.js';
import { template } from './template.js';

export const kinds: ReadonlyMap<string, Kind> = new Map(
  [merge, decompress, extract, convert, overlay, copy, template, run, group].map((kind) => [kind.name, kind]),
);
