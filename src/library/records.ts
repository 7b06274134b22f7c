// Builds that were, by the records that they left: for `history` and `report` of the library and of the command line.
import type { BuildRecord } from '../model/build-record.js';
import { ResError } from '../model/error.js';
import { buildIds, lastBuild, readBuild } from '../store/build-records.js';

export interface History {
  /** The newest first. */
  readonly builds: readonly BuildRecord[];
  /** Ids of records that are damaged, or of another version of res. */
  readonly unreadable: readonly string[];
  /** Older builds that left a record and are not in it. */
  readonly older: number;
}

/** @param folder of the records @param most how many builds */
export async function readHistory(folder: string, most: number): Promise<History> {
  const ids = await buildIds(folder);
  const wanted = ids.slice(0, most);
  const records = await Promise.all(wanted.map((id) => readBuild(folder, id)));
  return {
    builds: records.filter((record) => record !== undefined),
    unreadable: wanted.filter((_, i) => records[i] === undefined),
    older: ids.length - wanted.length,
  };
}

/**
 * By its id, or as much of it as no other build has; the newest by default.
 * Rejects with ResError `file-not-found`, `usage`, `state-damaged`.
 * @param folder of the records
 */
export async function findBuild(folder: string, wanted: string | undefined): Promise<BuildRecord> {
  const hint =
    '`res history` lists the builds that left a record; `res build` makes one when it does something.';
  if (wanted === undefined) {
    const last = await lastBuild(folder);
    if (last) return last;
    throw new ResError('file-not-found', 'no build has left a record here', { hint });
  }
  const ids = (await buildIds(folder)).filter((id) => id.startsWith(wanted));
  const [id, ...others] = ids;
  if (id === undefined) throw new ResError('usage', `there is no record of a build ${wanted}`, { hint });
  if (others.length > 0 && id !== wanted)
    throw new ResError('usage', `${ids.length} builds begin with ${wanted}`, {
      hint: `One of ${ids.slice(0, 5).join(', ')}${ids.length > 5 ? ', …' : ''}`,
    });
  const record = await readBuild(folder, id);
  if (record) return record;
  throw new ResError(
    'state-damaged',
    `the record of the build ${id} is damaged, or of another version of res`,
    { hint },
  );
}
