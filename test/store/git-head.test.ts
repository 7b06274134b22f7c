// The commit of a folder, against git itself.
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gitHead } from '../../src/store/git-head.js';
import { has } from '../rig/tools.js';
import { makeWorkspace, removeWorkspaces } from '../rig/workspace.js';

afterAll(removeWorkspaces);

describe.skipIf(!has('git'))('the commit that is checked out', () => {
  let dir: string;
  const git = (cwd: string, ...args: readonly string[]) =>
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@example.org', ...args], {
      cwd,
      encoding: 'utf8',
    }).trim();
  beforeAll(() => {
    dir = makeWorkspace({ 'deep/file': 'x' }).dir;
    git(dir, 'init', '-q', '-b', 'main');
    git(dir, 'add', '.');
    git(dir, 'commit', '-qm', 'first');
  });

  it('is found from a folder below, on a branch, packed, and detached', async () => {
    const commit = git(dir, 'rev-parse', 'HEAD');
    expect(commit).toMatch(/^[0-9a-f]{40}$/);
    expect(await gitHead(join(dir, 'deep'))).toBe(commit);
    git(dir, 'pack-refs', '--all');
    expect(await gitHead(dir)).toBe(commit);
    git(dir, 'checkout', '-q', '--detach');
    expect(await gitHead(dir)).toBe(commit);
    git(dir, 'checkout', '-q', 'main');
  });

  it('is found in a linked worktree, which is on another one', async () => {
    const linked = join(makeWorkspace().dir, 'linked');
    git(dir, 'worktree', 'add', '-q', '-b', 'other', linked);
    git(linked, 'commit', '-q', '--allow-empty', '-m', 'second');
    expect(await gitHead(linked)).toBe(git(linked, 'rev-parse', 'HEAD'));
    expect(await gitHead(linked)).not.toBe(await gitHead(dir));
    git(dir, 'pack-refs', '--all');
    expect(await gitHead(linked)).toBe(git(linked, 'rev-parse', 'HEAD'));
  });

  it('is not known where there is none', async () => {
    const { dir: empty } = makeWorkspace();
    git(empty, 'init', '-q');
    expect(await gitHead(empty)).toBeNull();
    const { dir: odd, write } = makeWorkspace();
    write('.git', 'not a link\n');
    expect(await gitHead(odd)).toBeNull();
    mkdirSync(join(empty, 'below'));
    expect(await gitHead(join(empty, 'below'))).toBeNull();
  });
});
