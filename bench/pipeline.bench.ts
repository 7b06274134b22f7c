// The main job, cold: a release split into parts to a raw disk image, against the shell that people write for it, with the
// server as fast as it can and with each connection limited. Beside it each stage alone, and what the machine can do at most.
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  describeJob,
  freshWorkspace,
  JOB_SIZES,
  type Job,
  jobDisk,
  MEMBER,
  makeJob,
  type Service,
  serveJob,
} from './main-job.js';
import {
  type Contender,
  installed,
  type Outcome,
  race,
  ran,
  seconds,
  settleMachine,
  versions,
} from './measure.js';
import { gunzip, RES, shell } from './peers.js';
import { profileOfBuild, spansOf } from './profile.js';
import {
  atMost,
  type BenchOptions,
  cellsOf,
  type Goal,
  MIB,
  mib,
  percent,
  ratio,
  type Section,
  table,
} from './report.js';

const LIMIT_MIB = 40;
const MEMORY_LIMIT = 150 * MIB;

export function diskNeeded({ size, big }: Pick<BenchOptions, 'size' | 'big'>): number {
  return jobDisk(JOB_SIZES[big ? 'big' : size]);
}

export async function run(options: BenchOptions): Promise<Section> {
  options.say('making the disk image and its parts');
  const job = await makeJob(options.folder, JOB_SIZES[options.size]);
  const service = await serveJob(job);
  const work = join(options.folder, 'pipeline');
  const settle = options.size === 'tiny' ? () => undefined : settleMachine;
  try {
    const contenders = contendersOf(job, service, work);
    options.say('full speed');
    const fast = await race(contenders, { runs: options.runs, settle });
    options.say(`${LIMIT_MIB} MiB/s a connection`);
    service.limit(LIMIT_MIB * MIB);
    const slow = await race(contenders, { runs: options.runs, settle });
    const stages = stagesOf(job, service, work);
    const [network] = stages;
    const slowNetwork = network
      ? ran(await race([network], { runs: options.runs }), network.name).ms
      : Number.NaN;
    service.limit(undefined);
    options.say('stages alone');
    const alone = await race(stages, { runs: options.runs, settle });
    const profile = await profileOf(service, work);
    const big = options.big ? await peakOfBigJob(options) : [];

    return {
      title: 'The main job at size',
      blocks: [
        `From a release server on loopback to a raw disk image, nothing there before: ${describeJob(job)}. Medians of ${options.runs}. ${versions(['curl', 'aria2c', 'pigz', 'gzip', 'tar', 'qemu-img'])}.`,
        speedTable('full speed', contenders, fast),
        speedTable(`${LIMIT_MIB} MiB/s a connection`, contenders, slow),
        '"CPU" is processor time of all processes but the server, "memory" the resident set of the largest process (of res: its own, and that of the largest that it started), "written" what went into files.',
        ...profile,
        ...limits(job, fast, alone),
        `Limited to ${LIMIT_MIB} MiB/s a connection, downloading all parts at once to nothing takes ${seconds(slowNetwork)} s, and res build ${ratio(ran(slow, BUILD).ms, slowNetwork)} of that.`,
      ],
      goals: [...goalsOf(job, fast, slow, alone), ...big],
    };
  } finally {
    await service.close();
    rmSync(work, { recursive: true, force: true });
  }
}

const SEQUENTIAL = 'shell, one step after the other';
const PIPED = 'shell, curl piped to tar';
const CHECKED = 'the same, with sha256sum -c and sync';
const ARIA = 'aria2, then shell';
const BUILD = 'res build';

function contendersOf(job: Job, { urls, env }: Service, work: string): readonly Contender[] {
  const fresh = () => {
    rmSync(work, { recursive: true, force: true });
    mkdirSync(work, { recursive: true });
    writeFileSync(join(work, 'urls'), `${urls.join('\n')}\n`);
    // Behind a redirect aria2 would take the name of the last address.
    writeFileSync(join(work, 'aria'), urls.map((url, i) => `${url}\n  out=part.${i}\n`).join(''));
    writeFileSync(join(work, 'sums'), job.sums);
  };
  const names = job.parts.map((_, i) => `part.${i}`);
  const download = urls.map((url, i) => `curl -sSfL -o part.${i} '${url}'`);
  const convert = `qemu-img convert -f qcow2 -O raw ${MEMBER} disk-image.raw`;
  const inShell = (name: string, lines: readonly string[]): Contender => ({
    name,
    cwd: work,
    argv: shell(lines),
    before: fresh,
  });
  const piped = `for url in $(cat urls); do curl -sSfL "$url"; done | ${gunzip()} | tar -xf -`;
  return [
    inShell(SEQUENTIAL, [
      ...download,
      `cat ${names.join(' ')} > disk.tar.gz`,
      `${gunzip()} disk.tar.gz > disk.tar`,
      'tar -xf disk.tar',
      convert,
    ]),
    inShell(PIPED, [piped, convert]),
    inShell(CHECKED, [piped, 'sha256sum --quiet -c sums', convert, `sync ${MEMBER} disk-image.raw`]),
    ...(installed('aria2c')
      ? [
          inShell(ARIA, [
            'aria2c -q -i aria -j 8 --file-allocation=none',
            `cat ${names.join(' ')} | ${gunzip()} | tar -xf -`,
            convert,
          ]),
        ]
      : []),
    { name: BUILD, cwd: work, argv: [...RES, 'build'], env, before: () => freshWorkspace(work) },
  ];
}

