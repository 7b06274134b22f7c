// Knowing a file's content: the tree digest of a raw disk image, which is mostly holes, against the plain sha256 that other
// programs compute; and `res verify`, which reads everything again.
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { dataExtents } from '../src/store/extents.js';
import { digestFile } from '../src/store/hashing.js';
import { finishedWorkspace, JOB_SIZES, jobDisk } from './main-job.js';
import { type Contender, dropFromCache, race, ran, seconds, timed, versions } from './measure.js';
import { RES } from './peers.js';
import { atMost, type BenchOptions, cellsOf, MIB, ratio, type Section, table } from './report.js';

const LIMIT_MS = 500;
const VERIFY = 'res verify (the qcow2, the raw image, the store)';

export function diskNeeded({ size }: Pick<BenchOptions, 'size'>): number {
  return jobDisk(JOB_SIZES[size]);
}

export async function run({ folder, size, runs, say }: BenchOptions): Promise<Section> {
  say('making the disk image');
  const { contentMiB, diskMiB } = JOB_SIZES[size];
  const work = await finishedWorkspace(folder, JOB_SIZES[size]);
  const image = join(work, 'resources', 'disk-image.raw');
  if (!existsSync(image)) throw new Error(`${image} was not made`);

  say('digests by Node');
  const tree = async () => {
    const extents = await dataExtents(image, { qemuImg: 'qemu-img' });
    await digestFile(image, 'derived', extents === undefined ? {} : { extents });
  };
  const sha256 = (bytes: number) => () =>
    pipeline(createReadStream(image, { highWaterMark: bytes }), createHash('sha256'));
  const warm = await timed(runs, tree);
  const colds: number[] = [];
  for (let i = 0; i < runs && dropFromCache([image]); i++) colds.push(await timed(1, tree));
  const cold = colds.length === runs ? colds.toSorted((a, b) => a - b)[colds.length >> 1] : undefined;
  const node64 = await timed(runs, sha256(64 * 1024));
  const node1024 = await timed(runs, sha256(MIB));

  say('digests by other programs');
  const contenders: readonly Contender[] = [
    { name: 'sha256sum', cwd: work, argv: ['sha256sum', image], peer: true },
    { name: 'openssl dgst -sha256', cwd: work, argv: ['openssl', 'dgst', '-sha256', image], peer: true },
    { name: VERIFY, cwd: work, argv: [...RES, 'verify', '-q'] },
  ];
  const outcomes = await race(contenders, { runs });

  const row = (name: string, ms: number) => [name, seconds(ms), ratio(ms, warm)];
  return {
    title: 'Hashing',
    blocks: [
      `A raw disk image of ${diskMiB} MiB with ${contentMiB} MiB of content, in the page cache unless said otherwise. Medians of ${runs}. ${versions(['sha256sum', 'openssl', 'qemu-img'])}.`,
      table(
        ['', 'seconds', 'of the tree digest'],
        [
          row('tree digest: holes skipped, chunks in parallel', warm),
          ...(cold === undefined ? [] : [row('the same, image not in the page cache', cold)]),
          row('sha256 by node:crypto, 1 MiB at a time', node1024),
          row('sha256 by node:crypto, 64 KiB at a time', node64),
          ...contenders.map(({ name }) => [
            name,
            ...cellsOf(outcomes.get(name), ({ ms }) => [seconds(ms), ratio(ms, warm)]),
          ]),
        ],
      ),
      `\`res verify\` reads every file to its end as it is recorded, downloads by plain sha256: ${seconds(ran(outcomes, VERIFY).ms)} s, start of the program included.`,
    ],
    goals: [atMost('tree digest of the raw image', warm, LIMIT_MS, (ms) => `${seconds(ms)} s`)],
  };
}
