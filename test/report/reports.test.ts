// Every table as a person sees it, at 80 columns.
import { describe, expect, it } from 'vitest';
import { resultText } from '../../src/report/build.js';
import { cleanText } from '../../src/report/clean.js';
import { doctorJson, doctorText } from '../../src/report/doctor.js';
import { errorText } from '../../src/report/error.js';
import { gcText } from '../../src/report/gc.js';
import { listText } from '../../src/report/list.js';
import { createPaint } from '../../src/report/paint.js';
import { planJson, planText } from '../../src/report/plan.js';
import { showText } from '../../src/report/show.js';
import { isFresh, statusJson, statusText } from '../../src/report/status.js';
import { width } from '../../src/report/text.js';
import { updateText } from '../../src/report/update.js';
import { verifyText } from '../../src/report/verify.js';
import { whyText } from '../../src/report/why.js';
import { digest, graph, node, nodePlan, page80, plan, recipeChanged, stalePlan, step } from './samples.js';

const planned = {
  plan: stalePlan,
  space: {
    fileSystems: [
      {
        path: '/home/ann/exp/resources',
        neededBytes: 2_600_000_000,
        certainBytes: 0,
        allKnown: true,
        freeBytes: 9e10,
      },
    ],
  },
  unresolved: [],
};

describe('status', () => {
  it('is a row a node, with a word for its state', () => {
    expect(statusText(stalePlan, page80).join('\n')).toBe(
      `NODE        KIND     STATE       SIZE  WHERE, WHY
kernel      github   fresh   41.2 MiB  resources/kernel
disk-parts  github   stale             recipe changed: release: v0.2.0 -> v0.3.0
merged      merge    fresh             not needed now
qcow2       extract  stale             input stale: merged
raw-disk    convert  failed            input changed: qcow2 (+1)

2 fresh, 2 stale, 1 failed`,
    );
  });

  it('says what was changed by hand, what is not of res, and what a run failed with', () => {
    const modified = (detail: string) =>
      nodePlan('raw', 'convert', {
        state: 'modified',
        reasons: [{ code: 'output-modified', detail, subject: '/home/ann/exp/resources/raw' }],
      });
    const failed = nodePlan('raw', 'convert', { state: 'failed', failure: 'no room\nmore of it' });
    const row = (node: ReturnType<typeof nodePlan>) => statusText(plan([node]), page80)[1];
    expect(row(modified('changed by hand'))).toBe('raw   convert  modified  changed by hand: resources/raw');
    expect(row(modified('not made by res'))).toBe('raw   convert  modified  not made by res: resources/raw');
    expect(row(failed)).toBe('raw   convert  failed  last run failed: no room');
  });

  it('cuts a long path in its middle', () => {
    const path = `/home/ann/exp/resources/${'deep/'.repeat(20)}disk-image.raw`;
    const outputs = [{ path, digest: digest('1'), size: 1 }];
    expect(statusText(plan([nodePlan('raw', 'convert', { outputs })]), page80)[1]).toMatch(
      /resources\/deep.*….*\/disk-image\.raw$/,
    );
  });

  it('does not say of what was never built that its inputs are stale', () => {
    const reasons = [
      { code: 'never-built' as const, detail: '' },
      { code: 'input-stale' as const, detail: 'merged', subject: 'merged' },
    ];
    const made = plan([nodePlan('raw', 'convert', { state: 'stale', reasons })]);
    expect(statusText(made, page80)[1]).toBe('raw   convert  stale  never built');
    expect(statusJson(made).nodes[0]?.reasons.map(({ code }) => code)).toEqual([
      'never-built',
      'input-stale',
    ]);
  });

  it('of more nodes than a terminal should list leads with the counts, and lists what is worst first', () => {
    const states = ['fresh', 'cached', 'fresh', 'stale', 'failed', 'modified', 'fresh'] as const;
    const many = plan(states.map((state, i) => nodePlan(`n${i}`, 'copy', { state })));
    const folded = statusText(many, { ...page80, most: 5 });
    expect(folded).toEqual([
      '3 fresh, 1 cached, 1 stale, 1 modified, 1 failed',
      '',
      'NODE  KIND  STATE',
      'n4    copy  failed',
      'n5    copy  modified',
      'n3    copy  stale',
      'n1    copy  cached',
      '',
      '3 more nodes; -v lists all',
    ]);
    expect(statusText(many, { ...page80, most: 7 })).toHaveLength(10);
    const fresh = plan(['a', 'b', 'c'].map((name) => nodePlan(name, 'copy')));
    expect(statusText(fresh, { ...page80, most: 2 })).toEqual(['3 fresh', '3 more nodes; -v lists all']);
  });

  it('has words for a manifest without nodes', () => {
    expect(statusText(plan([]), page80)).toEqual(['the manifest has no nodes']);
  });

  it('says with colours nothing that words do not say', () => {
    const coloured = statusText(stalePlan, { ...page80, paint: createPaint(true) });
    expect(coloured.join('\n')).toContain('\x1b[33mstale\x1b[39m');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours
    expect(coloured.map((line) => line.replace(/\x1b\[\d+m/g, ''))).toEqual(statusText(stalePlan, page80));
  });

  it('is fresh when all that was asked for is, whatever else is not', () => {
    const stale = nodePlan('merged', 'merge', { state: 'stale' });
    expect(isFresh(plan([stale, nodePlan('raw', 'convert')], [], ['raw']))).toBe(true);
    expect(isFresh(plan([stale, nodePlan('raw', 'convert')], [], ['raw', 'merged']))).toBe(false);
  });

  it('counts every state in JSON, also those that do not occur', () => {
    expect(statusJson(stalePlan).summary).toEqual({ fresh: 2, cached: 0, stale: 2, modified: 0, failed: 1 });
  });
});

describe('plan', () => {
  it('is the steps in order, what streams through them, why, and what they cost', () => {
    expect(planText(planned, page80).join('\n')).toBe(
      `#  WORK      NODE               SIZE  WHY
1  download  disk-parts      390 MiB  recipe changed: release: v0.2.0 -> v0.3.0
2  execute   merged → qcow2  2.0 GiB  input stale: merged
3  execute   raw-disk              ?  input stale: qcow2
4  restore   client

4 nodes to run in 3 steps, 1 to restore, 1 fresh; 390 MiB to download; about
  16.2 s beside the download
disk: 2.4 GiB needed, 83.8 GiB free in /home/ann/exp/resources`,
    );
  });

  it('counts a node once that is a step of its own and streams through another one', () => {
    const forced = plan([], [step('merged', 'execute'), step('qcow2', 'execute', { through: ['merged'] })]);
    expect(planJson({ ...planned, plan: forced }).summary).toEqual({ run: 2, restore: 0, fresh: 0 });
  });

  it('names sources that could not be asked once, and why they could not once', () => {
    const unresolved = [
      { node: 'a', message: 'a: no network' },
      { node: 'b', message: 'b: no network' },
    ];
    expect(planText({ ...planned, unresolved }, page80)).toContain('not resolved: a, b: no network');
  });

  it('is not `up to date` where a build would stop', () => {
    const blocked = [{ node: 'a', path: '/home/ann/exp/resources/a', is: 'changed' as const }];
    const stopped = { ...planned, plan: { ...plan([nodePlan('a', 'url', { state: 'modified' })]), blocked } };
    expect(planText(stopped, page80)).toEqual([
      'a build would stop: resources/a was changed by hand; --overwrite replaces it',
    ]);
    expect(planText(stopped, page80, { overwrite: true })).toEqual(['up to date']);
  });

  it('says what room is missing', () => {
    const space = {
      fileSystems: [
        { path: '/data', neededBytes: 3 * 1024 ** 3, certainBytes: 0, allKnown: true, freeBytes: 1024 ** 3 },
      ],
    };
    expect(planText({ ...planned, space }, page80).at(-1)).toBe(
      'disk: 3.0 GiB needed, 1.0 GiB free in /data: 2.0 GiB short',
    );
    const [row] = space.fileSystems;
    const partly = { fileSystems: row ? [{ ...row, allKnown: false }] : [] };
    expect(planText({ ...planned, space: partly }, page80)).toContain(
      'disk: more than 3.0 GiB needed, 1.0 GiB free in /data: 2.0 GiB short',
    );
  });

  it('says what is not known instead of guessing', () => {
    const steps = [step('a', 'download', { downloadBytes: null }), step('b', 'execute')];
    const text = planText({ ...planned, plan: plan([], steps), space: { fileSystems: [] } }, page80);
    expect(text.slice(-2)).toEqual([
      '2 to run, 0 to restore, 0 fresh; size of the download not known yet; time not',
      '  known',
    ]);
    expect(planJson({ ...planned, plan: plan([], steps) })).toMatchObject({
      download_bytes: null,
      expected_ms: null,
    });
  });

  it('is `up to date` when there is nothing to do, and not when a source could not be asked', () => {
    const nothing = { ...planned, plan: plan([nodePlan('a', 'url')]) };
    expect(planText(nothing, page80)).toEqual(['up to date']);
    expect(planText({ ...nothing, unresolved: [{ node: 'a', message: 'offline' }] }, page80)).toEqual([
      'not resolved: a: offline',
      'no other step is known',
    ]);
  });
});

describe('why', () => {
  it('goes from the root cause to the node, with old and new values', () => {
    const chain = [
      { node: 'disk-parts', reasons: [recipeChanged] },
      {
        node: 'merged',
        reasons: [{ code: 'input-stale' as const, detail: 'disk-parts', subject: 'disk-parts' }],
      },
      {
        node: 'qcow2',
        reasons: [
          {
            code: 'input-changed' as const,
            detail: 'merged: 2 of 2 files changed',
            subject: 'merged',
            was: `${digest('1')} ${digest('2')}`,
            now: `${digest('3')} ${digest('4')}`,
          },
        ],
      },
    ];
    expect(whyText({ node: 'qcow2', state: 'stale', reasons: [], chain }, page80).join('\n')).toBe(
      `qcow2 is stale: a build would make it anew

disk-parts (the root cause)
   recipe changed: release
     was  v0.2.0
     now  v0.3.0
└─ merged
      input stale: disk-parts
   └─ qcow2
         input changed: merged
           was  sha256:111111111111…
                sha256:222222222222…
           now  sha256:333333333333…
                sha256:444444444444…`,
    );
  });

  it('is short for a cause of the node itself', () => {
    const reasons = [
      { code: 'output-missing' as const, detail: 'its file is gone', subject: '/exp/disk.raw' },
    ];
    expect(
      whyText({ node: 'raw', state: 'cached', reasons, chain: [{ node: 'raw', reasons }] }, page80),
    ).toEqual([
      'raw is cached: its content is at hand; a build puts it back without work',
      '',
      'output missing: its file is gone',
      '  /exp/disk.raw',
    ]);
  });

  it('does not say of what was never built that it is made anew', () => {
    const reasons = [{ code: 'never-built' as const, detail: '' }];
    const chain = [{ node: 'raw', reasons }];
    expect(whyText({ node: 'raw', state: 'stale', reasons, chain }, page80)).toEqual([
      'raw is stale: a build would make it',
      '',
      'never built',
    ]);
  });

  it('has all of what a run failed with', () => {
    const reasons = [{ code: 'never-built' as const, detail: 'last run failed: no room' }];
    const chain = [{ node: 'raw', reasons }];
    const failure = 'no room\nmake some';
    expect(whyText({ node: 'raw', state: 'failed', reasons, failure, chain }, page80)).toEqual([
      'raw is failed: its last run failed; a build tries again',
      '',
      'last run failed: no room',
      '  make some',
    ]);
  });

  it('is one line for what is fresh', () => {
    const fresh = {
      node: 'raw',
      state: 'fresh' as const,
      reasons: [],
      chain: [{ node: 'raw', reasons: [] }],
    };
    expect(whyText(fresh, page80)).toEqual(['raw is fresh: there is nothing to do for it']);
  });
});

it('list has the nodes, then the support table with the params in force marked', () => {
  expect(listText(graph, [...graph.nodes.keys()], page80).join('\n')).toBe(
    `NODE           KIND     OUTPUT            DESCRIPTION
kernel         github   kernel            Linux, uncompressed
disk-parts     github
disk-sums      github
merged         merge
qcow2          extract  disk-image.qcow2
raw-disk       convert  disk-image.raw
all (default)  group

   VARIANT  OS-VERSION  ARCH   LABEL     STATE         WORKS WITH
*  kernel   focal       amd64  v5.4.84   stable        qemu, gem5
   kernel   jammy       amd64  v5.15.59  experimental  qemu

* with the params in force: arch amd64, os-version focal`,
  );
});

it('show has all that is known of a node', () => {
  const shown = {
    node: node('raw-disk', 'convert', {
      recipe: { convert: 'qcow2', to: 'raw' },
      output: 'disk-image.raw',
      references: [{ role: 'in', node: 'qcow2' }],
      verify: { sha256: 'aa' },
    }),
    plan: nodePlan('raw-disk', 'convert', {
      action: { kind: 'convert', recipe: {}, tools: { 'qemu-img': '7.2.0' }, inputs: [] },
      content: [{ name: 'disk-image.raw', type: 'file', digest: digest('a', 'tree'), size: 8 * 1024 ** 3 }],
      outputs: [
        { path: '/home/ann/exp/resources/disk-image.raw', digest: digest('a', 'tree'), size: 8 * 1024 ** 3 },
      ],
    }),
    output: '/home/ann/exp/resources/disk-image.raw',
    source: undefined,
    lastRun: { at: Date.UTC(2024, 4, 6, 7, 8, 9), durationMs: 2000, status: 'done' as const },
    log: '/home/ann/exp/.res/logs/raw-disk.log',
    sha256: ['b'.repeat(64)],
  };
  expect(showText(shown, page80).join('\n')).toBe(
    `raw-disk
state    fresh
kind     convert (target)
recipe   convert: qcow2
         to: raw
verify   sha256: aa
inputs   qcow2
tools    qemu-img: 7.2.0
key      ab12
output   resources/disk-image.raw
content  resources/disk-image.raw  8.0 GiB (8589934592 bytes)
         ${digest('a', 'tree')}
         sha256:${'b'.repeat(64)}
last run done in 2.0 s, 2024-05-06 07:08:09 UTC
log      .res/logs/raw-disk.log`,
  );
});

it('show has a field of a recipe a line, named as `why` names it, and fits into 80 columns', () => {
  const recipe = { github: { repo: 'o/r', asset: ['a', 'b'] }, parts: [{ url: 'https://x/' }], strip: 1 };
  const shown = {
    node: node('kernel', 'github', { recipe, section: 'artifact' }),
    plan: nodePlan('kernel', 'github', {
      content: [{ name: 'k', type: 'file', digest: digest('a'), size: 1 }],
      outputs: [{ path: null, digest: digest('a'), size: 1 }],
    }),
    output: null,
    source: undefined,
    lastRun: undefined,
    log: undefined,
    sha256: undefined,
  };
  const lines = showText(shown, page80);
  expect(lines.slice(3, 8)).toEqual([
    'recipe   github.repo: o/r',
    '         github.asset: a, b',
    '         parts[0].url: https://x/',
    '         strip: 1',
    'key      ab12',
  ]);
  for (const line of lines) expect(width(line)).toBeLessThanOrEqual(80);
});

it('show makes no figures up: no duration of a failure, no run of a file of the workspace', () => {
  const shown = {
    node: node('kernel', 'url', { recipe: { url: 'https://example.org/k' }, section: 'artifact' }),
    plan: nodePlan('kernel', 'url', { state: 'failed' }),
    output: null,
    source: { id: 'url:https://example.org/k', entry: undefined },
    lastRun: { at: Date.UTC(2024, 4, 6, 7, 8, 9), durationMs: 0, status: 'failed' as const },
    log: undefined,
    sha256: undefined,
  };
  expect(showText(shown, page80)).toContain('last run failed, 2024-05-06 07:08:09 UTC');
  const file = { ...shown, source: undefined, lastRun: undefined };
  expect(showText(file, page80).join('\n')).not.toContain('last run');
});

describe('a build ends with', () => {
  const result = {
    ok: true,
    ran: ['a', 'b', 'c'],
    restored: ['d'],
    fresh: ['e', 'f'],
    failed: [],
    skipped: [],
    downloaded_bytes: 409_000_000,
    duration_ms: 14_200,
  };
  it('what it did', () => {
    expect(resultText(result)).toBe('3 ran, 1 restored, 2 fresh; 390 MiB downloaded; 14.2 s');
  });
  it('`up to date` when there was nothing to do', () => {
    expect(resultText({ ...result, ran: [], restored: [], downloaded_bytes: 0 })).toBe('up to date');
  });
  it('its failures, also when nothing else happened', () => {
    const failed = {
      ...result,
      ok: false,
      ran: [],
      restored: [],
      failed: ['a'],
      skipped: ['b'],
      downloaded_bytes: 0,
    };
    expect(resultText(failed)).toBe('0 ran, 2 fresh, 1 failed (a), 1 skipped; 14.2 s');
  });
});

it('update says what changed and what did not', () => {
  const sources = [
    { source: 'github:o/r@latest/k', change: 'changed' as const, details: ['tag v0.2.0 -> v0.3.0'] },
    { source: 'url:https://example.org/x', change: 'unchanged' as const, details: [] },
  ];
  expect(updateText({ sources }, page80)).toEqual([
    'changed   github:o/r@latest/k',
    '          tag v0.2.0 -> v0.3.0',
    '1 source of 2 changed in the lock, 1 unchanged',
  ]);
  expect(updateText({ sources: sources.slice(1) }, page80)).toEqual(['1 source asked, nothing changed']);
});

it('verify names what does not hold', () => {
  const ok = {
    path: '/a',
    place: 'store' as const,
    node: null,
    state: 'ok' as const,
    expected: 'x',
    actual: 'x',
    size: 1,
  };
  const bad = {
    ...ok,
    path: '/home/ann/exp/resources/k',
    place: 'output' as const,
    node: 'k',
    state: 'mismatch' as const,
    actual: 'y',
  };
  expect(verifyText({ ok: true, checked: [], bytes: 0 }, page80)).toEqual([
    '0 files checked: res has made nothing of it here yet',
  ]);
  expect(verifyText({ ok: true, checked: [ok], bytes: 1 }, page80)).toEqual([
    '1 file checked, 1 B: all as recorded',
  ]);
  const modified = { ...bad, change: 'modified' as const };
  expect(verifyText({ ok: false, checked: [ok, modified], bytes: 2 }, page80)).toEqual([
    'modified resources/k (k, output)',
    '         expected x',
    '         found    y',
    '2 files checked, 2 B: 1 not as recorded',
    '  hint: `res build --overwrite` replaces what was changed by hand, `--as-is`',
    '        accepts it.',
  ]);
  const damaged = { ...ok, state: 'mismatch' as const, change: 'damaged' as const };
  expect(verifyText({ ok: false, checked: [damaged], bytes: 1 }, page80).slice(-1)).toEqual([
    '  hint: `res verify --repair` mends what is damaged or missing.',
  ]);
});

it('verify --repair says what it did, and what that cost and saved', () => {
  const mended = { path: '/home/ann/exp/resources/k', place: 'output' as const, node: 'k' };
  const repair = {
    mended: [
      { ...mended, by: 'ranges' as const, fetchedBytes: 1024, savedBytes: 3072 },
      { ...mended, by: 'download' as const, fetchedBytes: 4096, savedBytes: 0 },
      { ...mended, by: 'build' as const, fetchedBytes: 0, savedBytes: 0 },
    ],
    removed: [{ path: '/home/ann/exp/.res/store/tree/ab', size: 2048 }],
    kept: [{ path: '/home/ann/exp/resources/d', node: 'd', why: 'changed by hand' }],
    failed: [{ what: 'data', message: 'not built', hint: 'Do this.' }],
    fetchedBytes: 5120,
    savedBytes: 3072,
  };
  expect(verifyText({ ok: false, checked: [], bytes: 0, repair }, page80)).toEqual([
    'mended   resources/k (k): 1.0 KiB fetched, 3.0 KiB saved',
    'fetched  resources/k (k): 4.0 KiB',
    'rebuilt  resources/k (k)',
    'removed  .res/store/tree/ab (2.0 KiB)',
    'kept     resources/d: changed by hand',
    'failed   data: not built',
    '  hint: Do this.',
    '0 files checked, 0 B: all as recorded; 5.0 KiB fetched, 3.0 KiB saved',
  ]);
});

it('clean says what went and what was kept', () => {
  const report = {
    removed: [{ path: '/home/ann/exp/resources/k', size: 2048 }],
    kept: ['/home/ann/exp/resources/d'],
    freedBytes: 2048,
    sharedStore: null,
  };
  const lines = [
    'removed resources/k (2.0 KiB)',
    'kept resources/d: changed by hand; --force removes it',
    '1 file removed, 2.0 KiB freed',
  ];
  expect(cleanText(report, page80)).toEqual(lines);
  expect(cleanText({ ...report, sharedStore: '/srv/res' }, page80)).toEqual([
    ...lines,
    'kept the store /srv/res: others may use it',
    '  hint: `res gc` removes what no workspace refers to.',
  ]);
});

describe('gc', () => {
  const gone = {
    dryRun: false,
    store: '/home/ann/exp/.res/store',
    removed: [
      { what: 'partials' as const, count: 1, bytes: 4096 },
      { what: 'objects' as const, count: 12, bytes: 3 * 1024 ** 3 },
    ],
    objects: [
      {
        path: '/home/ann/exp/.res/store/cas/ab/abcd',
        digest: digest('1'),
        node: 'raw-disk',
        name: 'disk-image.raw',
        bytes: 2048,
        lastUse: 0,
        referenced: false,
      },
    ],
    spared: [],
    freedBytes: 3 * 1024 ** 3 + 4096,
    left: { objects: 1, bytes: 2048 },
    maxSize: null,
  };

  it('says what went, objects first, and what is left', () => {
    const table = [
      'REMOVED               NUMBER     SIZE',
      'objects in the store      12  3.0 GiB',
      'partial downloads          1  4.0 KiB',
      '3.0 GiB freed; 1 object left, 2.0 KiB',
    ];
    expect(gcText(gone, page80, { verbose: false })).toEqual(table);
    expect(gcText(gone, page80, { verbose: true })).toEqual([
      'removed .res/store/cas/ab/abcd (raw-disk, disk-image.raw, 2.0 KiB)',
      ...table,
    ]);
  });

  it('says what would go', () => {
    const [object] = gone.objects;
    const one = { ...gone, dryRun: true, objects: object ? [{ ...object, node: null, name: null }] : [] };
    expect(gcText(one, page80, { verbose: true })).toEqual([
      'would remove .res/store/cas/ab/abcd (2.0 KiB)',
      'WOULD GO              NUMBER     SIZE',
      'objects in the store      12  3.0 GiB',
      'partial downloads          1  4.0 KiB',
      '3.0 GiB would be freed; 1 object left, 2.0 KiB',
    ]);
  });

  it('says what it left although it was to go, and that the store is too large still', () => {
    const spared = [
      { path: '/home/ann/exp/.res/store/cas/cd/cdef', why: 'in-use' as const },
      { path: '/home/ann/exp/.res/store/cas/ef/ef01', why: 'not-permitted' as const },
    ];
    const report = { ...gone, removed: [], objects: [], spared, freedBytes: 0, maxSize: 1024 };
    expect(gcText(report, page80, { verbose: false })).toEqual([
      'left .res/store/cas/cd/cdef: a build is using it',
      "left .res/store/cas/ef/ef01: it is another user's",
      'nothing to remove; 1 object left, 2.0 KiB',
      'warning: that is more than 1.0 KiB: the rest is in use, or kept by',
      '  `keep: always`',
    ]);
  });
});

it('doctor has a word for each state and what to do below', () => {
  const checks = [
    { name: 'node', state: 'ok' as const, detail: 'v20.19.0', hint: null },
    { name: 'qemu-img', state: 'fail' as const, detail: 'not on PATH', hint: 'run `res doctor --fix`' },
  ];
  expect(doctorText(checks, page80)).toEqual([
    'ok    node      v20.19.0',
    'fail  qemu-img  not on PATH',
    '                run `res doctor --fix`',
  ]);
  const long = [
    { name: 'network', state: 'warn' as const, detail: 'no '.repeat(40), hint: 'go '.repeat(40) },
  ];
  for (const line of doctorText(long, page80)) expect(width(line)).toBeLessThanOrEqual(80);
  expect(doctorJson(checks).ok).toBe(false);
  expect(doctorJson(checks.slice(0, 1)).ok).toBe(true);
});

describe('a failure', () => {
  const report = {
    code: 'command-failed' as const,
    message: 'qemu-img failed',
    hint: 'free some space',
    diagnostics: [],
    command: {
      argv: ['qemu-img', 'convert', '-O', 'raw', 'a b.qcow2', 'x'],
      exitCode: 1,
      tail: ['one', 'two\x1b[2J'],
    },
    log: '/home/ann/exp/.res/logs/raw-disk.log',
  };
  it('shows node, command line, exit status, last lines, log and hint', () => {
    expect(errorText(report, page80, 'raw-disk').join('\n')).toBe(
      `failed: raw-disk: qemu-img failed
  command: qemu-img convert -O raw 'a b.qcow2' x
  ended: exit status 1
  last lines of its output:
  | one
  | two
  log: .res/logs/raw-disk.log
  hint: free some space`,
    );
  });
  it('names the signal of what was killed', () => {
    const killed = { ...report, command: { argv: ['x'], signal: 'SIGKILL', tail: [] } };
    expect(errorText(killed, page80)).toContain('  ended: killed by SIGKILL');
  });
  it('of several things at once has each on lines of its own, the first one with its hint', () => {
    const several = {
      ...report,
      command: null,
      log: null,
      message: 'a: not at hand\nb: not at hand',
      hint: 'get a\nget b',
      diagnostics: [{ message: 'no node is called `c`', hint: 'did you mean `cc`?' }],
    };
    expect(errorText(several, page80)).toEqual([
      'error: a: not at hand',
      '  b: not at hand',
      '  hint: get a',
      '        get b',
      'error: no node is called `c`',
      '  hint: did you mean `cc`?',
    ]);
  });
  it('is wrapped to the page, with the caret under its place', () => {
    const text = `${'x'.repeat(60)} ${'y'.repeat(60)}`;
    const location = { file: 'resources.yaml', line: 3, column: 62, text, length: 60 };
    const hint = 'Write it in another way, one that is so much better that it needs many words to say.';
    const lines = errorText(
      {
        code: 'manifest-invalid',
        message: 'resources.yaml has 1 error',
        hint: null,
        diagnostics: [{ message: `nothing is called ${'so '.repeat(20)}`, location, hint }],
        command: null,
        log: null,
      },
      page80,
    );
    for (const line of lines) expect(width(line)).toBeLessThanOrEqual(80);
    const caret = lines.findIndex((line) => line.includes('^'));
    expect(lines[caret - 1]?.[lines[caret]?.indexOf('^') ?? 0]).toBe('y');
    expect(lines[caret - 1]?.[(lines[caret]?.indexOf('^') ?? 0) - 1]).toBe(' ');
    expect(lines.slice(caret + 1)).toEqual([
      '  hint: Write it in another way, one that is so much better that it needs many',
      '        words to say.',
    ]);
  });
  it('of a manifest is told by each of its complaints', () => {
    const location = { file: 'resources.yaml', line: 3, column: 5, text: '    marge: a', length: 5 };
    const diagnostics = [
      { message: 'no kind is called `marge`', location, hint: 'did you mean `merge`?' },
      { message: 'second', location: { ...location, line: 9 } },
    ];
    const lines = errorText(
      {
        code: 'manifest-invalid',
        message: 'resources.yaml has 2 errors',
        hint: null,
        diagnostics,
        command: null,
        log: null,
      },
      page80,
    );
    expect(lines[0]).toBe('resources.yaml:3:5: error: no kind is called `marge`');
    expect(lines.filter((line) => line.includes(': error: '))).toHaveLength(2);
    expect(lines.join('\n')).toContain('^~~~~');
  });
});

it('tables fit into 80 columns', () => {
  const long = 'a-name-that-is-longer-than-anybody-would-ever-want-to-type-in-a-shell';
  const nodes = [nodePlan(long, 'decompress', { reasons: [recipeChanged, recipeChanged], state: 'stale' })];
  const steps = [step(long, 'execute', { through: [long, long], reasons: [recipeChanged] })];
  const table = planText({ ...planned, plan: plan(nodes, steps) }, page80).slice(0, 2);
  for (const line of [...statusText(plan(nodes), page80), ...table]) {
    expect(width(line)).toBeLessThanOrEqual(80);
  }
});
