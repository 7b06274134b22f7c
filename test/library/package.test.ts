// The package as others get it: what is in it, and that the examples of docs/library.md compile against its types and print
// what stands behind them.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as library from '../../src/index.js';
import { version } from '../../src/store/package.js';
import { type Block, DOCS, readDocument } from '../rig/documents.js';
import { bundledManifest, REPO_ROOT } from '../rig/places.js';
import { has } from '../rig/tools.js';
import { makeWorkspace, removeWorkspaces, type Workspace } from '../rig/workspace.js';

const DOCUMENT = readDocument('library.md');
const TSC = join(REPO_ROOT, 'node_modules', '.bin', 'tsc');

let folder: Workspace;
let packed: readonly string[];

function run(file: string, args: readonly string[], cwd: string): string {
  return execFileSync(file, args, {
    cwd,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: cwd, LANG: 'C.UTF-8' },
  });
}

/** What `npm pack` does, with dist/ as it was compiled for the tests: its own script would compile it anew. */
beforeAll(() => {
  folder = makeWorkspace({});
  const staged = folder.path('staged');
  const own: unknown = JSON.parse(readFileSync(join(REPO_ROOT, 'package.json'), 'utf8'));
  const files = typeof own === 'object' && own && 'files' in own && Array.isArray(own.files) ? own.files : [];
  for (const name of ['package.json', ...files.map(String)])
    cpSync(join(REPO_ROOT, name), join(staged, name), {
      recursive: true,
      filter: (path) => !/\/\.(res|build-)/.test(path),
    });
  run(TSC, ['-p', 'tsconfig.types.json', '--outDir', join(staged, 'dist', 'types')], REPO_ROOT);
  run('npm', ['pack', '--silent', '--ignore-scripts', '--no-update-notifier'], staged);
  const archive = join(staged, `res-${version()}.tgz`);
  packed = run('tar', ['-tzf', archive], staged)
    .split('\n')
    .map((name) => name.replace(/^package\//, ''));
  const modules = folder.path('project', 'node_modules');
  mkdirSync(join(modules, 'res'), { recursive: true });
  run('tar', ['-xzf', archive, '-C', join(modules, 'res'), '--strip-components=1'], folder.dir);
  mkdirSync(join(modules, '@types'));
  symlinkSync(join(REPO_ROOT, 'node_modules', '@types', 'node'), join(modules, '@types', 'node'));
  symlinkSync(join(REPO_ROOT, 'node_modules', 'undici-types'), join(modules, 'undici-types'));
});
afterAll(removeWorkspaces);

describe('the package', () => {
  it('has program, library, types, schemas, templates and documents, and nothing of the work on it', () => {
    for (const name of [
      'dist/cli/main.js',
      'dist/index.js',
      'dist/types/index.d.ts',
      'schemas/resources.schema.json',
      ...Object.keys(bundledManifest()),
      'README.md',
      'LICENSE',
    ])
      expect(packed).toContain(name);
    const templates = readdirSync(join(REPO_ROOT, 'src', 'cli', 'templates'));
    for (const name of templates) expect(packed).toContain(`src/cli/templates/${name}`);
    expect(
      packed.filter((name) => /^(test|bench|scripts|node_modules)\/|^src\/.*\.ts$|^docs\/api/.test(name)),
    ).toEqual([]);
  });

  it('runs, with no package beside it', () => {
    const printed = run(
      process.execPath,
      ['node_modules/res/dist/cli/main.js', '--version'],
      folder.path('project'),
    );
    expect(printed).toBe(`res ${version()}\n`);
  });

  it('gives what the sources export, its schemas and its manifest to those who import it', () => {
    const names = JSON.stringify(Object.keys(library).sort());
    folder.write(
      'project/exports.mjs',
      `import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
assert.deepEqual(Object.keys(await import('res')).sort(), ${names});
const require = createRequire(import.meta.url);
assert.equal(require('res/package.json').name, 'res');
assert.equal(require('res/schemas/events.schema.json').type, undefined);
await assert.rejects(import('res/dist/cli/main.js'), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' });
`,
    );
    run(process.execPath, ['exports.mjs'], folder.path('project'));
  });
});

describe('the page about the library', () => {
  const examples = DOCUMENT.blocks.filter(({ info }) => info === 'ts');
  const shownBehind = (block: Block) => DOCUMENT.blocks[DOCUMENT.blocks.indexOf(block) + 1];

  it('names all functions', () => {
    for (const name of Object.keys(library)) expect(DOCUMENT.text, name).toMatch(new RegExp(`\\b${name}\\b`));
  });

  it.skipIf(!has('qemu-img'))(
    'has examples that compile and print what it says (`vitest run test/library -u` renews it)',
    { timeout: 60_000 },
    async () => {
      expect(examples.length).toBeGreaterThan(6);
      examples.forEach(({ text }, i) => void folder.write(`project/example-${i}.ts`, text));
      writeFileSync(
        folder.path('project', 'tsconfig.json'),
        JSON.stringify({
          compilerOptions: {
            target: 'es2023',
            lib: ['es2023'],
            module: 'nodenext',
            strict: true,
            exactOptionalPropertyTypes: true,
            // The types of the package are checked as well.
            skipLibCheck: false,
            types: ['node'],
            outDir: 'out',
          },
          include: ['*.ts'],
        }),
      );
      writeFileSync(folder.path('project', 'package.json'), '{ "type": "module" }');
      run(TSC, ['-p', '.'], folder.path('project'));

      const quickstart = folder.path('quickstart');
      cpSync(join(REPO_ROOT, 'examples', 'quickstart'), quickstart, {
        recursive: true,
        filter: (path) => !/\/(?:\.res|resources)$/.test(path),
      });
      let text = DOCUMENT.text;
      examples.forEach((block, i) => {
        const shown = shownBehind(block);
        expect(shown?.info, `the block behind ${block.file}:${block.line}`).toBe('text');
        const printed = run(process.execPath, [folder.path('project', 'out', `example-${i}.js`)], quickstart);
        const fence = (body: string) => `\`\`\`ts\n${block.text}\`\`\`\n\n\`\`\`text\n${body}\`\`\``;
        text = text.replace(fence(shown?.text ?? ''), () => fence(printed));
      });
      await expect(text).toMatchFileSnapshot(join(DOCS, 'library.md'));
    },
  );
});
