// What decides an answer beside the files and the environment: the words, where they are said, to whom, by which program.
import { join } from 'node:path';
import { findManifest } from '../../manifest/find.js';
import { crcHex } from '../../model/crc.js';
import { type CachePlace, cachePlace } from '../cache-folder.js';
import type { Host } from '../host.js';
import { scan } from '../scan.js';

export interface Question {
  readonly text: string;
  /** Absolute: the file that an answer to it is kept in. */
  readonly file: string;
  readonly place: CachePlace;
}

/** Undefined where there is no manifest, or where nothing is kept between runs. */
export function questionOf(argv: readonly string[], host: Host): Question | undefined {
  if (host.build === undefined) return undefined;
  const { dir, file } = scan(argv, host.cwd);
  const manifest = file ?? findManifest(dir);
  if (manifest === undefined) return undefined;
  const text = JSON.stringify([
    host.build,
    process.version,
    argv,
    host.cwd,
    manifest,
    [host.stdout, host.stderr].map((stream) => (stream.isTTY ? [stream.columns ?? null] : null)),
    // Who may look at what.
    [process.geteuid?.() ?? null, process.getegid?.() ?? null, process.getgroups?.() ?? null],
  ]);
  const place = cachePlace(manifest);
  const name = crcHex(text);
  return { text, file: join(place.folder, `${PREFIX}${name}`), place };
}

/** Of the names of files with answers. */
export const PREFIX = 'answer-';
