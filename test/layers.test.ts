// The layers of src/ hold, and the check that says so can fail: each rule is shown a tree that breaks it.
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { REPO_ROOT } from './rig/places.js';

it('src/ keeps its layers', () => {
  expect(check()).toEqual([]);
});

describe('the check finds', () => {
  let src: string;
  beforeEach(async () => {
    src = await mkdtemp(join(tmpdir(), 'res-layers-'));
  });
  afterEach(async () => {
    await rm(src, { recursive: true });
  });

  it('nothing wrong with a good tree', async () => {
    await tree({
      'index.ts': "export { build } from './execute/build.js';\n",
      'cli/main.ts': "import { build } from '../execute/build.js';\nimport '../report/table.js';\n",
      'cli/commands.ts': "export const commands = { help: () => import('./help.js') };\n",
      'cli/help.ts': "import { commands } from './commands.js';\n",
      'report/table.ts': "import type { Plan } from '../plan/plan.js';\n",
      'execute/build.ts': "import {\n  type Plan,\n  plan,\n} from '../plan/plan.js';\n",
      'plan/plan.ts':
        "import { kinds } from '../kinds/registry.js';\nimport { sources } from '../sources/registry.js';\n",
      'kinds/registry.ts':
        "import type { Kind } from './kind.js';\nimport './merge.js';\nimport { copy } from './copy.js';\n",
      'kinds/kind.ts': '',
      'kinds/merge.ts': "import type { Kind } from './kind.js';\nimport { helper } from './helper.js';\n",
      'kinds/copy.ts': "import { helper } from './helper.js';\n",
      'kinds/helper.ts': "import { digest } from '../model/digest.js';\n",
      'sources/registry.ts': "import './url.js';\n",
      'sources/url.ts': "import { open } from '../store/files.js';\n",
      'store/files.ts': "import { graph } from '../graph/graph.js';\n",
      'graph/graph.ts': "import { parse } from '../manifest/parse.js';\n",
      'manifest/parse.ts':
        "import '../model/digest.js';\nimport check from './schema.generated.js';\nimport 'yaml';\n",
      'model/digest.ts': '',
    });
    expect(check(src)).toEqual([]);
  });

  it.each([
    ['model/a.ts', 'manifest/b.ts'],
    ['manifest/a.ts', 'graph/b.ts'],
    ['graph/a.ts', 'store/b.ts'],
    ['store/a.ts', 'kinds/b.ts'],
    ['store/a.ts', 'sources/b.ts'],
    ['kinds/a.ts', 'plan/b.ts'],
    ['sources/a.ts', 'plan/b.ts'],
    ['plan/a.ts', 'execute/b.ts'],
    ['plan/a.ts', 'report/b.ts'],
    ['execute/a.ts', 'cli/b.ts'],
    ['report/a.ts', 'cli/b.ts'],
    ['model/a.ts', 'cli/b.ts'],
  ])('%s importing %s, upwards', async (from, to) => {
    await pair(from, to);
    expect(check(src)).toEqual([`${from}: imports ${to}, which is in a higher layer`]);
  });

  it.each([
    ['report/a.ts', 'execute/b.ts'],
    ['execute/a.ts', 'report/b.ts'],
    ['kinds/a.ts', 'sources/b.ts'],
    ['sources/a.ts', 'kinds/b.ts'],
  ])('%s importing %s, sideways', async (from, to) => {
    await pair(from, to);
    expect(check(src)).toEqual([`${from}: imports ${to}, which is beside it`]);
  });

  it.each(['kinds', 'sources'])('one of %s importing another', async (folder) => {
    await tree({
      [`${folder}/registry.ts`]: "import { a } from './a.js';\nimport { b } from './b.js';\n",
      [`${folder}/a.ts`]: "import { b } from './b.js';\n",
      [`${folder}/b.ts`]: '',
    });
    expect(check(src)).toEqual([`${folder}/a.ts: imports its sibling ${folder}/b.ts`]);
  });

  it('a circle, once, through whatever files it goes', async () => {
    await tree({
      'model/a.ts': "import { b } from './b.js';\n",
      'model/b.ts': "import type { c } from './c.js';\n",
      'model/c.ts': "export { a } from './a.js';\n",
    });
    expect(check(src)).toEqual(['circle: model/a.ts -> model/b.ts -> model/c.ts -> model/a.ts']);
  });

  it.each([
    ['an import type', "import type { B } from '../cli/b.js';"],
    ['an import over several lines', "import {\n  b,\n} from '../cli/b.js';"],
    ['an import for its effects', "import '../cli/b.js';"],
    ['an import()', "const b = () => import('../cli/b.js');"],
    ['a type by import()', "export type B = import('../cli/b.js').B;"],
    ['an export', "export { b } from '../cli/b.js';"],
    ['an export of all', "export * from '../cli/b.js';"],
    ['double quotes', 'import { b } from "../cli/b.js";'],
  ])('an upward import in the form of %s', async (_, text) => {
    await tree({ 'model/a.ts': `${text}\n`, 'cli/b.ts': '' });
    expect(check(src)).toEqual(['model/a.ts: imports cli/b.ts, which is in a higher layer']);
  });

  it('a folder that is no layer', async () => {
    await tree({ 'utils/a.ts': '' });
    expect(check(src)).toEqual(['utils/a.ts: is in no known layer']);
  });

  it('the library importing the command line, and anything importing the library', async () => {
    await tree({
      'index.ts': "import './cli/a.js';\n",
      'cli/a.ts': '',
      'cli/b.ts': "import '../index.js';\n",
    });
    expect(check(src)).toEqual([
      'cli/b.ts: imports index.ts, which is above all layers',
      'index.ts: the library imports the command line (cli/a.ts)',
    ]);
  });

  it('an import of a file that is not there', async () => {
    await tree({ 'model/a.ts': "import { b } from './gone.js';\n" });
    expect(check(src)).toEqual(['model/a.ts: imports model/gone.ts, which does not exist in src']);
  });

  async function pair(from: string, to: string): Promise<void> {
    await tree({ [from]: `import { b } from '../${to.replace('.ts', '.js')}';\n`, [to]: '' });
  }

  async function tree(files: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(src, name)), { recursive: true });
      await writeFile(join(src, name), text);
    }
  }
});

/** The lines of `npm run layers`; their number and the exit status agree. */
function check(...args: readonly string[]): readonly string[] {
  const command = [join(REPO_ROOT, 'scripts/layers.mjs'), ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8' });
  expect(stderr).toBe('');
  const lines = stdout.split('\n').filter((line) => line !== '');
  expect(status).toBe(lines.length === 0 ? 0 : 1);
  return lines;
}
