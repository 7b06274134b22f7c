// `res history`: the builds that were, the newest first.
import { historyJson, historyText } from '../../report/history.js';
import { buildIds, readBuild } from '../../store/build-records.js';
import { workspacePaths } from '../../store/paths.js';
import type { Context } from '../context.js';
import { loadContextGraph } from '../load.js';

const DEFAULT_NUMBER = 20;

export async function run(context: Context): Promise<number> {
  const { flags, out, err, env } = context;
  const { manifest } = await loadContextGraph(context);
  const { builds } = workspacePaths(manifest.dir, env);
  const ids = await buildIds(builds);
  const wanted = ids.slice(0, flags.number ?? DEFAULT_NUMBER);
  const records = await Promise.all(wanted.map((id) => readBuild(builds, id)));
  const unreadable = wanted.filter((_, i) => records[i] === undefined);
  if (unreadable.length > 0)
    err.prose(
      `${err.page.paint('yellow', 'warning:')} left out, as damaged or of another version of res: ${unreadable.join(', ')}`,
    );
  const read = records.filter((record) => record !== undefined);
  if (flags.json) out.json(historyJson(read));
  else out.lines(historyText(read, ids.length - wanted.length, out.page));
  return 0;
}