function speedTable(
  speed: string,
  contenders: readonly Contender[],
  outcomes: ReadonlyMap<string, Outcome>,
): string {
  const base = ran(outcomes, SEQUENTIAL).ms;
  return table(
    [speed, 'seconds', 'of the shell', 'spread', 'CPU s', 'memory MiB', 'written MiB'],
    contenders.map(({ name }) => [
      name,
      ...cellsOf(outcomes.get(name), (of) => [
        seconds(of.ms),
        ratio(of.ms, base),
        percent(of.spread),
        seconds(of.cpuMs),
        // A shell becomes its last command, so that its own memory and that of its programs cannot be told apart.
        name === BUILD
          ? `${mib(of.peakBytes)} + ${mib(of.childPeakBytes)}`
          : mib(Math.max(of.peakBytes, of.childPeakBytes)),
        mib(of.writtenBytes),
      ]),
    ]),
  );
}

const ALONE = {
  network: 'all parts at once, to nothing',
  download: 'all parts at once, to disk',
  gunzip: 'gunzip, to nothing',
  nodeGunzip: "gunzip by Node's zlib, to nothing",
  unpack: 'gunzip and untar, to disk',
  hash: 'sha256 of parts and qcow2, one core',
  convert: 'qemu-img convert to raw',
  disk: 'writing parts, qcow2 and raw, with fsync',
} as const;

function stagesOf(job: Job, { urls }: Service, work: string): readonly Contender[] {
  const prepared = join(work, MEMBER);
  const parts = job.parts.map((part) => `'${part}'`).join(' ');
  const curl = (to: (i: number) => string) =>
    `curl -sSfL --parallel ${urls.map((url, i) => `-o ${to(i)} '${url}'`).join(' ')}`;
  const writtenMiB = Math.ceil((job.archiveBytes + job.qcow2Bytes + job.rawBytes) / MIB);
  const inflate = `const pipe = require('node:stream').pipeline; pipe(process.stdin, require('node:zlib').createGunzip({ chunkSize: 262144 }), new (require('node:stream').Writable)({ write: (_, __, done) => done() }), (error) => { if (error) throw error; });`;
  const stage = (name: string, lines: readonly string[]): Contender => ({
    name,
    cwd: work,
    argv: shell(lines),
    before: () => {
      rmSync(join(work, 'out'), { recursive: true, force: true });
      mkdirSync(join(work, 'out'), { recursive: true });
    },
  });
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  return [
    stage(ALONE.network, [curl(() => '/dev/null')]),
    stage(ALONE.download, [curl((i) => `out/${i}`)]),
    stage(ALONE.gunzip, [`cat ${parts} | ${gunzip()} > /dev/null`]),
    stage(ALONE.nodeGunzip, [`cat ${parts} | '${process.execPath}' -e "${inflate}"`]),
    stage(ALONE.unpack, [`cat ${parts} | ${gunzip()} | tar -xf - -C out`]),
    {
      ...stage(ALONE.hash, [`openssl dgst -sha256 ${parts} '${prepared}'`]),
      before: () => prepare(job, work),
    },
    {
      ...stage(ALONE.convert, [`qemu-img convert -f qcow2 -O raw '${prepared}' disk-image.raw`]),
      before: async () => {
        await prepare(job, work);
        rmSync(join(work, 'disk-image.raw'), { force: true });
      },
    },
    stage(ALONE.disk, [
      `dd if=/dev/zero of=out/zeros bs=1M count=${writtenMiB} conv=fsync status=none`,
      'rm out/zeros',
    ]),
  ];
}

/** The qcow2 as it comes out of the archive. */
async function prepare(job: Job, work: string): Promise<void> {
  const there = statSync(join(work, MEMBER), { throwIfNoEntry: false });
  if (there?.size === job.qcow2Bytes) return;
  const unpack = `cat ${job.parts.map((part) => `'${part}'`).join(' ')} | ${gunzip()} | tar -xf -`;
  await race([{ name: 'unpack', cwd: work, argv: shell([unpack]) }], { runs: 1 });
}

