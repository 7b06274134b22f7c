// Runs benchmarks: `npm run bench` all of them, `npm run bench pipeline` one. They are bundled first, for they use the
// release server of the tests, and stand on the built `res`.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as esbuild from 'esbuild';
import { build } from '../scripts/build.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const all = readdirSync(here)
  .filter((file) => file.endsWith('.bench.ts'))
  .map((file) => basename(file, '.bench.ts'));
const wanted = process.argv.slice(2).filter((word) => !word.startsWith('-'));
const unknown = wanted.filter((name) => !all.includes(name));
if (unknown.length > 0) {
  process.stderr.write(`no benchmark is named ${unknown.join(', ')}; there are ${all.join(', ')}\n`);
  process.exit(2);
}

await build(dirname(here));
const out = mkdtempSync(join(tmpdir(), 'res-bench-code-'));
try {
  for (const name of wanted.length > 0 ? wanted : all) {
    const outfile = join(out, `${name}.mjs`);
    await esbuild.build({
      entryPoints: [join(here, `${name}.bench.ts`)],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      packages: 'external',
      define: { 'import.meta.url': JSON.stringify(pathToFileURL(join(here, `${name}.bench.ts`)).href) },
    });
    const { run } = await import(pathToFileURL(outfile).href);
    await run();
  }
} finally {
  rmSync(out, { recursive: true, force: true });
}
