// There and back: another architecture and the former one again, and a build after nothing but time stamps changed. Against make
// with the same files, which knows times only.
import { cpSync, mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { JOB_SIZES, type JobSize, jobDisk, MEMBER, makeJob } from './main-job.js';
import { type Contender, installed, nextTick, race, ran, seconds, versions } from './measure.js';
import { gunzip, RES } from './peers.js';
import { type BenchOptions, cellsOf, mib, ratio, type Section, type Size, table } from './report.js';

const SIZES: Readonly<Record<Size, JobSize>> = {
  tiny: JOB_SIZES.tiny,
  small: JOB_SIZES.small,
  full: { contentMiB: 512, diskMiB: 4096, partMiB: 64 },
};
const ARCHS = ['amd64', 'arm64'] as const;

export function diskNeeded({ size }: Pick<BenchOptions, 'size'>): number {
  return jobDisk(SIZES[size]) * 2;
}

const MANIFEST = `
res: 1
params:
  arch: { default: amd64, enum: [${ARCHS.join(', ')}] }
artifacts:
  parts: { path: "release/\${arch}/*" }
targets:
  merged:   { merge: parts }
  qcow2:    { extract: merged, member: ${MEMBER}, output: disk-image.qcow2 }
  raw-disk: { convert: qcow2, to: raw, output: disk-image.raw }
default: [raw-disk]
`;

/** As people write it who know that make does not see variables: a file that holds the architecture, written when it changes. */
const makefile = () => `
ARCH ?= amd64
disk-image.raw: disk-image.qcow2
\tqemu-img convert -f qcow2 -O raw $< $@
disk-image.qcow2: $(sort $(wildcard release/$(ARCH)/*)) arch
\tcat $(filter-out arch,$^) | ${gunzip()} | tar -xOf - ${MEMBER} > $@
arch: FORCE
\t@echo $(ARCH) | cmp -s - $@ || echo $(ARCH) > $@
FORCE:
`;

export async function run({ folder, size, runs, say }: BenchOptions): Promise<Section> {
  const place = join(folder, 'switch');
  try {
    say('making the disk images of two architectures');
    for (const arch of ARCHS) {
      const job = await makeJob(folder, SIZES[size], arch);
      for (const tool of ['res', 'make'])
        for (const [i, part] of job.parts.entries())
          cpSync(part, target(join(place, tool, 'release', arch), `part.${String(i).padStart(3, '0')}`));
    }
    writeFileSync(join(place, 'res', 'resources.yaml'), MANIFEST);
    writeFileSync(join(place, 'make', 'Makefile'), makefile());

    const res = toolRuns('res', join(place, 'res'), (arch) => [...RES, 'build', '-q', '--arch', arch]);
    const make = installed('make')
      ? toolRuns('make', join(place, 'make'), (arch) => ['make', '-s', `ARCH=${arch}`])
      : [];
    say('first builds');
    const first = await race([...first2(res), ...first2(make)], { runs: 1 });
    say('there and back');
    const rest = await race([...after(res), ...after(make)], { runs });
    const outcomes = new Map([...first, ...rest]);
    const row = (what: string) => {
      const mine = ran(outcomes, `res: ${what}`);
      const theirs = outcomes.get(`make: ${what}`);
      return [
        what,
        seconds(mine.ms),
        mib(mine.writtenBytes),
        ...(theirs === undefined
          ? ['not installed']
          : cellsOf(theirs, (of) => [seconds(of.ms), mib(of.writtenBytes), ratio(of.ms, mine.ms)])),
      ];
    };
    const { contentMiB, diskMiB } = SIZES[size];
    return {
      title: 'There and back',
      blocks: [
        `Two variants of one output, ${contentMiB} MiB of content in a disk of ${diskMiB} MiB each, from parts that lie in the workspace. First builds once, the others medians of ${runs}. ${versions(['make', 'pigz', 'tar', 'qemu-img'])}.`,
        table(['', 'res, s', 'written MiB', 'make, s', 'written MiB', 'make of res'], WHATS.map(row)),
        'res keeps what an output held before and puts it back by rename; it reads a file again whose time stamp is new, and makes nothing when it holds what it held.',
      ],
      goals: [],
    };
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

const [ONE, OTHER] = ARCHS;
const WHATS = [
  `first build, ${ONE}`,
  `first build, ${OTHER}`,
  `back to ${ONE}`,
  `${OTHER} again`,
  'after touch of the parts',
  'nothing to do',
] as const;

/** In the order of WHATS, which is that in which they must run. */
function toolRuns(
  tool: string,
  cwd: string,
  build: (arch: string) => readonly [string, ...string[]],
): readonly Contender[] {
  const arch = [ONE, OTHER, ONE, OTHER, OTHER, OTHER];
  return WHATS.map((what, i) => ({
    name: `${tool}: ${what}`,
    cwd,
    argv: build(arch[i] ?? ONE),
    before: async () => {
      await nextTick();
      if (what === 'after touch of the parts') touch(join(cwd, 'release', OTHER));
    },
  }));
}

const first2 = (runs: readonly Contender[]) => runs.slice(0, 2);
const after = (runs: readonly Contender[]) => runs.slice(2);

function touch(folder: string): void {
  const now = new Date();
  for (const name of readdirSync(folder)) utimesSync(join(folder, name), now, now);
}

function target(folder: string, name: string): string {
  mkdirSync(folder, { recursive: true });
  return join(folder, name);
}
