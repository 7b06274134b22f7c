// Where the boxes and arrows of a picture lie: Graphviz, compiled to WebAssembly, says so. It is told no texts but the
// numbers of boxes and their sizes, so that nothing of a manifest is taken for its language.
import type { Box, Picture } from './picture.js';
import { width } from './text.js';

/** Pixels. */
const CELL = 7.4;
const LINE_HEIGHT = 16;
const PADDING = 12;
const MARGIN = 8;
const PER_INCH = 72;

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Pixels from the upper left corner. */
export interface Layout {
  readonly width: number;
  readonly height: number;
  /** By the number of the box. */
  readonly boxes: readonly {
    readonly box: Box;
    readonly left: number;
    readonly top: number;
    readonly width: number;
    readonly height: number;
  }[];
  /** Control points of Bézier curves, from input to user: one point, then three a curve. */
  readonly edges: readonly { readonly role: string; readonly points: readonly Point[] }[];
}

/** Half a second for 500 boxes. */
export async function layOut({ boxes, edges }: Picture): Promise<Layout> {
  const { instance } = await import('@viz-js/viz');
  const viz = await instance();
  const sizes = boxes.map(sizeOf);
  const indexOf = new Map(boxes.map(({ id }, i) => [id, i]));
  const drawn = edges.map(({ from, to, role }) => ({
    tail: String(indexOf.get(from)),
    head: String(indexOf.get(to)),
    role,
  }));
  const plain = viz.renderString(
    {
      directed: true,
      graphAttributes: { rankdir: 'LR', ranksep: 0.55, nodesep: 0.14 },
      nodeAttributes: { shape: 'box', fixedsize: true, label: '' },
      edgeAttributes: { arrowhead: 'none' },
      nodes: sizes.map((size, i) => ({
        name: String(i),
        attributes: { width: size.width / PER_INCH, height: size.height / PER_INCH },
      })),
      edges: drawn.map(({ tail, head }) => ({ tail, head })),
    },
    { format: 'plain' },
  );
  return readPlain(plain, boxes, sizes, drawn);
}

function sizeOf({ lines }: Box): { readonly width: number; readonly height: number } {
  const cells = Math.max(...lines.map(width));
  return { width: Math.max(80, cells * CELL + 2 * PADDING), height: lines.length * LINE_HEIGHT + PADDING };
}

/** Graphviz' format `plain`: a line for each thing, inches from the lower left corner. */
function readPlain(
  text: string,
  boxes: readonly Box[],
  sizes: readonly { readonly width: number; readonly height: number }[],
  edges: readonly { readonly tail: string; readonly head: string; readonly role: string }[],
): Layout {
  const lines = text.split('\n').map((line) => line.split(' '));
  const inches = (word: string | undefined) => Number(word ?? 0) * PER_INCH;
  const [, , wide, high] = lines.find(([what]) => what === 'graph') ?? [];
  const height = inches(high);
  const point = (x: string | undefined, y: string | undefined): Point => ({
    x: inches(x) + MARGIN,
    y: height - inches(y) + MARGIN,
  });
  const roles = new Map<string, string[]>();
  for (const { tail, head, role } of edges)
    roles.set(`${tail} ${head}`, [...(roles.get(`${tail} ${head}`) ?? []), role]);
  return {
    width: inches(wide) + 2 * MARGIN,
    height: height + 2 * MARGIN,
    boxes: lines.flatMap(([what, name, x, y]) => {
      if (what !== 'node') return [];
      const [box, size] = [boxes[Number(name)], sizes[Number(name)]];
      if (!box || !size) return [];
      const centre = point(x, y);
      return [{ box, left: centre.x - size.width / 2, top: centre.y - size.height / 2, ...size }];
    }),
    edges: lines.flatMap(([what, tail, head, n, ...rest]) => {
      if (what !== 'edge') return [];
      const points = Array.from({ length: Number(n) }, (_, i) => point(rest[2 * i], rest[2 * i + 1]));
      return [{ role: roles.get(`${tail} ${head}`)?.shift() ?? '', points }];
    }),
  };
}
