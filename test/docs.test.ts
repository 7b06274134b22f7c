// The documents say what is so: their manifests load, their errors and sessions are those of the program, their links
// lead somewhere, and what they list is what there is.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { commands } from '../src/cli/commands.js';
import { loadGraph } from '../src/graph/load.js';
import { kinds } from '../src/kinds/registry.js';
import { formatDiagnostic } from '../src/manifest/diagnostics.js';
import { formatLock, readLock } from '../src/manifest/lockfile.js';
import { kindSchemas } from '../src/manifest/validate.generated.js';
import { ResError } from '../src/model/error.js';
import type { KindReferences } from '../src/model/node.js';
import { sources } from '../src/sources/registry.js';
import { res } from './cli/in-process.js';
import {
  anchorsOf,
  type Block,
  commandsOf,
  DOCS,
  linksOf,
  normalise,
  readDocument,
  readDocuments,
  replaceBlock,
  runSession,
  sectionOf,
} from './rig/documents.js';
import { REPO_ROOT, runFolder } from './rig/places.js';
import { tool } from './rig/tools.js';

const DOCUMENTS = readDocuments();
const CLI = readDocument('cli.md');
const MANIFEST = readDocument('manifest.md');
const BLOCKS = DOCUMENTS.flatMap(({ blocks }) => blocks);

const made: string[] = [];
afterAll(() => {
  for (const dir of made) rmSync(dir, { recursive: true, force: true });
});

function folder(): string {
  const dir = mkdtempSync(join(runFolder(), 'docs-'));
  made.push(dir);
  return dir;
}

const byPlace = (block: Block) => [`${block.file}:${block.line}`, block] as const;

describe('a YAML block', () => {
  it('is of a sort that is checked', () => {
    const sorts = new Set(BLOCKS.map(({ info }) => info).filter((info) => info.startsWith('yaml')));
    expect([...sorts].sort()).toEqual(['yaml', 'yaml lock', 'yaml wrong']);
  });

  it.each(BLOCKS.filter(({ info }) => info === 'yaml').map(byPlace))(
    'at %s is a whole manifest',
    (_, block) => {
      expect(complaintsOf(block)).toBe('');
    },
  );

  it('with a mistake is followed by what res says of it (`vitest run test/docs.test.ts -u` renews it)', async () => {
    let text = MANIFEST.text;
    const wrong = MANIFEST.blocks.filter(({ info }) => info === 'yaml wrong');
    expect(wrong.length).toBeGreaterThan(3);
    for (const block of wrong) {
      const shown = MANIFEST.blocks[MANIFEST.blocks.indexOf(block) + 1];
      expect(shown?.info, `the block behind ${block.file}:${block.line}`).toBe('text');
      text = replaceBlock(text, shown ?? block, `${complaintsOf(block)}\n`);
    }
    await expect(text).toMatchFileSnapshot(join(DOCS, 'manifest.md'));
  });

  it.each(BLOCKS.filter(({ info }) => info === 'yaml lock').map(byPlace))(
    'at %s is a lock, as res writes it',
    (_, { text }) => {
      const file = join(folder(), 'resources.lock.yaml');
      writeFileSync(file, text);
      expect(formatLock(readLock(file))).toBe(text);
    },
  );
});

/** With the other file of the document that it includes. */
function complaintsOf(block: Block): string {
  const dir = folder();
  const file = join(dir, 'resources.yaml');
  writeFileSync(file, block.text);
  const next = BLOCKS[BLOCKS.indexOf(block) + 1];
  for (const [, name = ''] of block.text.matchAll(/^include: \[(.*)\]$/gm))
    writeFileSync(join(dir, name), next?.text ?? '');
  const known = new Map<string, KindReferences>([...sources, ...kinds]);
  try {
    loadGraph({ file, cwd: dir, set: {}, env: {}, kinds: known });
    return '';
  } catch (error) {
    if (!(error instanceof ResError)) throw error;
    return error.diagnostics.map(formatDiagnostic).join('\n\n');
  }
}

