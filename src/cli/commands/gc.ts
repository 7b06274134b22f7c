// `res gc`: the store made smaller. What its flags leave open the user's configuration may say.
import { gc } from '../../execute/gc.js';
import { gcJson, gcText } from '../../report/gc.js';
import { readUserConfig } from '../../store/user-config.js';
import type { Context } from '../context.js';
import { openContextWorkspace } from '../load.js';
import { sayWaiting } from '../waiting.js';

export async function run(context: Context): Promise<number> {
  const { flags, env, out } = context;
  const workspace = await openContextWorkspace(context);
  const { gc: limits = {} } = readUserConfig(env);
  const report = await gc(workspace, {
    ...limits,
    ...(flags.keepDays === undefined ? {} : { keepDays: flags.keepDays }),
    ...(flags.maxSize === undefined ? {} : { maxSize: flags.maxSize }),
    dryRun: flags.dryRun,
    signal: context.interruptible(),
    onWait: sayWaiting(context),
  });
  if (flags.json) out.json(gcJson(report));
  else if (!flags.quiet) out.lines(gcText(report, out.page, flags));
  return 0;
}
