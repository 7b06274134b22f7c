// A small plan and its graph, as data: what the tables are tried on.
import type { Digest } from '../../src/model/digest.js';
import type { Graph } from '../../src/model/graph.js';
import type { Node } from '../../src/model/node.js';
import type { NodePlan, Plan, Reason, Step } from '../../src/model/plan.js';
import { type Page, plainPaint } from '../../src/report/paint.js';

export const page80: Page = {
  paint: plainPaint,
  width: 80,
  most: Number.POSITIVE_INFINITY,
  path: (absolute) => absolute.replace('/home/ann/exp/', ''),
};

export const digest = (digit: string, algorithm: 'sha256' | 'tree' = 'sha256'): Digest =>
  `${algorithm}:${digit.repeat(64)}`;

const nowhere = { file: 'resources.yaml', line: 1, column: 1, text: '', length: 1 };

export function node(name: string, kind: string, rest: Partial<Node> = {}): Node {
  return {
    name,
    section: ['url', 'github', 'path', 'parts'].includes(kind) ? 'artifact' : 'target',
    kind,
    recipe: {},
    executable: false,
    keep: 'auto',
    variants: [],
    references: [],
    locate: () => nowhere,
    ...rest,
  };
}

export function nodePlan(name: string, kind: string, rest: Partial<NodePlan> = {}): NodePlan {
  return {
    name,
    kind,
    state: 'fresh',
    reasons: [],
    key: 'ab12',
    action: null,
    content: null,
    present: true,
    outputs: [],
    ...rest,
  };
}

export function step(name: string, work: Step['work'], rest: Partial<Step> = {}): Step {
  return {
    node: name,
    work,
    reasons: [],
    through: [],
    downloadBytes: 0,
    writeBytes: null,
    expectedMs: null,
    ...rest,
  };
}

export function plan(
  nodes: readonly NodePlan[],
  steps: readonly Step[] = [],
  requested?: readonly string[],
): Plan {
  return {
    requested: requested ?? nodes.map(({ name }) => name),
    nodes: new Map(nodes.map((each) => [each.name, each])),
    steps,
    blocked: [],
  };
}

const input = (name: string) => ({ role: 'in', node: name });

export const graph: Graph = {
  manifest: {
    file: '/home/ann/exp/resources.yaml',
    dir: '/home/ann/exp',
    name: 'vswarm-u',
    files: [],
    outputDir: '/home/ann/exp/resources',
    params: [
      { name: 'arch', default: 'amd64', enum: ['amd64', 'arm64'] },
      { name: 'os-version', default: 'focal' },
    ],
    paramValues: { arch: 'amd64', 'os-version': 'focal' },
    nodes: [],
    defaults: ['all'],
    exports: { RESOURCES: '/home/ann/exp/resources' },
    pools: {},
    mirrors: [],
    locate: () => nowhere,
  },
  nodes: new Map(
    [
      node('kernel', 'github', {
        output: 'kernel',
        description: 'Linux, uncompressed',
        variants: [
          {
            when: { 'os-version': 'focal', arch: 'amd64' },
            label: 'v5.4.84',
            state: 'stable',
            worksWith: ['qemu', 'gem5'],
          },
          {
            when: { 'os-version': 'jammy', arch: 'amd64' },
            label: 'v5.15.59',
            state: 'experimental',
            worksWith: ['qemu'],
          },
        ],
      }),
      node('disk-parts', 'github'),
      node('disk-sums', 'github'),
      node('merged', 'merge', { references: [input('disk-parts')] }),
      node('qcow2', 'extract', {
        output: 'disk-image.qcow2',
        references: [input('merged'), { role: 'sums', node: 'disk-sums' }],
      }),
      node('raw-disk', 'convert', { output: 'disk-image.raw', references: [input('qcow2')] }),
      node('all', 'group', { references: [input('kernel'), input('raw-disk')] }),
    ].map((each) => [each.name, each]),
  ),
  order: ['kernel', 'disk-parts', 'disk-sums', 'merged', 'qcow2', 'raw-disk', 'all'],
};

export const recipeChanged: Reason = {
  code: 'recipe-changed',
  detail: 'release: v0.2.0 -> v0.3.0',
  subject: 'release',
  was: 'v0.2.0',
  now: 'v0.3.0',
};

export const stalePlan = plan(
  [
    nodePlan('kernel', 'github', {
      content: [{ name: 'vmlinux', type: 'file', digest: digest('1'), size: 43_200_000 }],
      outputs: [{ path: '/home/ann/exp/resources/kernel', digest: digest('1'), size: 43_200_000 }],
    }),
    nodePlan('disk-parts', 'github', { state: 'stale', reasons: [recipeChanged] }),
    nodePlan('merged', 'merge', { present: false }),
    nodePlan('qcow2', 'extract', {
      state: 'stale',
      reasons: [{ code: 'input-stale', detail: 'merged', subject: 'merged' }],
      key: null,
    }),
    nodePlan('raw-disk', 'convert', {
      state: 'failed',
      reasons: [
        { code: 'input-changed', detail: 'qcow2: sha256:11111111… -> sha256:22222222…', subject: 'qcow2' },
        {
          code: 'tool-changed',
          detail: 'qemu-img: 7.2.0 -> 8.0.2',
          subject: 'qemu-img',
          was: '7.2.0',
          now: '8.0.2',
        },
      ],
    }),
  ],
  [
    step('disk-parts', 'download', {
      reasons: [recipeChanged],
      downloadBytes: 409_000_000,
      writeBytes: 409_000_000,
    }),
    step('qcow2', 'execute', {
      through: ['merged'],
      reasons: [{ code: 'input-stale', detail: 'merged' }],
      writeBytes: 2_200_000_000,
      expectedMs: 14_200,
    }),
    step('raw-disk', 'execute', { reasons: [{ code: 'input-stale', detail: 'qcow2' }], expectedMs: 2_000 }),
    step('client', 'restore'),
  ],
  ['kernel', 'raw-disk'],
);
