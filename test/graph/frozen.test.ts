// A graph as text and back is the same graph.
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { freezeGraph, thawGraph } from '../../src/graph/frozen.js';
import { loadGraph } from '../../src/graph/load.js';
import type { Matrix } from '../../src/graph/matrix.js';
import type { Graph } from '../../src/model/graph.js';
import type { Node } from '../../src/model/node.js';
import { references } from '../../src/plan/registry.js';
import { REPO_ROOT } from '../rig/places.js';
import { makeWorkspace, removeWorkspaces } from '../rig/workspace.js';

afterEach(removeWorkspaces);

const PLACE = { file: 'somewhere', line: 3, column: 5, text: '', length: 1 };

/** All but the ways to places. */
function plain({ manifest, nodes, order }: Graph) {
  const { locate: _, ...top } = manifest;
  const bare = ({ locate: __, ...node }: Omit<Node, 'references'>) => node;
  return {
    top: { ...top, nodes: top.nodes.map((node) => bare({ ...nodes.get(node.name), ...node })) },
    nodes: [...nodes].map(([name, node]) => [name, bare(node)]),
    order,
  };
}

function load(dir: string, matrix: Matrix = {}): Graph {
  return loadGraph({ file: `${dir}/resources.yaml`, cwd: dir, set: {}, env: {}, kinds: references, matrix });
}

describe('a frozen graph', () => {
  it('is that of the bundled manifest', () => {
    const graph = load(REPO_ROOT);
    expect(plain(thawGraph(freezeGraph(graph), () => PLACE))).toEqual(plain(graph));
  });

  it('has all that a node can say', () => {
    const work = makeWorkspace(`res: 1
name: all
output-dir: out
params: { mode: { default: a, enum: [a, b], description: which } }
artifacts:
  s: { path: in/s, description: a source }
  sums: { url: "https://example.org/sums" }
  u: { url: "https://example.org/u", output: u, executable: true, keep: always, verify: { sums: sums } }
targets:
  v:
    copy: s
    output: v/v
    keep: never
    verify: { sha256: ${'ab'.repeat(32)} }
    variants: [{ when: { mode: a }, label: one, state: experimental, works-with: [qemu] }]
  m: { merge: [u, s, u] }
  g: { group: [v, m] }
default: [g]
exports: { IT: "\${output-dir}" }
pools: { network: 3 }
mirrors: [{ from: "https://example.org/", to: ["https://mirror.example.org/"] }]
`);
    const graph = load(work.dir);
    expect(plain(thawGraph(freezeGraph(graph), () => PLACE))).toEqual(plain(graph));
  });

  it('is that of several combinations of params', () => {
    const work = makeWorkspace(`res: 1
params: { mode: { default: a } }
artifacts: { s: { path: in/s } }
targets: { t: { copy: s, output: "t-\${mode}" }, u: { copy: t } }
default: [u]
`);
    const graph = load(work.dir, { mode: ['a', 'b'] });
    expect(graph.nodes.get('u@mode=b')?.combinations).toEqual([{ mode: 'b' }]);
    expect(plain(thawGraph(freezeGraph(graph), () => PLACE))).toEqual(plain(graph));
  });

  it('knows which place is asked for', () => {
    const graph = load(REPO_ROOT);
    const asked: unknown[] = [];
    const thawed = thawGraph(freezeGraph(graph), (node, path) => {
      asked.push([node, path]);
      return PLACE;
    });
    const name = graph.order[0] ?? '';
    expect(thawed.nodes.get(name)?.locate(['output'])).toBe(PLACE);
    thawed.manifest.locate(['default', 0]);
    expect(asked).toEqual([
      [name, ['output']],
      [undefined, ['default', 0]],
    ]);
  });

  it('keeps any names and any values of fields', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 8 }),
        fc.jsonValue(),
        (names, value) => {
          const { manifest } = load(REPO_ROOT);
          const nodes = names.map(
            (name, i): Node => ({
              name,
              section: i % 2 ? 'artifact' : 'target',
              kind: `kind ${i % 3}`,
              recipe: { value: JSON.parse(JSON.stringify(value)) },
              executable: false,
              keep: 'auto',
              variants: [],
              locate: () => PLACE,
              references: names.slice(0, i).map((node) => ({ role: `role ${i}`, node })),
            }),
          );
          const graph = {
            manifest: { ...manifest, nodes },
            nodes: new Map(nodes.map((node) => [node.name, node])),
            order: names,
          };
          expect(plain(thawGraph(freezeGraph(graph), () => PLACE))).toEqual(plain(graph));
        },
      ),
      { numRuns: 30 },
    );
  });
});
