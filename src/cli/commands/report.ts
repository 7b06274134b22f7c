// `res report`: the page about a build, from the record that it left.
import { join, resolve } from 'node:path';
import { writePage } from '../../library/page-file.js';
import { findBuild } from '../../library/records.js';
import { ResError } from '../../model/error.js';
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
