// The main job as data: a disk image, published as a gzipped tar in parts on a release server, to be made into a raw image. At
// full size 1 GiB of content in an 8 GiB disk. Benchmarks of one run of the suite share it.
import { createHash } from 'node:crypto';
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { convertImage, splitFile, tarGz } from '../test/rig/images.js';
import { seededBytes } from '../test/rig/random.js';
import { startReleaseServer } from '../test/rig/release-server.js';
import { tool } from '../test/rig/tools.js';
import { measure } from './measure.js';
import { RES } from './peers.js';
import { MIB, type Size } from './report.js';

export interface JobSize {
  readonly contentMiB: number;
  readonly diskMiB: number;
  readonly partMiB: number;
}

export const JOB_SIZES: Readonly<Record<Size | 'big', JobSize>> = {
  tiny: { contentMiB: 4, diskMiB: 64, partMiB: 1 },
  small: { contentMiB: 128, diskMiB: 1024, partMiB: 16 },
  full: { contentMiB: 1024, diskMiB: 8192, partMiB: 100 },
  big: { contentMiB: 8192, diskMiB: 12_288, partMiB: 400 },
};

export interface Job {
  readonly size: JobSize;
  /** Paths of the parts, in order. */
  readonly parts: readonly string[];
  readonly archiveBytes: number;
  readonly qcow2Bytes: number;
  /** What the raw image takes on disk, bytes. */
  readonly rawBytes: number;
  /** A line as sha256sum prints it. */
  readonly sums: string;
}

export const MEMBER = 'temp/disk-image.qcow2';
const ARCHIVE = 'disk-image.qcow2.tar.gz';
/** What is random in each MiB, bytes: such a MiB compresses to about two fifths, as a disk with a system on it does. */
const RANDOM_BYTES = Math.round(0.37 * MIB);

/** Most bytes that making the job and doing it take on disk, at one time. */
export function jobDisk({ contentMiB }: JobSize): number {
  return contentMiB * MIB * 8 + 256 * MIB;
}

/** `4 MiB of content in a disk of 64 MiB, …` */
export function describeJob(job: Job): string {
  const { contentMiB, diskMiB, partMiB } = job.size;
  const count = job.parts.length;
  return `${contentMiB} MiB of content in a disk of ${diskMiB} MiB, as qcow2 in a gzipped tar of ${Math.round(job.archiveBytes / MIB)} MiB, in ${count} part${count === 1 ? '' : 's'} of up to ${partMiB} MiB`;
}

/** Makes the job, once for each size and seed in a folder. Needs mke2fs, qemu-img, tar, gzip and split. */
export async function makeJob(folder: string, size: JobSize, seed = 'main'): Promise<Job> {
  const place = join(folder, `job-${seed}-${size.contentMiB}-${size.diskMiB}`);
  const parts = join(place, 'parts');
  const facts = join(place, 'job.json');
  if (!existsSync(facts)) {
    mkdirSync(join(place, 'content'), { recursive: true });
    mkdirSync(parts);
    await writeContent(join(place, 'content'), size.contentMiB, seed);
    const raw = join(place, 'image.raw');
    await tool(['mke2fs', '-q', '-F', '-t', 'ext4', '-d', join(place, 'content'), raw, `${size.diskMiB}M`]);
    rmSync(join(place, 'content'), { recursive: true });
    const qcow2 = join(place, 'disk-image.qcow2');
    await convertImage({ path: raw, format: 'raw' }, { path: qcow2, format: 'qcow2' });
    // What a conversion gives takes another number of blocks than what mke2fs wrote.
    await convertImage({ path: qcow2, format: 'qcow2' }, { path: raw, format: 'raw' });
    const rawBytes = statSync(raw).blocks * 512;
    rmSync(raw);
    const archive = join(place, ARCHIVE);
    await tarGz(archive, qcow2, MEMBER);
    const sums = `${await sha256(qcow2)}  ${MEMBER}\n`;
    const qcow2Bytes = statSync(qcow2).size;
    rmSync(qcow2);
    const archiveBytes = statSync(archive).size;
    await splitFile(archive, size.partMiB * MIB, join(parts, ARCHIVE));
    rmSync(archive);
    writeFileSync(facts, JSON.stringify({ archiveBytes, qcow2Bytes, rawBytes, sums }));
  }
  const { archiveBytes, qcow2Bytes, rawBytes, sums } = readFacts(facts);
  const names = readdirSync(parts).sort();
  return { size, parts: names.map((name) => join(parts, name)), archiveBytes, qcow2Bytes, rawBytes, sums };
}

