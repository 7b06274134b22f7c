// The main job at size: a release split into parts to a raw disk image, against the shell that people write for it.
// 1 GiB of content in an 8 GiB disk, parts of 100 MiB, from a release server on loopback. The table goes into docs/.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  createReadStream,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { convertImage, splitFile, tarGz } from '../test/rig/images.js';
import { startReleaseServer } from '../test/rig/release-server.js';
import { type Command, type Measured, medianOf, table, version } from './measure.js';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const RES = join(ROOT, 'dist', 'cli', 'main.js');
const MIB = 1024 * 1024;
const CONTENT_MIB = 1024;
const DISK = '8G';
const PART = 100 * MIB;
const RUNS = 3;

const MANIFEST = `
res: 1
params:
  version: { default: v1 }
artifacts:
  parts: { github: { repo: bench/images, release: "\${version}", asset: "disk-image.qcow2.tar.gz.*" } }
  sums:  { github: { repo: bench/images, release: "\${version}", asset: "disk-image.qcow2.sums" } }
targets:
  merged:   { merge: parts }
  qcow2:    { extract: merged, member: "**/disk-image.qcow2", verify: { sums: sums }, output: disk-image.qcow2 }
  raw-disk: { convert: qcow2, to: raw, output: disk-image.raw }
`;

/** Files of 64 MiB of which about two fifths do not compress: what a disk image with a system on it is like. */
async function writeContent(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  let seed = 0;
  for (let file = 0; file < CONTENT_MIB / 64; file++) {
    const handle = await open(join(folder, `file-${file}`), 'w');
    for (let piece = 0; piece < 64; piece++) {
      const block = Buffer.alloc(MIB, 'the quick brown fox jumps over the lazy dog; ');
      for (let at = 0; at < MIB * 0.37; at += 32)
        createHash('sha256').update(String(seed++)).digest().copy(block, at);
      await handle.write(block);
    }
    await handle.close();
  }
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: MIB }), hash);
  return hash.digest('hex');
}

export async function run(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'res-bench-'));
  const server = await startReleaseServer({});
  try {
    const content = join(folder, 'content');
    await writeContent(content);
    const raw = join(folder, 'image.raw');
    execFileSync('mke2fs', ['-q', '-t', 'ext4', '-d', content, raw, DISK], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    rmSync(content, { recursive: true });
    mkdirSync(join(folder, 'temp'));
    const qcow2 = join(folder, 'temp', 'disk-image.qcow2');
    await convertImage({ path: raw, format: 'raw' }, { path: qcow2, format: 'qcow2' });
    rmSync(raw);
    const archive = join(folder, 'disk-image.qcow2.tar.gz');
    await tarGz(archive, qcow2, 'temp/disk-image.qcow2');
    const archiveBytes = statSync(archive).size;
    const sums = `${await sha256(qcow2)}  temp/disk-image.qcow2\n`;
    rmSync(qcow2);
    mkdirSync(join(folder, 'parts'));
    await splitFile(archive, PART, join(folder, 'parts', 'disk-image.qcow2.tar.gz'));
    rmSync(archive);
    const parts = readdirSync(join(folder, 'parts')).sort();
    const assets = Object.fromEntries(parts.map((part) => [part, { path: join(folder, 'parts', part) }]));
    const release = await server.release('bench/images', 'v1', {
      ...assets,
      'disk-image.qcow2.sums': Buffer.from(sums),
    });

    const work = join(folder, 'work');
    const fresh = async () => {
      rmSync(work, { recursive: true, force: true });
      mkdirSync(work);
      writeFileSync(join(work, 'resources.yaml'), MANIFEST);
    };
    const res: Command = {
      argv: [process.execPath, RES, 'build', 'raw-disk'],
      cwd: work,
      env: { GITHUB_API_URL: server.apiUrl },
    };
    const urls = parts.map((part) => release.asset(part).url);
    const gunzip = version('pigz') ? 'pigz -dc' : 'gzip -dc';
    const sequential = [
      'set -e',
      ...urls.map((url, i) => `curl -sSfL -o part.${i} '${url}'`),
      `cat ${urls.map((_, i) => `part.${i}`).join(' ')} > disk.tar.gz`,
      `${gunzip} disk.tar.gz > disk.tar`,
      'tar -xf disk.tar',
      'qemu-img convert -f qcow2 -O raw temp/disk-image.qcow2 disk-image.raw',
    ];
    const piped = [
      'set -e',
      `for url in ${urls.map((url) => `'${url}'`).join(' ')}; do curl -sSfL "$url"; done | ${gunzip} | tar -xf -`,
      'qemu-img convert -f qcow2 -O raw temp/disk-image.qcow2 disk-image.raw',
    ];
    const shell = (lines: readonly string[]): Command => ({
      argv: ['sh', '-c', lines.join('\n')],
      cwd: work,
    });
    const nothing = async () => undefined;

    const rows: [string, Measured][] = [];
    for (const [speed, bytesPerSecond] of [
      ['full speed', undefined],
      ['40 MiB/s a connection', 40 * MIB],
    ] as const) {
      for (const part of parts)
        server.faultAlways(release.asset(part), bytesPerSecond ? { bytesPerSecond } : {});
      rows.push([
        `shell, one step after the other, ${speed}`,
        await medianOf(RUNS, shell(sequential), fresh),
      ]);
      rows.push([`shell, curl piped to tar, ${speed}`, await medianOf(RUNS, shell(piped), fresh)]);
      rows.push([`res build, cold, ${speed}`, await medianOf(RUNS, res, fresh)]);
      if (!bytesPerSecond) rows.push(['res build, nothing to do', await medianOf(5, res, nothing)]);
    }
    rows.push(['node -e 0', await medianOf(5, { argv: [process.execPath, '-e', '0'], cwd: work }, nothing)]);

    const base = (name: string) =>
      rows.find(([row]) => row === `shell, one step after the other, ${name}`)?.[1].ms ?? Number.NaN;
    const versions = ['curl', 'pigz', 'tar', 'qemu-img']
      .map((program) => version(program))
      .filter((text) => text !== undefined);
    process.stdout.write(
      `\n${parts.length} parts, ${Math.round(archiveBytes / MIB)} MiB in all; node ${process.version}; ${versions.join('; ')}\n\n${table(
        ['', 'seconds', 'of the shell', 'peak MiB', 'written MiB'],
        rows.map(([name, { ms, peakBytes, writtenBytes }]) => [
          name,
          (ms / 1000).toFixed(2),
          `${(ms / base(name.includes('40 MiB') ? '40 MiB/s a connection' : 'full speed')).toFixed(2)} x`,
          name.startsWith('res') ? String(Math.round(peakBytes / MIB)) : '',
          String(Math.round(writtenBytes / MIB)),
        ]),
      )}\n`,
    );
  } finally {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
