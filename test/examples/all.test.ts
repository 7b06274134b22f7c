// Every example has a manifest that loads and a page that says what it is about; what it makes is for tests of their own.
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runRes } from '../rig/cli.js';
import { REPO_ROOT } from '../rig/places.js';
import { makeWorkspace, type Workspace } from '../rig/workspace.js';

const EXAMPLES = join(REPO_ROOT, 'examples');
const NAMES = readdirSync(EXAMPLES);

let work: Workspace;
beforeAll(() => {
  work = makeWorkspace();
  const isMade = (path: string) => /\/(\.res|resources)$/.test(path);
  cpSync(EXAMPLES, work.dir, { recursive: true, filter: (path) => !isMade(path) });
});
afterAll(() => work.remove());

describe.each(NAMES)('the example %s', (name) => {
  it('has a manifest without errors', async () => {
    const { status, stdout, stderr } = await runRes(['list'], { cwd: work.path(name) });
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(/\(default\)/);
  });

  it('is told of by the README, and by its own, whose links lead somewhere', () => {
    expect(readFileSync(join(REPO_ROOT, 'README.md'), 'utf8')).toContain(`(examples/${name}/README.md)`);
    const page = readFileSync(join(EXAMPLES, name, 'README.md'), 'utf8');
    for (const [, link = ''] of page.matchAll(/\]\((?!https?:)([^)#]+)/g))
      expect(existsSync(join(EXAMPLES, name, link)), link).toBe(true);
  });
});
