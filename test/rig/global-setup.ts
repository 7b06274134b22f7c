// Before the first test: the program is compiled when its sources changed, and there is a folder for all that the
// tests make, which goes with the run. A build that fails fails the tests that run the program (cli.ts), not those of
// a module.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BUILD_FAILURE, REPO_ROOT, RIG, RUN_FOLDER } from './places.js';

export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'res-rig-'));
  process.env[RUN_FOLDER] = folder;
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(RIG, 'compile.mjs')], {
    cwd: REPO_ROOT,
    encoding: 'utf8',
  });
  if (status !== 0) process.env[BUILD_FAILURE] = `${stdout}${stderr}`.trim();
  return () => rmSync(folder, { recursive: true, force: true });
}
