// Memory does not grow with file size: 1.5 GiB through download, merge and extract.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { seededBytes } from '../rig/random.js';
import { tarBytes } from '../rig/tar.js';
import { makeWorkspace } from '../rig/workspace.js';
import { expectDone, inFolder, openServer, REPO } from './site.js';

const MIB = 1024 * 1024;
const LIMIT_MIB = 200;

/**
 * A gzipped tar whose one member is 1.5 GiB long, in gzip members of 64 MiB as parallel compressors write them: most are
 * zeros, which stay holes, and the others repeat what does not compress within the window of gzip but for its repetition.
 */
function largeArchive(): {
  readonly archive: Buffer;
  readonly size: number;
  readonly marks: readonly number[];
} {
  const step = 64 * MIB;
  const count = 24;
  const size = step * count;
  const header = tarBytes([{ name: 'temp/disk.img', claimedSize: size }]).subarray(0, 512);
  const zeros = gzipSync(Buffer.alloc(step), { level: 1 });
  const noise = Buffer.alloc(step);
  const motif = seededBytes('motif', 16 * 1024);
  for (let at = 0; at < 8 * MIB; at += motif.length) motif.copy(noise, at);
  const mixed = gzipSync(noise, { level: 1 });
  const marks = [0, 7, 15, 23];
  const members = Array.from({ length: count }, (_, i) => (marks.includes(i) ? mixed : zeros));
  return {
    archive: Buffer.concat([gzipSync(header), ...members, gzipSync(Buffer.alloc(1024))]),
    size,
    marks: marks.map((i) => i * step),
  };
}

function peakMiB(pid: number): number | undefined {
  const file = `/proc/${pid}/status`;
  if (!existsSync(file)) return undefined;
  try {
    const kib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(file, 'utf8'))?.[1];
    return kib === undefined ? undefined : Number(kib) / 1024;
  } catch (error) {
    // It ended between the question and the answer.
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return undefined;
    throw error;
  }
}

describe.skipIf(!existsSync('/proc/self/status'))('a build of a 1.5 GiB image', () => {
  it.each([
    ['verified by its sha256', ', verify: { sums: sums }'],
    ['unverified', ''],
  ])(
    `stays under ${LIMIT_MIB} MiB resident (%s)`,
    async (_which, verify) => {
      const { archive, size, marks } = largeArchive();
      const half = Math.floor(archive.length / 2);
      const server = await openServer();
      await server.release(REPO, 'v1', {
        'disk.tar.gz.aa': archive.subarray(0, half),
        'disk.tar.gz.ab': archive.subarray(half),
        sums: Buffer.from(`${'0'.repeat(64)}  temp/disk.img\n`),
      });
      const work = makeWorkspace(`res: 1
artifacts:
  parts: { github: { repo: ${REPO}, release: v1, asset: "disk.tar.gz.*" } }
  sums: { github: { repo: ${REPO}, release: v1, asset: sums } }
targets:
  merged: { merge: parts }
  disk: { extract: merged, member: "**/disk.img"${verify}, output: disk.img }
default: [disk]
`);
      const run = inFolder(work, { GITHUB_API_URL: server.apiUrl }).start('build');
      let peak = 0;
      const watch = setInterval(() => {
        peak = Math.max(peak, peakMiB(run.pid) ?? 0);
      }, 25);
      const result = await run.result.finally(() => clearInterval(watch));
      expect(peak).toBeGreaterThan(30);
      expect(peak).toBeLessThan(LIMIT_MIB);
      if (verify !== '') {
        // All of it was read before the sum was found wrong.
        expect(result.stderr).toMatch(/failed: disk: the content does not have the published checksum/);
        return;
      }
      expectDone(result);
      const made = statSync(work.path('resources/disk.img'));
      expect(made.size).toBe(size);
      expect(made.blocks * 512).toBeLessThan(marks.length * 9 * MIB);
    },
    30_000,
  );
});