async function profileOf(service: Service, work: string): Promise<readonly string[]> {
  freshWorkspace(work);
  const trace = join(work, 'trace.json');
  const traced = await race(
    [{ name: BUILD, cwd: work, argv: [...RES, 'build', '--trace', trace], env: service.env }],
    { runs: 1 },
  );
  const spans = spansOf(trace);
  freshWorkspace(work);
  const shares = await profileOfBuild({ cwd: work, env: service.env });
  const sum = shares.reduce((all, { ms }) => all + ms, 0);
  return [
    `What ran when in one cold build at full speed of ${seconds(ran(traced, BUILD).ms)} s, as \`build --trace\` tells it:`,
    table(
      ['node', 'begins, s', 'takes, s'],
      spans.map(({ node, begin, took }) => [node, seconds(begin), seconds(took)]),
    ),
    'And where its main thread was, as `node --cpu-prof` tells it (gunzip, chunk digests, reading and writing run in other threads, qemu-img in another process):',
    table(
      ['main thread', 'seconds', 'share'],
      shares.slice(0, 10).map(({ what, ms }) => [what, seconds(ms), percent(ms / sum)]),
    ),
  ];
}

function limits(
  job: Job,
  fast: ReadonlyMap<string, Outcome>,
  alone: ReadonlyMap<string, Outcome>,
): readonly string[] {
  const whole = ran(fast, BUILD).ms;
  const rows = Object.values(ALONE).map((name) => ({ name, ...ran(alone, name) }));
  const [longest] = rows.toSorted((a, b) => b.ms - a.ms);
  return [
    'What each part of it takes alone, at full speed, with nothing else to do:',
    table(
      ['alone', 'seconds', 'of res build', 'MiB/s'],
      rows.map(({ name, ms }) => [
        name,
        seconds(ms),
        ratio(ms, whole),
        String(Math.round(bytesOf(name, job) / MIB / (ms / 1000))),
      ]),
    ),
    `The longest of them, and so the limit of this machine, is *${longest?.name ?? ''}*; res build takes ${ratio(whole, longest?.ms ?? Number.NaN)} of it.`,
  ];
}

/** What a stage reads or, of the disk, writes; MiB/s of gunzip are those of the compressed bytes. */
function bytesOf(name: string, job: Job): number {
  if (name === ALONE.disk) return job.archiveBytes + job.qcow2Bytes + job.rawBytes;
  if (name === ALONE.hash) return job.archiveBytes + job.qcow2Bytes;
  if (name === ALONE.convert) return job.qcow2Bytes;
  return job.archiveBytes;
}

function goalsOf(
  job: Job,
  fast: ReadonlyMap<string, Outcome>,
  slow: ReadonlyMap<string, Outcome>,
  alone: ReadonlyMap<string, Outcome>,
): readonly Goal[] {
  const res = ran(fast, BUILD);
  const stage = Math.max(ran(alone, ALONE.download).ms, ran(alone, ALONE.unpack).ms);
  const faster = ran(slow, SEQUENTIAL).ms / ran(slow, BUILD).ms;
  const outputs = job.archiveBytes + job.qcow2Bytes + job.rawBytes;
  const s = (ms: number) => `${seconds(ms)} s`;
  const m = (bytes: number) => `${mib(bytes)} MiB`;
  return [
    atMost(
      'full speed: at most 1.15 x the slowest stage + convert',
      res.ms,
      1.15 * stage + ran(alone, ALONE.convert).ms,
      s,
    ),
    // What res gives is on disk when it says so, which the shell's files are not: both are told.
    atMost(
      'the same, to write all of it with fsync being a stage too',
      res.ms,
      1.15 * Math.max(stage, ran(alone, ALONE.disk).ms) + ran(alone, ALONE.convert).ms,
      s,
    ),
    atMost('full speed: not slower than the piped shell', res.ms, ran(fast, PIPED).ms, s),
    atMost('full speed: not slower than that with sha256sum -c and sync', res.ms, ran(fast, CHECKED).ms, s),
    {
      goal: `${LIMIT_MIB} MiB/s a connection: at least 2.2 x faster than one step after the other`,
      measured: `${faster.toFixed(2)} x`,
      met: faster >= 2.2,
    },
    atMost('written: at most parts + qcow2 + raw (and 1 % for records)', res.writtenBytes, 1.01 * outputs, m),
    atMost(`memory of res, ${job.size.contentMiB} MiB of content`, res.peakBytes, MEMORY_LIMIT, m),
  ];
}

async function peakOfBigJob(options: BenchOptions): Promise<readonly Goal[]> {
  options.say('the big job, for memory');
  const work = join(options.folder, 'pipeline-big');
  const job = await makeJob(options.folder, JOB_SIZES.big);
  const service = await serveJob(job);
  try {
    const outcome = await race(
      [
        {
          name: BUILD,
          cwd: work,
          argv: [...RES, 'build'],
          env: service.env,
          before: () => freshWorkspace(work),
        },
      ],
      { runs: 1 },
    );
    const { peakBytes, ms } = ran(outcome, BUILD);
    const content = `memory of res, ${job.size.contentMiB} MiB of content in ${job.parts.map((part) => basename(part)).length} parts (${seconds(ms)} s)`;
    return [atMost(content, peakBytes, MEMORY_LIMIT, (bytes) => `${mib(bytes)} MiB`)];
  } finally {
    await service.close();
    rmSync(work, { recursive: true, force: true });
  }
}
