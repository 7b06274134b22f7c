// The threads that hash: what holds the process, what does not, and what is done without them.
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const STORE = fileURLToPath(new URL('../../src/store/', import.meta.url));
/** Longer than what is summed in passing, and than what is summed in no time. */
const SIZE = 2 ** 31;

let dir: string;
/** A program: `ask PATH SIZE` and so on; what is asked for, what becomes of the threads. */
let program: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'res-thread-'));
  const entry = join(dir, 'entry.ts');
  writeFileSync(join(dir, 'package.json'), '{ "type": "module" }');
  writeFileSync(
    entry,
    `import { GrowingSums } from ${JSON.stringify(join(STORE, 'growing-sums.ts'))};
     import { threadForChunk } from ${JSON.stringify(join(STORE, 'hash-threads.ts'))};
     import { ContentHasher, digestFile } from ${JSON.stringify(join(STORE, 'hashing.ts'))};
     import { setTimeout } from 'node:timers/promises';
     import { syncBuiltinESMExports } from 'node:module';
     import threads from 'node:worker_threads';
     const [how, path, size, algorithm] = process.argv.slice(2);
     if (how === 'refuse') {
       threads.Worker = class { constructor() { throw new Error('no thread'); } };
       syncBuiltinESMExports();
     }
     if (how.startsWith('lose')) {
       const { Worker } = threads;
       let parts = 0;
       threads.Worker = class extends Worker {
         postMessage(order, moved) {
           // The third at the latest: some were answered then.
           if (order.is === 'chunk' || (order.is === 'part' && ++parts > 2)) this.terminate();
           super.postMessage(order, moved);
         }
       };
       syncBuiltinESMExports();
     }
     if (how === 'digest' || how === 'lose parts') {
       while (!threadForChunk()) await setTimeout(1);
       let told = 0;
       const onBytes = (bytes) => (told += bytes);
       const { digest, size } = await digestFile(path, algorithm, { onBytes });
       console.log(digest, told === size);
       process.exit();
     }
     if (how === 'lose chunks') {
       while (!threadForChunk()) await setTimeout(1);
       const hasher = new ContentHasher({ sha256: false, derived: true });
       const piece = new Uint8Array(4_000_000);
       const fed = async () => {
         for (let i = 0; i < 10; i++) await hasher.update(piece);
         await hasher.finish();
       };
       console.log(await fed().then(() => 'finished', ({ message }) => message));
       process.exit();
     }
     const sums = new GrowingSums(path, { chunks: false });
     const stop = new AbortController();
     sums.reach(Number(size));
     const asked = sums.sums(stop.signal);
     if (how === 'stop') stop.abort(new Error('stopped'));
     console.log(await asked.then(({ sha256 }) => sha256, ({ message }) => message));
     sums.close();`,
  );
  const common = { bundle: true, platform: 'node', format: 'esm', outdir: join(dir, 'dist') } as const;
  await build({ ...common, entryPoints: { 'hash-worker': join(STORE, 'hash-worker.ts'), program: entry } });
  program = join(dir, 'dist/program.js');
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function run(how: string, size: number, algorithm = ''): Promise<string> {
  const path = join(dir, `zeros-${how}`);
  closeSync(openSync(path, 'w'));
  truncateSync(path, size);
  const child = spawn(process.execPath, [program, how, path, `${size}`, algorithm], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 25_000,
  });
  let said = '';
  child.stdout.on('data', (text: Buffer) => {
    said += text.toString();
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  rmSync(path);
  expect(code).toBe(0);
  return said.trim();
}

/** Of 20 000 000 zeros. */
const ZEROS = '9e21c61969cd3e077a1b2b58ddb583b175e13c6479d2d83912eaddc23c0cdd52';

describe('a process', () => {
  it('waits for the sums that it asked for', async () => {
    expect(await run('ask', 20_000_000)).toBe(ZEROS);
  });

  it('ends when it no longer waits for them', async () => {
    expect(await run('stop', SIZE)).toBe('stopped');
  });

  it('that gets no thread sums by itself', async () => {
    expect(await run('refuse', 20_000_000)).toBe(ZEROS);
  });

  it.each(['derived', 'sha256'])(
    'that loses its threads reads what they were to read: %s',
    async (algorithm) => {
      const said = await run('digest', 20_000_000, algorithm);
      expect(said).toMatch(/^(tree|sha256):[0-9a-f]{64} true$/);
      expect(await run('lose parts', 20_000_000, algorithm)).toBe(said);
    },
  );

  it('that loses them with what streams by does not take another digest for it', async () => {
    expect(await run('lose chunks', 1)).toBe('the thread that hashes came to an end');
  });
});
