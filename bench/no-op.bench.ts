// Nothing to do: the finished main job built again, small and at size, against what Node needs to start, and against make and
// ninja with the same rules.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { finishedWorkspace, JOB_SIZES, jobDisk, makeJob } from './main-job.js';
import { type Contender, installed, race, ran, seconds, versions } from './measure.js';
import { RES } from './peers.js';
import {
  atMost,
  type BenchOptions,
  cellsOf,
  type Goal,
  mib,
  percent,
  ratio,
  type Section,
  table,
} from './report.js';

const NODE = 'node -e 0';

export function diskNeeded({ size }: Pick<BenchOptions, 'size'>): number {
  return jobDisk(JOB_SIZES[size]) + jobDisk(JOB_SIZES.tiny);
}

export async function run({ folder, size, runs, say }: BenchOptions): Promise<Section> {
  const often = size === 'tiny' ? runs : runs * 4;
  const contenders: Contender[] = [{ name: NODE, cwd: folder, argv: [process.execPath, '-e', '0'] }];
  const builds: string[] = [];
  for (const jobSize of new Set([JOB_SIZES.tiny, JOB_SIZES[size]])) {
    say(`doing the job once, ${jobSize.contentMiB} MiB of content`);
    const work = await finishedWorkspace(folder, jobSize);
    const content = `${jobSize.contentMiB} MiB of content`;
    builds.push(`res build, ${content}`);
    contenders.push(
      { name: `res build, ${content}`, cwd: work, argv: [...RES, 'build'] },
      { name: `res status, ${content}`, cwd: work, argv: [...RES, 'status'] },
      ...(await peersIn(`${work}-peers`, (await makeJob(folder, jobSize)).parts, content)),
    );
  }
  say(`${often} runs of each`);
  const outcomes = await race(contenders, { runs: often });
  const node = ran(outcomes, NODE).ms;
  return {
    title: 'Nothing to do',
    blocks: [
      `The main job, finished, once more. Medians of ${often}. ${versions(['make', 'ninja'])}.`,
      table(
        ['', 'seconds', `of ${NODE}`, 'spread', 'memory MiB'],
        contenders.map(({ name }) => [
          name,
          ...cellsOf(outcomes.get(name), (of) => [
            seconds(of.ms),
            ratio(of.ms, node),
            percent(of.spread),
            mib(of.peakBytes),
          ]),
        ]),
      ),
    ],
    goals: builds.map(
      (name): Goal =>
        atMost(
          `${name}: within 1.5 x \`${NODE}\` + 60 ms`,
          ran(outcomes, name).ms,
          1.5 * node + 60,
          (ms) => `${seconds(ms)} s`,
        ),
    ),
  };
}

/** The same job by rules for ninja and make, done once by either; the times of the files suit both. */
async function peersIn(
  work: string,
  parts: readonly string[],
  content: string,
): Promise<readonly Contender[]> {
  const [qcow2, raw] = ['disk-image.qcow2', 'disk-image.raw'];
  const unpack = `cat ${parts.join(' ')} | gzip -dc | tar -xOf - > ${qcow2}`;
  const convert = `qemu-img convert -f qcow2 -O raw ${qcow2} ${raw}`;
  mkdirSync(work, { recursive: true });
  writeFileSync(
    join(work, 'Makefile'),
    `${raw}: ${qcow2}\n\t${convert}\n${qcow2}: ${parts.join(' ')}\n\t${unpack}\n`,
  );
  writeFileSync(
    join(work, 'build.ninja'),
    [
      'rule unpack',
      `  command = ${unpack}`,
      'rule convert',
      `  command = ${convert}`,
      `build ${qcow2}: unpack ${parts.join(' ')}`,
      `build ${raw}: convert ${qcow2}`,
      '',
    ].join('\n'),
  );
  const peer = (program: string, args: readonly string[]): Contender => ({
    name: `${program}, ${content}`,
    cwd: work,
    argv: [program, ...args],
    peer: true,
  });
  const present = ['ninja', 'make'].filter(installed);
  // Ninja goes first: it believes only its own log, make believes the times of files.
  for (const program of present) await race([peer(program, [raw])], { runs: 1 });
  return present.map((program) => peer(program, program === 'make' ? ['-q', raw] : [raw]));
}
