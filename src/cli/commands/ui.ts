// `res ui`: a page in the browser that shows builds while they run, and starts and stops them.
import type { Context } from '../context.js';
import { openInDesktop } from '../open-file.js';
import { serve } from '../ui/server.js';
import { Session } from '../ui/session.js';

export async function run(context: Context, names: readonly string[]): Promise<number> {
  const { flags, out, err, env } = context;
  const session = await Session.open(context, names);
  const interrupt = context.interruptible();
  const server = await serve(session, flags.port ?? 0);
  out.line(server.url);
  if (!flags.quiet) err.prose('Ctrl-C ends it; a build that is under way is stopped then.');
  try {
    if (flags.open) await openInDesktop(server.url, env);
    await new Promise<void>((resolve) => {
      if (interrupt.aborted) resolve();
      else interrupt.addEventListener('abort', () => resolve(), { once: true });
    });
    if (session.live.building && !flags.quiet) err.line('stopping the build…');
  } finally {
    await session.stop();
    await server.close();
  }
  return 0;
}
