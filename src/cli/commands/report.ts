// `res report`: the page about a build, from the record that it left.
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { BuildRecord } from '../../model/build-record.js';
import { ResError } from '../../model/error.js';
import { isOwnPage } from '../../report/page.js';
import { buildIds, lastBuild, readBuild } from '../../store/build-records.js';
import { errorCode, ioError } from '../../store/files.js';
import { workspacePaths } from '../../store/paths.js';
import { cachePlace } from '../cache-folder.js';
import type { Context } from '../context.js';
import { loadContextGraph } from '../load.js';
import { showFile } from '../open-file.js';

export async function run(context: Context, [wanted]: readonly string[]): Promise<number> {
  const { flags, out, err, env, cwd } = context;
  const { manifest } = await loadContextGraph(context);
  const record = await findBuild(workspacePaths(manifest.dir, env).builds, wanted);
  if (flags.json) {
    out.json(record);
    return 0;
  }
  if (out.isTerminal && flags.out === undefined && !flags.open)
    throw new ResError('usage', 'a report is a page for a browser, and no text for a terminal', {
      hint: '`res report --open` shows it, `res report -o report.html` writes it into a file.',
    });
  const { buildReport } = await import('../../report/build-report.js');
  const page = await buildReport(record);
  if (flags.out !== undefined) {
    const path = resolve(cwd, flags.out);
    await writePage(path, page);
    if (flags.open) await showFile(context, path);
    else if (!flags.quiet) err.prose(`wrote ${err.page.path(path)}`);
  } else if (flags.open) {
    await showFile(context, join(cachePlace(manifest.file).folder, 'report.html'), page);
  } else out.lines([page.trimEnd()]);
  return 0;
}

/** By its id, or as much of it as no other build has; the newest by default. */
async function findBuild(folder: string, wanted: string | undefined): Promise<BuildRecord> {
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

/** A page that res wrote there before is replaced; any other file is the user's. */
async function writePage(path: string, page: string): Promise<void> {
  const before = await readFile(path, 'utf8').catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw ioError(error, 'cannot read', path);
  });
  if (before !== undefined && !isOwnPage(before))
    throw new ResError('output-foreign', `${path} is there, and is no report of res`, {
      hint: 'Remove it, or give another name.',
    });
  await writeFile(path, page).catch((error: unknown) => {
    throw ioError(error, 'cannot write', path);
  });
}
