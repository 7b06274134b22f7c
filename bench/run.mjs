// Runs benchmarks: `npm run bench` all of them, `npm run bench pipeline scale` some. They are bundled first, for they use the
// release server of the tests, and stand on the built `res`. What a full run measured is written into docs/performance.md.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import * as esbuild from 'esbuild';

const HELP = `npm run bench -- [NAME...] [flags]

  --runs N      runs of each command, of which the median is taken (5)
  --quick       smaller data and 3 runs: minutes, and nothing is written down
  --tiny        hardly any data, 1 run: shows only that the benchmarks work
  --big         8 GiB of content too, for the memory it takes
  --cache DIR   keep finished builds of large graphs there, and take them from there
  --docs FILE   the document to write into (docs/performance.md, for a full run)
`;

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const say = (text) => process.stderr.write(`${text}\n`);
const all = readdirSync(here)
  .filter((file) => file.endsWith('.bench.ts'))
  .map((file) => basename(file, '.bench.ts'));
const { values: flags, positionals: wanted } = parseFlags();
const size = flags.tiny ? 'tiny' : flags.quick ? 'small' : 'full';
const runs = flags.runs === undefined ? { tiny: 1, small: 3, full: 5 }[size] : Number(flags.runs);
const docs = flags.docs ?? (size === 'full' ? join(root, 'docs', 'performance.md') : undefined);
const unknown = wanted.filter((name) => !all.includes(name));
if (unknown.length > 0) fail(`no benchmark is named ${unknown.join(', ')}; there are ${all.join(', ')}`);
if (!Number.isInteger(runs) || runs < 1) fail('--runs takes a whole number of 1 or more');

// Compiled unless it is current; the tests use the same way.
await import('../test/rig/compile.mjs');
const folder = mkdtempSync(join(tmpdir(), 'res-bench-'));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const names = wanted.length > 0 ? wanted : all;
await bundle(names);
const load = (name) => import(pathToFileURL(join(folder, 'code', `${name}.mjs`)).href);
const { freeBytes } = await load('measure');
const { GIB, machine, render, withSection } = await load('report');
const cache = flags.cache === undefined ? undefined : resolve(flags.cache);
if (cache !== undefined) mkdirSync(cache, { recursive: true });
const options = { size, runs, big: flags.big === true, folder, cache, say: (text) => say(`  ${text}`) };

let missed = 0;
for (const name of names) {
  const bench = await load(`${name}.bench`);
  const needed = bench.diskNeeded(options);
  const gib = (bytes) => (bytes / GIB).toFixed(1);
  say(`${name}: needs up to ${gib(needed)} GiB in ${folder}`);
  if (freeBytes(folder) < needed)
    fail(`${name}: there are ${gib(freeBytes(folder))} GiB free; TMPDIR chooses another place`);
  const section = await bench.run(options);
  const text = render(section);
  process.stdout.write(`\n${text}\n\n`);
  missed += section.goals.filter(({ met }) => !met).length;
  if (docs !== undefined) {
    const measured = `Measured on ${machine()}.`;
    writeFileSync(docs, withSection(readFileSync(docs, 'utf8'), name, `${text}\n\n${measured}`));
  }
}
say(
  `${missed === 0 ? 'all goals met' : `${missed} goals missed`}${docs === undefined ? '' : `; written into ${docs}`}`,
);

function parseFlags() {
  const boolean = { type: 'boolean' };
  const string = { type: 'string' };
  try {
    const parsed = parseArgs({
      allowPositionals: true,
      options: {
        runs: string,
        quick: boolean,
        tiny: boolean,
        big: boolean,
        cache: string,
        docs: string,
        help: { ...boolean, short: 'h' },
      },
    });
    if (parsed.values.help) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    return parsed;
  } catch (error) {
    return fail(`${error.message}\n\n${HELP}`);
  }
}

function fail(text) {
  say(text);
  process.exit(2);
}

/** Each file gets the address of its source, for that is where it finds the program. */
async function bundle(benches) {
  for (const name of [...benches.map((bench) => `${bench}.bench`), 'measure', 'report']) {
    await esbuild.build({
      entryPoints: [join(here, `${name}.ts`)],
      outfile: join(folder, 'code', `${name}.mjs`),
      bundle: true,
      platform: 'node',
      format: 'esm',
      define: { 'import.meta.url': JSON.stringify(pathToFileURL(join(here, `${name}.ts`)).href) },
      banner: {
        js: "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);".replace(
          'import.meta.url',
          JSON.stringify(import.meta.url),
        ),
      },
      logLevel: 'silent',
    });
  }
}
