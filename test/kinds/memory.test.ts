import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { afterAll, expect, it } from 'vitest';
import { freshDir, removeTemporary } from './context.js';

afterAll(removeTemporary);

it('2 GiB through merge, gunzip and a tar stay below 200 MiB of memory', {
  timeout: 60_000,
}, async () => {
  const program = join(await freshDir(), 'stream.mjs');
  await build({
    entryPoints: [join(import.meta.dirname, 'stream-two-gib.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: program,
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
  });
  const { stdout } = await promisify(execFile)(process.execPath, [program]);
  const result = JSON.parse(stdout) as { size: number; peakMiB: number };
  expect(result.size).toBe(2 ** 31);
  expect(result.peakMiB).toBeLessThan(200);
});
