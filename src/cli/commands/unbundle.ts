// `res unbundle FILE [DIR]`: a bundle taken apart in a folder, where `res build --offline` then finds everything.
import { resolve } from 'node:path';
import { unbundle } from '../../execute/unbundle.js';
import { quoteSh } from '../../report/command-line.js';
import { count } from '../../report/format.js';
import type { Context } from '../context.js';
import { sayWaiting } from '../waiting.js';

export async function run(context: Context, [file = '', folder = '.']: readonly string[]): Promise<number> {
  const { flags, out } = context;
  const report = await unbundle(resolve(context.cwd, file), resolve(context.dir, folder), {
    env: context.env,
    signal: context.interruptible(),
    onWait: sayWaiting(context),
  });
  if (flags.quiet) return 0;
  const shown = out.page.path(report.dir);
  const variables = report.flags.filter((flag) => !flag.startsWith('--'));
  const words = [
    ...variables.map((variable) => variable.replace(/=(.*)/s, (_, value) => `=${quoteSh(value)}`)),
    'res',
    ...(shown === '.' ? [] : ['-C', quoteSh(shown)]),
    'build',
    '--offline',
    ...report.flags.filter((flag) => flag.startsWith('--')).map(quoteSh),
    ...report.nodes.map(quoteSh),
  ];
  out.prose(
    `${count(report.files, 'file')} in ${shown}, ${count(report.objects, 'object')} in the store, all as their digests say`,
  );
  out.lines(['', 'next:', `  ${words.join(' ')}`]);
  return 0;
}
