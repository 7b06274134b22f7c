// `res bundle FILE NODE...`: what another machine needs to have the nodes without a network.
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { bundle } from '../../execute/bundle.js';
import { ResError } from '../../model/error.js';
import { count, formatBytes } from '../../report/format.js';
import type { Context } from '../context.js';
import { openContextWorkspace, select } from '../load.js';
import { sayWaiting } from '../waiting.js';

export async function run(context: Context, [file = '', ...names]: readonly string[]): Promise<number> {
  const { flags, out, err } = context;
  if (names.length === 0) {
    throw new ResError('usage', 'res bundle needs the names of nodes', {
      hint: '`res list` shows what there is.',
    });
  }
  const workspace = await openContextWorkspace(context);
  const path = resolve(context.cwd, file);
  const report = await bundle(workspace, select(workspace.graph, names), path, {
    flags: paramFlags(context),
    signal: context.interruptible(),
    onWait: sayWaiting(context),
  });
  if (flags.quiet) return 0;
  const { size } = statSync(path);
  const content = `${count(report.objects, 'object')}, ${count(report.files, 'file')}, ${formatBytes(report.contentBytes)}`;
  out.prose(`${out.page.path(path)}: ${content} in ${formatBytes(size)}`);
  for (const node of report.incomplete)
    err.prose(
      `${node} cannot be made again from it, should a program there have another version: what it is made of is not here`,
    );
  return 0;
}

function paramFlags({ set, matrix = {}, env }: Context): readonly string[] {
  const given = Object.entries(set).map(([name, value]) => `--set=${name}=${value}`);
  const several = Object.entries(matrix).map(([name, values]) => `--matrix=${name}=${values.join(',')}`);
  const own = Object.entries(env).flatMap(([name, value]) =>
    name.startsWith('RES_PARAM_') && value !== undefined ? [`${name}=${value}`] : [],
  );
  return [...own, ...given, ...several];
}
