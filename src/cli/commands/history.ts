// `res history`: the builds that were, the newest first.
import { readHistory } from '../../library/records.js';
import { historyJson, historyText } from '../../report/history.js';
import { workspacePaths } from '../../store/paths.js';
import type { Context } from '../context.js';
import { loadContextGraph } from '../load.js';

const DEFAULT_NUMBER = 20;

export async function run(context: Context): Promise<number> {
  const { flags, out, err, env } = context;
  const { manifest } = await loadContextGraph(context);
  const { builds, unreadable, older } = await readHistory(
    workspacePaths(manifest.dir, env).builds,
    flags.number ?? DEFAULT_NUMBER,
  );
  if (unreadable.length > 0)
    err.prose(
      `${err.page.paint('yellow', 'warning:')} left out, as damaged or of another version of res: ${unreadable.join(', ')}`,
    );
  if (flags.json) out.json(historyJson(builds));
  else out.lines(historyText(builds, older, out.page));
  return 0;
}
