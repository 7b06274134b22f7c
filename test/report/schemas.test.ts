// Every JSON shape holds to its schema, and the schemas would notice if it did not.
import { describe, expect, it } from 'vitest';
import type { BuildEvent } from '../../src/model/event.js';
import { cleanJson } from '../../src/report/clean.js';
import { doctorJson } from '../../src/report/doctor.js';
import { envReport } from '../../src/report/env.js';
import { gcJson } from '../../src/report/gc.js';
import { drawing } from '../../src/report/graph-edges.js';
import { graphJson } from '../../src/report/graph-json.js';
import { historyJson } from '../../src/report/history.js';
import { listJson } from '../../src/report/list.js';
import { planJson } from '../../src/report/plan.js';
import { showJson } from '../../src/report/show.js';
import { statusJson } from '../../src/report/status.js';
import { verifyJson } from '../../src/report/verify.js';
import { whyJson } from '../../src/report/why.js';
import { validator } from '../rig/schemas.js';
import { buildRecord, recorded } from './records.js';
import { digest, graph, node, nodePlan, recipeChanged, stalePlan } from './samples.js';

const result = {
  ok: true,
  ran: ['a'],
  restored: [],
  fresh: ['b'],
  failed: [],
  skipped: [],
  downloaded_bytes: 1,
  duration_ms: 2,
};

const reports: Record<string, unknown> = {
  status: statusJson(stalePlan),
  plan: planJson({
    plan: { ...stalePlan, blocked: [{ node: 'a', path: '/a', is: 'changed' }] },
    space: { fileSystems: [{ path: '/', neededBytes: 1, certainBytes: 0, allKnown: true, freeBytes: 2 }] },
    unresolved: [{ node: 'a', message: 'offline' }],
  }),
  why: whyJson({
    node: 'a',
    state: 'stale',
    reasons: [recipeChanged],
    chain: [{ node: 'a', reasons: [recipeChanged, { code: 'forced', detail: '' }] }],
  }),
  history: historyJson([buildRecord([recorded('a', [], [[0, 1]])])]),
  list: listJson(graph, graph.order),
  show: showJson({
    node: node('kernel', 'github', { recipe: { github: { repo: 'o/r' } }, verify: { sums: 's' } }),
    plan: nodePlan('kernel', 'github', { outputs: [{ path: null, digest: digest('1'), size: 1 }] }),
    output: null,
    source: { id: 'github:o/r', entry: { tag: 'v1', files: [{ name: 'k', url: 'https://example.org/k' }] } },
    lastRun: { at: 0, durationMs: 1, status: 'failed', error: 'kernel: no' },
    log: undefined,
    sha256: [null],
  }),
  graph: graphJson(drawing(graph, graph.order, ['all'], () => null)),
  verify: verifyJson({
    ok: false,
    checked: [
      { path: '/a', place: 'store', node: null, state: 'missing', expected: 'x', actual: null, size: 1 },
      {
        ...{ path: '/a', place: 'output', node: 'a', state: 'mismatch', change: 'damaged' },
        ...{ expected: 'x', actual: 'y', size: 1 },
      },
    ],
    bytes: 1,
    repair: {
      mended: [{ path: '/a', place: 'output', node: 'a', by: 'ranges', fetchedBytes: 1, savedBytes: 2 }],
      removed: [{ path: '/b', size: 1 }],
      kept: [{ path: '/c', node: 'c', why: 'changed' }],
      failed: [{ what: 'd', message: 'no', hint: null }],
      fetchedBytes: 1,
      savedBytes: 2,
    },
  }),
  update: { sources: [{ source: 's', change: 'added', details: [] }] },
  clean: cleanJson({ removed: [{ path: '/a', size: 1 }], kept: ['/b'], freedBytes: 1, sharedStore: '/s' }),
  gc: gcJson({
    dryRun: true,
    store: '/s',
    removed: [{ what: 'objects', count: 1, bytes: 1 }],
    objects: [
      { path: '/a', digest: digest('1'), node: null, name: 'k', bytes: 1, lastUse: 0, referenced: false },
    ],
    spared: [{ path: '/b', why: 'in-use' }],
    freedBytes: 1,
    left: { objects: 1, bytes: 2 },
    maxSize: null,
  }),
  env: envReport(graph.manifest, graph.nodes.values()).variables,
  doctor: doctorJson([{ name: 'node', state: 'ok', detail: 'v20', hint: null }]),
  build: result,
};

describe.each(Object.entries(reports))('%s --json', (name, report) => {
  const check = validator(name);
  it('holds to its schema', () => {
    expect(check(report)).toEqual([]);
  });
  it('would not with another field, or another type', () => {
    expect(check({ ...Object(report), 'not a field': 1 })).not.toEqual([]);
    expect(check([report])).not.toEqual([]);
  });
});

const events: readonly BuildEvent[] = [
  { type: 'waiting', for: 'process 1' },
  { type: 'resolving', source: 'github:o/r' },
  { type: 'planned', run: 1, restore: 0, fresh: 2, download_bytes: null },
  { type: 'started', node: 'a', work: 'download', detail: 'a', through: ['b'] },
  { type: 'progress', node: 'a', done: 12.5, total: 100, unit: 'percent' },
  { type: 'notice', node: 'a', message: 'again' },
  { type: 'output', node: 'a', text: 'line' },
  {
    type: 'finished',
    node: 'a',
    work: 'execute',
    duration_ms: 1,
    size: 2,
    digests: [digest('1', 'tree')],
    output: null,
  },
  { type: 'skipped', node: 'a', because: 'b' },
  {
    type: 'failed',
    node: 'a',
    error: {
      code: 'command-failed',
      message: 'm',
      hint: null,
      diagnostics: [
        { message: 'd', location: { file: 'f', line: 1, column: 1, text: '', length: 1 }, hint: 'h' },
      ],
      command: { argv: ['x'], exitCode: 1, tail: ['t'] },
      log: '/l',
    },
  },
  { type: 'warning', message: 'w', hint: null },
  { type: 'summary', ...result },
  { type: 'changed', files: [{ path: '/a', change: 'new' }] },
  { type: 'watching', files: 3 },
];

describe('an event', () => {
  const check = validator('events');
  it.each(events.map((event) => [event.type, event] as const))('%s holds to the schema', (_, event) => {
    expect(check(event)).toEqual([]);
  });
  it('of another type does not', () => {
    expect(check({ type: 'exploded', node: 'a' })).not.toEqual([]);
  });
});
