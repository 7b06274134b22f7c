import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import type { NodeState } from '../../src/model/plan.js';
import { graphDot } from '../../src/report/graph-dot.js';
import { drawing } from '../../src/report/graph-edges.js';
import { graphJson } from '../../src/report/graph-json.js';
import { graphMermaid } from '../../src/report/graph-mermaid.js';
import { graphText } from '../../src/report/graph-text.js';
import { graph, page80 } from './samples.js';

const states: Record<string, NodeState> = { kernel: 'fresh', 'raw-disk': 'stale' };
const picture = drawing(graph, graph.order, ['all'], (name) => states[name] ?? null);

it('as text is a tree with what was asked for at its top, and shows a shared part once', () => {
  const twice = drawing(graph, graph.order, ['all', 'qcow2'], (name) => states[name] ?? null);
  expect(graphText(twice, page80).join('\n')).toBe(`all  group
├─ kernel  github  fresh  → kernel
└─ raw-disk  convert  stale  → disk-image.raw
   └─ qcow2  extract  → disk-image.qcow2
      ├─ merged  merge
      │  └─ disk-parts  github
      └─ disk-sums  github, as sums
qcow2  extract  → disk-image.qcow2 (as above)`);
});

describe('as dot', () => {
  const text = graphDot(picture).join('\n');
  it('has every node with its state, and edges from input to user', () => {
    expect(text).toContain('"raw-disk" [label="raw-disk\\nconvert\\nstale", fillcolor="#fff3c4"];');
    expect(text).toContain('"disk-parts" -> "merged";');
    expect(text).toContain('"disk-sums" -> "qcow2" [label="sums", style=dashed];');
  });
  it('is read by Graphviz', ({ skip }) => {
    try {
      execFileSync('dot', ['-V'], { stdio: 'ignore' });
    } catch {
      skip('dot is not installed');
    }
    expect(() => execFileSync('dot', ['-Tsvg'], { input: text })).not.toThrow();
  });
});

it('as mermaid goes by numbers, for node names may be its own words', () => {
  const text = graphMermaid(picture).join('\n');
  expect(text).toMatch(/^flowchart LR\n/);
  expect(text).toContain('n0[("kernel<br>github<br>fresh")]:::fresh');
  expect(text).toContain('n1 --> n3');
  expect(text).toContain('n2 -. "sums" .-> n4');
  expect(text).toContain('classDef stale fill:#fff3c4');
});

it('as JSON has nodes and edges', () => {
  expect(graphJson(picture).edges).toContainEqual({ from: 'qcow2', to: 'raw-disk', role: 'in' });
  expect(graphJson(picture).nodes).toHaveLength(7);
});

it('draws nothing that was not asked for', () => {
  const part = drawing(graph, ['disk-parts', 'merged'], ['merged'], () => null);
  expect(graphText(part, page80)).toEqual(['merged  merge', '└─ disk-parts  github']);
});
