// The main job in one process whose memory does not grow with the content.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freshWorkspace, makeJob, serveJob } from '../../bench/main-job.js';
import { measure } from '../../bench/measure.js';
import { RES } from '../../bench/peers.js';

const MIB = 1 << 20;
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'res-memory-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

it('a release of hundreds of MiB to a raw image takes less than 150 MiB', { timeout: 120_000 }, async () => {
  const job = await makeJob(folder, { contentMiB: 256, diskMiB: 1024, partMiB: 24 });
  const service = await serveJob(job);
  try {
    const cwd = join(folder, 'workspace');
    freshWorkspace(cwd);
    const { peakBytes } = await measure({ argv: [...RES, 'build'], cwd, env: service.env });
    expect(peakBytes).toBeGreaterThan(40 * MIB);
    expect(peakBytes).toBeLessThan(150 * MIB);
  } finally {
    await service.close();
  }
});