describe('the manifest page', () => {
  it.each(Object.keys(kindSchemas))('has a section about %s, with all its fields', (kind) => {
    const section = sectionOf(MANIFEST, kind);
    for (const field of kindSchemas[kind]?.own ?? [])
      expect(section).toMatch(new RegExp(`\\b${field}:|\`${field}\``));
  });

  it('has all keys of the top level', () => {
    const schema: unknown = JSON.parse(
      readFileSync(join(REPO_ROOT, 'schemas', 'resources.schema.json'), 'utf8'),
    );
    expect(schema).toMatchObject({ properties: expect.anything() });
    const properties =
      typeof schema === 'object' && schema && 'properties' in schema ? schema.properties : {};
    const titles = [...MANIFEST.text.matchAll(/^#+ (.*)$/gm)].flatMap(([, title = '']) =>
      title.toLowerCase().split(', '),
    );
    for (const key of Object.keys(properties ?? {})) expect(titles).toContain(key);
  });
});

describe('the page about the command line', () => {
  it('has a section for each command, and no other', () => {
    const section = sectionOf(CLI, 'Commands');
    const titles = [...section.matchAll(/^### (.*)$/gm)].map(([, title = '']) => title);
    expect(titles.sort()).toEqual([...commands.map(({ name }) => name), 'help'].sort());
  });

  it('has what the definitions of the commands give (`node scripts/cli-docs.mjs` renews it)', async () => {
    const page = await tool([process.execPath, join(REPO_ROOT, 'scripts/cli-docs.mjs'), '-']);
    expect(CLI.text).toBe(page);
  });

  it('shows a session of each command', () => {
    for (const { name } of commands)
      expect(sectionOf(CLI, name), name).toMatch(new RegExp(`^\\$ .*\\bres (?:-C \\S+ )?${name}\\b`, 'm'));
  });

  it.each(commands.map(({ name }) => name))('has the flags of %s', async (command) => {
    const { stdout } = await res([command, '--help'], { cwd: folder() });
    const own = flagsOfHelp(stdout.split('Common flags:\n')[0] ?? '');
    expect(flagsOfTable(sectionOf(CLI, command)).sort()).toEqual(own.sort());
  });

  it('has the common flags', async () => {
    const { stdout } = await res(['--help'], { cwd: folder() });
    const common = flagsOfHelp(/Common flags:\n(.*?)\n\n/s.exec(stdout)?.[1] ?? '');
    expect(common.length).toBeGreaterThan(5);
    expect(flagsOfTable(sectionOf(CLI, 'Common flags')).sort()).toEqual(common.sort());
  });

  it('has the variables of the environment that help names, and others that the program reads', async () => {
    const { stdout } = await res(['--help'], { cwd: folder() });
    const named = (text: string) => new Set(text.match(/\b[A-Z]{2,}(?:_[A-Z]+)*\b/g) ?? []);
    const lines = (/Environment:\n(.*?)\n\n/s.exec(stdout)?.[1] ?? '').split('\n');
    // Behind the names stands what they are for.
    const help = named(
      lines.map((line) => line.replace('<NAME>', 'NAME').split(/(?<=\S) {2,}/, 1)[0]).join('\n'),
    );
    const table = named(
      [...sectionOf(CLI, 'Environment').matchAll(/^\| (`.*?) \|/gm)].map(([, cell]) => cell).join(' '),
    );
    expect(help.size).toBeGreaterThan(8);
    for (const name of help) expect(table).toContain(name);
    const source = sourceText();
    // It stands for many; and what a package reads.
    const elsewhere = new Set(['RES_PARAM_NAME', 'CHOKIDAR_USEPOLLING']);
    for (const name of table) if (!elsewhere.has(name)) expect(source, name).toContain(name);
    // What every program has; `env.NAME` stands in messages.
    const own = new Set(['PATH', 'HOME', 'LANG', 'NAME']);
    for (const [, name = ''] of source.matchAll(/\benv\.([A-Z_]{2,})\b/g))
      if (!own.has(name)) expect(table).toContain(name);
  });

  it('names every schema', () => {
    const links = new Set(DOCUMENTS.flatMap(linksOf).map((link) => link.slice(link.lastIndexOf('/') + 1)));
    for (const schema of readdirSync(join(REPO_ROOT, 'schemas'))) expect(links).toContain(schema);
  });

  it('shows what the program prints (`vitest run test/docs.test.ts -u` renews it)', {
    timeout: 120_000,
  }, async () => {
    const quickstart = join(folder(), 'quickstart');
    cpSync(join(REPO_ROOT, 'examples', 'quickstart'), quickstart, {
      recursive: true,
      filter: (path) => !/\/(?:\.res|resources)$/.test(path),
    });
    const vswarm = join(folder(), 'vswarm-u');
    mkdirSync(vswarm);
    for (const name of ['resources.yaml', 'from-source'])
      cpSync(join(REPO_ROOT, name), join(vswarm, name), { recursive: true });
    const matrix = join(folder(), 'matrix');
    mkdirSync(matrix);
    const example = CLI.blocks.find(({ info }) => info === 'yaml');
    writeFileSync(join(matrix, 'resources.yaml'), example?.text ?? '');
    const places = new Map([
      ['console vswarm-u', vswarm],
      ['console matrix', matrix],
    ]);
    const sessions = CLI.blocks.filter(({ info }) => info.startsWith('console'));
    expect(sessions.length).toBeGreaterThan(12);
    let text = CLI.text;
    for (const block of sessions) {
      const dir = places.get(block.info) ?? quickstart;
      const session = (await runSession(commandsOf(block), dir)).replaceAll(dir, '/home/ada/quickstart');
      if (normalise(session) !== normalise(block.text)) text = replaceBlock(text, block, session);
    }
    await expect(text).toMatchFileSnapshot(join(DOCS, 'cli.md'));
  });
});

/** `-j, --jobs <N>` as `-j, --jobs N`, from the lines of help that begin with a flag. */
function flagsOfHelp(text: string): string[] {
  return [...text.matchAll(/^ {2}(-[^\s,]+(?:, --\S+)?(?: <\S+>)?)/gm)].map(([, flag = '']) =>
    flag.replace(/<(.*)>/, '$1'),
  );
}

/** From the first column of the tables of flags: `` `-j`, `--jobs N` `` as `-j, --jobs N`. */
function flagsOfTable(text: string): string[] {
  return [...text.matchAll(/^\| (`-.*?) \|/gm)].map(([, cell = '']) => cell.replaceAll('`', ''));
}

function sourceText(): string {
  const src = join(REPO_ROOT, 'src');
  return readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(src, name), 'utf8'))
    .join('\n');
}

describe('a link', () => {
  const all = [...DOCUMENTS, ...readDocuments('guide')];
  it.each(all.flatMap((document) => linksOf(document).map((link) => [document.file, link] as const)))(
    'of %s to %s leads somewhere',
    (file, link) => {
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? join(DOCS, file) : join(dirname(join(DOCS, file)), path);
      const text = readFileSync(target, 'utf8');
      if (anchor !== undefined) expect([...anchorsOf(text)]).toContain(anchor);
    },
  );
});