function readFacts(path: string): Pick<Job, 'archiveBytes' | 'qcow2Bytes' | 'rawBytes' | 'sums'> {
  const facts: Readonly<Record<string, unknown>> = JSON.parse(readFileSync(path, 'utf8'));
  return {
    archiveBytes: Number(facts.archiveBytes),
    qcow2Bytes: Number(facts.qcow2Bytes),
    rawBytes: Number(facts.rawBytes),
    sums: String(facts.sums),
  };
}

async function writeContent(folder: string, sizeMiB: number, seed: string): Promise<void> {
  for (let first = 0; first < sizeMiB; first += 64) {
    const file = await open(join(folder, `file-${first}`), 'w');
    for (let at = first; at < Math.min(sizeMiB, first + 64); at++)
      await file.write(halfRandom(`${seed} ${at}`));
    await file.close();
  }
}

/** One MiB that compresses as a disk image does, another one for each seed. */
export function halfRandom(seed: string): Buffer {
  const block = Buffer.alloc(MIB, 'the quick brown fox jumps over the lazy dog; ');
  seededBytes(seed, RANDOM_BYTES).copy(block);
  return block;
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: MIB }), hash);
  return hash.digest('hex');
}

const MANIFEST = `
res: 1
artifacts:
  parts: { github: { repo: bench/images, release: v1, asset: "${ARCHIVE}.*" } }
  sums:  { github: { repo: bench/images, release: v1, asset: disk-image.qcow2.sums } }
targets:
  merged:   { merge: parts }
  qcow2:    { extract: merged, member: "**/disk-image.qcow2", verify: { sums: sums }, output: disk-image.qcow2 }
  raw-disk: { convert: qcow2, to: raw, output: disk-image.raw }
default: [raw-disk]
`;

export interface Service {
  /** Of the parts, in order. */
  readonly urls: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** From now on each connection gets so many bytes a second; undefined: as many as it takes. */
  limit(bytesPerSecond: number | undefined): void;
  close(): Promise<void>;
}

/** A release server on loopback that has the job. */
export async function serveJob(job: Job): Promise<Service> {
  const server = await startReleaseServer({});
  const release = await server.release('bench/images', 'v1', {
    ...Object.fromEntries(job.parts.map((path) => [basename(path), { path }])),
    'disk-image.qcow2.sums': Buffer.from(job.sums),
  });
  const assets = job.parts.map((path) => release.asset(basename(path)));
  return {
    urls: assets.map(({ url }) => url),
    env: { GITHUB_API_URL: server.apiUrl },
    limit(bytesPerSecond) {
      for (const asset of assets) server.faultAlways(asset, bytesPerSecond ? { bytesPerSecond } : {});
    },
    close: () => server.close(),
  };
}

/** An empty workspace for the job; what was at that path goes. */
export function freshWorkspace(path: string): void {
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'resources.yaml'), MANIFEST);
}

/** A workspace in which the job is done, made once for each size in a folder; the server is gone. */
export async function finishedWorkspace(folder: string, size: JobSize): Promise<string> {
  const place = join(folder, `finished-${size.contentMiB}-${size.diskMiB}`);
  const done = `${place}.done`;
  if (existsSync(done)) return place;
  const service = await serveJob(await makeJob(folder, size));
  try {
    freshWorkspace(place);
    await measure({ argv: [...RES, 'build'], cwd: place, env: service.env });
    writeFileSync(done, '');
  } finally {
    await service.close();
  }
  return place;
}
