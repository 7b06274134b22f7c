import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { bench, content, onCleanup, server, sha256, tempDir } from './harness.js';

const FETCH = fileURLToPath(new URL('../../src/sources/fetch.ts', import.meta.url));

/** A process of its own that fetches, as `res` would. */
function fetchingProcess(dir: string, request: object, options: object = {}): ChildProcess {
  const entry = join(dir, 'child.ts');
  const program = join(dir, 'child.cjs');
  writeFileSync(
    entry,
    `import { createFetcher } from ${JSON.stringify(FETCH)};
     const [request, options] = process.argv.slice(2).map((text) => JSON.parse(text));
     const quiet = { onProgress: () => {}, onNotice: () => {}, signal: new AbortController().signal };
     let places = 3;
     const slot = { giveWay: async () => {}, beside: async (work) => { if (places-- > 0) await work(slot); } };
     createFetcher({ env: {}, mirrors: [], ...options }).fetch({ ...request, ...quiet, slot });`,
  );
  buildSync({
    entryPoints: [entry],
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    logLevel: 'error',
  });
  const child = spawn(process.execPath, [program, JSON.stringify(request), JSON.stringify(options)], {
    stdio: 'inherit',
  });
  onCleanup(() => void child.kill('SIGKILL'));
  return child;
}

describe('a process killed in mid-download', () => {
  for (const pinned of [true, false]) {
    it(`leaves what had arrived to the next one (${pinned ? 'with' : 'without'} a known sum)`, async () => {
      const s = await server();
      const bytes = content(3_000_000);
      const file = await s.file('a', bytes);
      const dir = tempDir();
      const expected = pinned ? { sha256: sha256(bytes), size: bytes.length } : {};
      s.fault(file, { stall: { after: 2_000_000 } });
      const b = bench({}, dir);
      const child = fetchingProcess(dir, { location: { urls: [file.url] }, partial: b.partial, expected });
      await s.until((request) => request.state === 'stalled', 20_000);
      while (statSync(b.partial).size < 2_000_000) await delay(10);
      child.kill('SIGKILL');
      await new Promise((resolve) => child.once('exit', resolve));

      const got = await b.fetch(file.url, { expected });
      expect(got).toMatchObject({ sha256: sha256(bytes), downloadedBytes: 1_000_000 });
      expect(s.requests(file)[1]?.headers.range).toBe('bytes=2000000-');
      expect(readFileSync(b.partial).equals(bytes)).toBe(true);
    });
  }

  it('leaves what came behind gaps too', async () => {
    const s = await server();
    const bytes = content(6_000_000);
    const file = await s.file('a', bytes);
    // The second segment never comes, and what is behind it does.
    s.fault(file, { bytesPerSecond: 1_000_000 }, { stall: { after: 20_000 } });
    s.faultAlways(file, { bytesPerSecond: 1_000_000 });
    const dir = tempDir();
    const expected = { sha256: sha256(bytes), size: bytes.length };
    const segments = { first: 100_000, worthMs: 0 };
    const b = bench({ segments }, dir);
    const request = { location: { urls: [file.url] }, partial: b.partial, expected };
    const child = fetchingProcess(dir, request, { segments });
    while (s.bytesSent(file) < 3_000_000) await delay(10);
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    const { present } = JSON.parse(readFileSync(`${b.partial}.json`, 'utf8'));
    expect(present.length).toBeGreaterThan(1);

    s.faultAlways(file, {});
    const got = await b.fetch(file.url, { expected });
    expect(got).toMatchObject(expected);
    // Over one connection only the beginning counts.
    expect(got.downloadedBytes).toBe(bytes.length - present[0][1]);
    expect(readFileSync(b.partial).equals(bytes)).toBe(true);
  });
});
