// `--open`: a page is given to the program that the desktop opens things with.
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runFolder } from '../rig/places.js';
import { makeWorkspace, removeWorkspaces, type Workspace } from '../rig/workspace.js';
import { res } from './in-process.js';

let work: Workspace;
let programs: string;
beforeAll(() => {
  work = makeWorkspace({
    'resources.yaml': 'res: 1\nartifacts:\n  a: { path: a.txt }\n',
    'a.txt': 'a\n',
  });
  programs = mkdtempSync(join(runFolder(), 'opener-'));
});
afterAll(() => {
  removeWorkspaces();
  rmSync(programs, { recursive: true });
});

/** In place of the desktop's own. */
function opener(lines: string): Record<string, string> {
  const path = join(programs, process.platform === 'darwin' ? 'open' : 'xdg-open');
  writeFileSync(path, `#!/bin/sh\n${lines}\n`);
  chmodSync(path, 0o755);
  return { PATH: `${programs}:/usr/bin:/bin` };
}

describe.skipIf(process.platform === 'win32')('res graph --open', () => {
  it('gives the page to the desktop, and leaves it there', async () => {
    const note = join(programs, 'note');
    const env = opener(`echo "$1" > ${note}`);
    const { status, stdout, stderr } = await res(['graph', '--open'], { cwd: work.dir, env });
    expect(stderr).toBe('shown: .res/cache/graph.html\n');
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
    const shown = readFileSync(note, 'utf8').trim();
    expect(readFileSync(shown, 'utf8')).toMatch(/^<!doctype html>/);
  });

  it('shows a picture where that is asked for', async () => {
    const { stderr } = await res(['graph', '--open', '--format', 'svg'], {
      cwd: work.dir,
      env: opener('exit 0'),
    });
    expect(stderr).toBe('shown: .res/cache/graph.svg\n');
    expect(existsSync(work.path('.res/cache/graph.svg'))).toBe(true);
  });

  it('says what to do where nothing opens it', async () => {
    const none = await res(['graph', '--open'], { cwd: work.dir, env: { PATH: '/nowhere' } });
    expect(none.status).toBe(1);
    expect(none.stderr).toMatch(
      /^error: (xdg-)?open is not there, so nothing can be opened from here\n {2}hint: Open it yourself: .*graph\.html\n$/,
    );
    const failing = await res(['graph', '--open'], { cwd: work.dir, env: opener('exit 4') });
    expect(failing.status).toBe(1);
    expect(failing.stderr).toMatch(/could not open it \(exit status 4\)\n {2}hint: Open it yourself: /);
  });

  it('does not go with what is no picture', async () => {
    const { status, stderr } = await res(['graph', '--open', '--format', 'dot'], { cwd: work.dir });
    expect(status).toBe(2);
    expect(stderr).toContain('--open shows pictures, and dot is none');
  });
});
