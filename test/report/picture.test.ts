import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PageNode } from '../../src/model/page.js';
import { layOut } from '../../src/report/graph-layout.js';
import { graphSvg } from '../../src/report/graph-svg.js';
import { escapeMarkup, scriptJson } from '../../src/report/markup.js';
import { picture } from '../../src/report/picture.js';

function pageNode(
  name: string,
  kind: string,
  inputs: readonly string[] = [],
  rest: Partial<PageNode> = {},
): PageNode {
  return {
    name,
    kind,
    section: kind === 'path' ? 'artifact' : 'target',
    state: 'fresh',
    size: 1024,
    ms: kind === 'path' ? null : 10,
    inputs: inputs.map((node) => ({ role: 'in', node })),
    facts: [],
    ...rest,
  };
}

/** `n` downloads, a copy of each, and one node made of all copies. */
function wide(n: number): readonly PageNode[] {
  const indexes = Array.from({ length: n }, (_, i) => i);
  return [
    ...indexes.map((i) => pageNode(`part-${i}`, 'path')),
    ...indexes.map((i) => pageNode(`copy-${i}`, 'copy', [`part-${i}`])),
    pageNode(
      'all',
      'merge',
      indexes.map((i) => `copy-${i}`),
    ),
  ];
}

describe('a picture', () => {
  it('of a small graph has a box a node, with kind, size, time and state in it', () => {
    const { boxes, edges, folded } = picture(wide(3), true);
    expect(folded).toBe(0);
    expect(boxes.map(({ lines }) => lines)).toContainEqual(['copy-1', 'copy · 1.0 KiB · 10 ms', 'fresh']);
    expect(edges).toHaveLength(6);
  });

  it('of a large one folds what is of one depth, kind and group, and says how many and in which states', () => {
    const nodes = wide(250).map((node) =>
      node.name === 'copy-7' ? { ...node, state: 'failed' as const } : node,
    );
    const { boxes, edges, folded } = picture(nodes, true);
    expect(boxes.map(({ lines }) => lines)).toEqual([
      ['250 nodes: path', 'part-0 … part-249', '250 KiB', '250 fresh'],
      ['250 nodes: copy', 'copy-0 … copy-249', '250 KiB · 2.5 s', '1 failed, 249 fresh'],
      ['all', 'merge · 1.0 KiB · 10 ms', 'fresh'],
    ]);
    expect(boxes[1]?.state).toBe('failed');
    expect(edges).toHaveLength(2);
    expect(folded).toBe(500);
  });

  it('keeps members of different groups apart', () => {
    const parts = wide(40).filter(({ kind }) => kind === 'path');
    const names = parts.map(({ name }) => name);
    const rest = wide(40).filter(({ kind }) => kind !== 'path');
    const nodes = [
      ...parts,
      ...rest,
      pageNode('one', 'group', names.slice(0, 10)),
      pageNode('two', 'group', names.slice(10)),
    ];
    const titles = picture(nodes, true).boxes.map(({ lines: [title] }) => title);
    expect(titles).toEqual(expect.arrayContaining(['10 nodes: path', '30 nodes: path', 'one', 'two']));
  });

  it('loses no node and no connection by folding', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.constantFrom('copy', 'merge', 'group'), fc.array(fc.nat(200), { maxLength: 4 })),
          {
            minLength: 61,
            maxLength: 150,
          },
        ),
        (shape) => {
          const nodes = shape.map(([kind, inputs], i) =>
            pageNode(`n${i}`, kind, i === 0 ? [] : [...new Set(inputs.map((input) => `n${input % i}`))]),
          );
          const { boxes, edges } = picture(nodes, true);
          const boxOf = new Map(
            boxes.flatMap(({ id, members }) => members.map(({ name }) => [name, id] as const)),
          );
          expect(boxOf.size).toBe(nodes.length);
          const joined = new Set(edges.map(({ from, to }) => `${from} ${to}`));
          for (const { name, inputs } of nodes)
            for (const { node } of inputs) expect(joined).toContain(`${boxOf.get(node)} ${boxOf.get(name)}`);
          // What folds is of one depth, so no box is made of itself.
          for (const { from, to } of edges) expect(from).not.toBe(to);
        },
      ),
      { numRuns: 20 },
    );
  });
});

describe('a layout', () => {
  it('puts inputs to the left of what is made of them, and no box upon another', async () => {
    const { boxes, edges, width, height } = await layOut(picture(wide(6), true));
    const leftOf = (name: string) => boxes.find(({ box }) => box.lines[0] === name)?.left ?? Number.NaN;
    expect(leftOf('part-3')).toBeLessThan(leftOf('copy-3'));
    expect(leftOf('copy-3')).toBeLessThan(leftOf('all'));
    for (const [i, one] of boxes.entries()) {
      expect(one.left >= 0 && one.top >= 0).toBe(true);
      expect(one.left + one.width <= width && one.top + one.height <= height).toBe(true);
      for (const other of boxes.slice(i + 1)) {
        const apart =
          one.left + one.width <= other.left ||
          other.left + other.width <= one.left ||
          one.top + one.height <= other.top ||
          other.top + other.height <= one.top;
        expect(apart).toBe(true);
      }
    }
    expect(edges).toHaveLength(12);
  });

  it('of 500 nodes that do not fold is there at once', async () => {
    const { boxes } = await layOut(picture(wide(250), false));
    expect(boxes).toHaveLength(501);
  });
});

describe('an SVG', () => {
  it('says what it shows to those who do not see it, and is coloured by state, dark and light', async () => {
    const svg = await graphSvg(wide(2), 'Graph of images', '5 nodes: 5 fresh');
    expect(svg).toContain('<title id="title">Graph of images</title>');
    expect(svg).toMatch(/<desc id="about">5 nodes: 5 fresh\..*Boxes: part-0, path · 1\.0 KiB, fresh;/);
    expect(svg).toContain('class="box artifact s-fresh"');
    expect(svg).toContain('prefers-color-scheme');
  });

  it('takes nothing in names and states for markup', async () => {
    const evil = '</text><script>alert(1)</script>"\'&\u0000\ud800';
    const nodes = [pageNode('x', evil), pageNode('y', 'copy', [], { inputs: [{ role: evil, node: 'x' }] })];
    const svg = await graphSvg(nodes, evil, evil);
    expect(svg).not.toContain('<script');
    expect(svg).not.toContain('\u0000');
    expect(svg).toContain('&lt;script&gt;');
  });
});

it('what is escaped stands for itself, and ends no attribute and no script', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(escapeMarkup(text)).not.toMatch(/[<>"']|&(?!(?:amp|lt|gt|quot|#39);)/);
      const json = scriptJson({ text });
      expect(json).not.toMatch(/[<>\u2028\u2029]/);
      expect(JSON.parse(json)).toEqual({ text });
    }),
    { numRuns: 50 },
  );
});
