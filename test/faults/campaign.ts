// One case of a campaign: a build at the stage of which something goes wrong outside, and the build after it.
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { ResError } from '../../src/model/error.js';
import type { ErrorReport } from '../../src/model/event.js';
import { type Engine, engineIn } from '../execute/engine.js';
import { seededBytes } from '../rig/random.js';
import { type AssetHandle, type ReleaseServer, startReleaseServer } from '../rig/release-server.js';
import { tarBytes } from '../rig/tar.js';
import { makeWorkspace, type Workspace } from '../rig/workspace.js';
import type { Aim, Ending, FaultKind } from './kinds.js';

export const STAGES = [
  'release',
  'address',
  'API asset',
  'first part',
  'middle part',
  'last part',
  'kernel',
  'sums',
] as const;
export type Stage = (typeof STAGES)[number];

export interface Case {
  readonly kind: FaultKind;
  readonly stage: Stage;
  readonly seed: number;
  readonly lasting: 'few' | 'always';
}

const TOKEN = 'campaign';
/** Seconds; where nothing stalls on purpose, so long that no busy machine makes it. */
const STALL = { short: '0.4', long: '15' };
const MIDDLE = 'image.tar.gz.ab';

const IMAGE = seededBytes('campaign image', 190_000);
const KERNEL = seededBytes('campaign kernel', 70_000);
const ARCHIVE = gzipSync(tarBytes([{ name: 'temp/image', body: IMAGE }]), { level: 0 });
const PART = Math.ceil(ARCHIVE.length / 3);
const ASSETS: Readonly<Record<string, Buffer>> = {
  'image.tar.gz.aa': ARCHIVE.subarray(0, PART),
  [MIDDLE]: ARCHIVE.subarray(PART, 2 * PART),
  'image.tar.gz.ac': ARCHIVE.subarray(2 * PART),
  vmlinux: KERNEL,
  'image.sums': Buffer.from(`${createHash('sha256').update(IMAGE).digest('hex')}  temp/image\n`),
};
const OUTPUTS: Readonly<Record<string, Buffer>> = { image: IMAGE, kernel: KERNEL };

const manifestOf = (repo: string) => {
  const asset = (name: string) => `github: { repo: ${repo}, release: v1, asset: "${name}" }`;
  return `res: 1
artifacts:
  parts: { ${asset('image.tar.gz.*')} }
  kernel: { ${asset('vmlinux')}, output: kernel }
  sums: { ${asset('image.sums')} }
targets:
  archive: { merge: parts }
  image: { extract: archive, member: "**/image", verify: { sums: sums }, output: image }
default: [image, kernel]
`;
};

/** Servers for many cases at once; one of them gives no digests. */
export class Campaign {
  readonly #servers: Promise<{ readonly telling: ReleaseServer; readonly silent: ReleaseServer }>;
  readonly #refusing: string;
  #cases = 0;

  /** @param refusing an address where nobody listens */
  constructor(refusing: string) {
    this.#refusing = refusing;
    this.#servers = this.#start();
  }

  async #start() {
    const options = { tokens: [TOKEN] };
    const [telling, silent] = await Promise.all([
      startReleaseServer(options),
      startReleaseServer({ ...options, digests: false }),
    ]);
    return { telling, silent };
  }

  async close(): Promise<void> {
    const { telling, silent } = await this.#servers;
    await Promise.all([telling.close(), silent.close()]);
  }

  /** Resolves to how the build ended that met the fault. Throws an Error that says what does not hold. */
  async run(o: Case): Promise<Ending[number]> {
    const { telling, silent } = await this.#servers;
    const server = o.seed % 3 === 2 && o.kind.silent !== true ? silent : telling;
    this.#cases += 1;
    const repo = `lab/case-${this.#cases}`;
    const release = await server.release(repo, 'v1', ASSETS);
    if (o.stage === 'API asset') server.makePrivate(repo);
    const work = makeWorkspace(manifestOf(repo));
    try {
      const engine = engineIn(work, {
        GITHUB_API_URL: server.apiUrl,
        RES_STALL_TIMEOUT: o.kind.stalls === true ? STALL.short : STALL.long,
        ...(o.stage === 'API asset' ? { GITHUB_TOKEN: TOKEN } : {}),
      });
      const restore = this.#prepare(
        server,
        `/repos/${repo}/releases/tags/v1`,
        (name) => release.asset(name),
        o,
      );
      const ending = await endingOf(engine);
      if (!o.kind[o.lasting].includes(ending.is)) throw new Error(`ended in ${ending.is}\n${ending.told}`);
      checkError(ending.errors);
      checkOutputs(work, ending.is === 'well');
      checkLeftovers(work);
      restore();
      const after = await endingOf(engine);
      if (after.is !== 'well') throw new Error(`the build after it ended in ${after.is}\n${after.told}`);
      checkOutputs(work, true);
      checkLeftovers(work);
      const partial = filesBelow(work, '.res/partial');
      if (partial.length > 0) throw new Error(`partial downloads stay: ${partial.join(', ')}`);
      return ending.is;
    } finally {
      work.remove();
    }
  }

  /** Sets the faults; what it returns ends them. */
  #prepare(
    server: ReleaseServer,
    api: string,
    asset: (name: string) => AssetHandle,
    { kind, stage, seed, lasting }: Case,
  ): () => void {
    const name = ASSET_OF[stage] ?? MIDDLE;
    const target = targetOf(stage, api, asset(name));
    const chance =
      createHash('sha256').update(`${kind.name} ${stage} ${seed}`).digest().readUInt32BE() / 2 ** 32;
    const size = stage === 'release' ? 1500 : (ASSETS[name]?.length ?? 0);
    const at = [Math.floor(size / 2), 0, size][seed] ?? Math.floor(chance * (size + 1));
    const aim: Aim = { size, at, chance, refusing: this.#refusing };
    const fault = kind.fault(aim);
    // Every other time it meets a download that goes on after a cut.
    const resumed = seed % 2 === 1 && stage !== 'release';
    const content = asset(name).contentPath;
    if (resumed) {
      server.fault(content, { cut: { after: 1 + Math.floor(chance * (size - 2)) } });
      if (target !== content) server.fault(target, {});
    }
    if (lasting === 'always') server.faultAlways(target, fault);
    else server.fault(target, ...Array.from({ length: 1 + (seed % 3) }, () => fault));
    return () => {
      server.heal(target);
      server.heal(content);
      const bytes = ASSETS[name];
      if (fault.replace !== undefined && bytes !== undefined) server.fault(content, { replace: bytes });
    };
  }
}

