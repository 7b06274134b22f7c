// The main job in one process whose memory does not grow with the content.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freshWorkspace, makeJob, serveJob } from '../../bench/main-job.js';
import { measure } from '../../bench/measure.js';
import { RES } from '../../bench/peers.js';

const MIB = 1 << 20;
/** Node 24 takes some 20 MiB more than those before it for the same work, 10 of them for the two threads that hash. */
const LIMIT = (Number(process.versions.node.split('.')[0]) < 24 ? 150 : 175) * MIB;
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'res-memory-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

it('a release of hundreds of MiB to a raw image takes no more for them', { timeout: 120_000 }, async () => {
  const job = await makeJob(folder, { contentMiB: 256, diskMiB: 1024, partMiB: 24 });
  const service = await serveJob(job);
  try {
    const cwd = join(folder, 'workspace');
    freshWorkspace(cwd);
    const { peakBytes } = await measure({ argv: [...RES, 'build'], cwd, env: service.env });
    expect(peakBytes).toBeGreaterThan(40 * MIB);
    expect(peakBytes).toBeLessThan(LIMIT);
  } finally {
    await service.close();
  }
});