const ASSET_OF: Readonly<Partial<Record<Stage, string>>> = {
  'first part': 'image.tar.gz.aa',
  'last part': 'image.tar.gz.ac',
  kernel: 'vmlinux',
  sums: 'image.sums',
};

function targetOf(stage: Stage, api: string, asset: AssetHandle): string {
  if (stage === 'release') return api;
  if (stage === 'address') return asset.downloadPath;
  return stage === 'API asset' ? asset.apiPath : asset.contentPath;
}

/** Whether the fault can show at the stage. */
export function applies({ only, body }: FaultKind, stage: Stage): boolean {
  if (stage === 'address' || stage === 'API asset') return only === undefined && !body;
  return only === undefined || stage !== 'release';
}

interface Told {
  readonly is: Ending[number];
  readonly errors: readonly ErrorReport[];
  readonly told: string;
}

async function endingOf(engine: Engine): Promise<Told> {
  try {
    const { result, events } = await engine.events();
    const errors = events.flatMap((event) => (event.type === 'failed' ? [event.error] : []));
    const told = events
      .flatMap((event) => {
        if (event.type === 'failed') return [`${event.node}: ${event.error.message}`];
        return event.type === 'notice' || event.type === 'warning' ? [event.message] : [];
      })
      .join('\n');
    if (result.ok) return { is: 'well', errors, told };
    if (errors.length === 0) throw new Error(`failed without an error: ${JSON.stringify(result)}\n${told}`);
    return { is: codeOf(errors[0]), errors, told };
  } catch (error) {
    if (!(error instanceof ResError)) throw error;
    const { code, message, hint = null, diagnostics } = error;
    const report = { code, message, hint, diagnostics, command: null, log: null };
    return { is: code, errors: [report], told: `${message}\n${hint}` };
  }
}

function codeOf(error: ErrorReport | undefined): Exclude<ErrorReport['code'], 'bug'> {
  if (error === undefined) throw new Error('a build that failed without an error');
  if (error.code === 'bug') throw new Error(error.message);
  return error.code;
}

/** As a user's: it says what to do, and has nothing of the inside of the program in it. */
function checkError(errors: readonly ErrorReport[]): void {
  for (const error of errors) {
    codeOf(error);
    const { message, hint } = error;
    if (hint === null) throw new Error(`no hint: ${message}`);
    if (/^\s+at .*:\d+:\d+/m.test(message) || /\bundefined\b|\[object/.test(`${message} ${hint}`))
      throw new Error(`not for a user: ${message}`);
  }
}

/** What stands under a final name is whole. */
function checkOutputs(work: Workspace, all: boolean): void {
  for (const [name, bytes] of Object.entries(OUTPUTS)) {
    const there = work.exists(`resources/${name}`);
    if (all && !there) throw new Error(`${name} is not there`);
    if (there && !work.read(`resources/${name}`).equals(bytes)) throw new Error(`${name} has wrong bytes`);
  }
}

function checkLeftovers(work: Workspace): void {
  const left = [
    ...filesBelow(work, '.res/tmp'),
    ...filesBelow(work, '.res/store/tmp'),
    ...filesBelow(work, 'resources').filter((name) => !(name.slice('resources/'.length) in OUTPUTS)),
    ...filesBelow(work, '.res').filter((name) => name.endsWith('.tmp')),
  ];
  if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`);
}

function filesBelow(work: Workspace, folder: string): readonly string[] {
  if (!work.exists(folder)) return [];
  return readdirSync(work.path(folder), { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(work.dir, `${entry.parentPath}/${entry.name}`));
}
