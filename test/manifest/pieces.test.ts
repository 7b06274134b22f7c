// A long text that is read in pieces has the values, the complaints and the places that it has when it is read whole.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cut } from '../../src/manifest/pieces.js';
import { sourceText } from '../../src/manifest/text.js';
import {
  entriesOf,
  findPlace,
  itemsOf,
  locateFragment,
  locateKey,
  locateValue,
  type Path,
  parseYaml,
  placeAt,
  textOf,
  type YamlTree,
} from '../../src/manifest/yaml.js';
import { isJsonArray, isJsonObject, type Json } from '../../src/model/json.js';

const KEYS = ['a', 'b', 'res', 'c-1.x', '1', '2', '1.10', 'true', 'null', '"q"', "'q r'", 'constructor', 'é'];
/** What stands after a key; `~` where lines go on under it, indented by the key's column and more. */
const VALUES = [
  ' x',
  ' 1',
  ' 1.10',
  ' [True, false, 0x1F, -0, 1.5]',
  ' null',
  ' ""',
  ' "a\\n#b"',
  " 'it''s'",
  ' a b  # note',
  ' { merge: [a, b], output: a/b }',
  ' []',
  ' {}',
  '',
  '   # nothing',
  ' |\n~  a: 1\n\n~  b\n',
  ' |+\n~  text\n\n\n',
  ' >-\n~   folded\n~  and\n~\n~  more',
  ' |2\n~   x\n~  y',
  ' |\n\n',
  ' |\n     \n \n',
  ' one\n~  two\n~  three',
  ' "one\n~  two\\\n~  three"',
  " 'one\n\n~  a: b'",
  ' [a,\n~  b: c,\n~  d]',
  ' { x: [1, 2],\n\n~   # note\n~  y: 1 }',
  ' [\n~  x\n~]',
  '\n~  path: in/a\n~  verify: { sha256: "00" }',
  '\n~  merge:\n~    - a\n~    - b: 1\n~      c: 2\n~  output: x',
  '\n~  merge:\n~  - a\n~  - - b\n~    - c',
  '\n~- a\n~- b: c\n~  d: e',
  '\n~  # note\n\n~  k: v\n# note at the left\n~  l: w',
];
const ODD = [
  '',
  ' ',
  '     ',
  '# a: b',
  '  # a: b',
  '      # deep',
  '---',
  '...',
  '%YAML 1.2',
  '&x',
  '  &x',
  '  !!str',
  '  !t a: b',
  '  a: &x 1',
  '  a: *x',
  '*x : a',
  '? a',
  '  ? a',
  '  : b',
  '? [a, b]',
  '- a',
  '  - a',
  'a:b',
  'a b: c',
  '  a',
  'a',
  '  "a',
  "  a: 'b",
  '  a: [',
  '  a: }',
  '  ]',
  '}',
  ']',
  '\ta: b',
  '  \ta: b',
  '  a:\tb',
  ' a: b',
  '   a: b',
  '    a: b',
  '  a: b: c',
  '  a: "b" c',
  '  <<: { a: b }',
  '  a: |',
  '  a: 1e999',
  '  a: @b',
  '__proto__: 1',
  '  __proto__: 1',
  '\ufeffa: 1',
  'a: 1\r',
  '  b:\r',
  'a: \u2028b: c',
  '  a: {b: c}, d',
  '  x: "a',
  '  y: b"',
  '  x: [a',
  '  y: b]',
];

const part = fc.tuple(fc.constantFrom(...KEYS), fc.constantFrom(...VALUES));
const indent = fc.constantFrom(...['  ', '  ', '  ', '    ', ' ']);
/** A key at the top with a value, or with entries under it. */
const section = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.tuple(fc.constantFrom(...KEYS), indent, fc.array(part, { minLength: 1, maxLength: 6 })),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(
      fc.constantFrom(...KEYS),
      fc.constant(''),
      part.map((one) => [one]),
    ),
  },
);
const plain = fc
  .array(section, { minLength: 1, maxLength: 5 })
  .map((sections) => sections.map(([key, space, parts]) => written(key, space, parts)).join(''));
/** Each key once, so that most of them are right. */
const right = fc
  .tuple(
    fc.uniqueArray(section, { minLength: 1, maxLength: 5, selector: ([key]) => key }),
    indent,
    fc.constantFrom('', '', '# note\n', '\n', '---\n'),
  )
  .map(
    ([sections, space, start]) =>
      start +
      sections
        .map(([key, , parts]) => {
          const once = new Map(parts.map((each) => [each[0], each]));
          return written(key, space, [...once.values()]);
        })
        .join(''),
  );

function written(key: string, space: string, parts: readonly (readonly [string, string])[]): string {
  const lines = parts.map(([name, value]) =>
    space === '' ? value.replaceAll('~', '') : `${space}${name}:${value.replaceAll('~', space)}`,
  );
  return `${key}:${space === '' ? '' : '\n'}${lines.join('\n')}\n`;
}

/** A text with some of it taken out, and something odd put in. */
const spoilt = fc
  .tuple(
    fc.oneof(right, plain),
    fc.array(
      fc.tuple(
        fc.nat(),
        fc.nat({ max: 3 }),
        fc.constantFrom(...ODD, ...'"\'[]{}:#&*!|>-?%, \n\t\r'),
        fc.boolean(),
      ),
      {
        minLength: 1,
        maxLength: 3,
      },
    ),
  )
  .map(([text, changes]) =>
    changes.reduce((before, [place, length, odd, asLine]) => {
      if (asLine) {
        const lines = before.split('\n');
        lines.splice(place % lines.length, length % 2, odd);
        return lines.join('\n');
      }
      const at = place % (before.length + 1);
      return before.slice(0, at) + odd + before.slice(at + length);
    }, text),
  );

const sourceOf = (text: string) => sourceText('/w/resources.yaml', 'resources.yaml', text, '');
const parse = (text: string, size?: number) => parseYaml(sourceOf(text), size);

/** Every path of a value, and some that lead nowhere. */
function pathsOf(value: Json, path: Path = []): Path[] {
  const below = isJsonArray(value)
    ? value.flatMap((each, i) => pathsOf(each, [...path, i]))
    : isJsonObject(value)
      ? Object.entries(value).flatMap(([key, each]) => pathsOf(each, [...path, key]))
      : [];
  return [path, ...below, [...path, 'nowhere'], [...path, 0, 'nowhere']];
}

/** All that can be known of a tree. */
function known(tree: YamlTree) {
  return {
    value: JSON.stringify(tree.value),
    problems: tree.problems,
    broken: tree.broken,
    places: pathsOf(tree.value).map((path) => {
      const place = placeAt(tree, tree.root, path);
      return [
        path,
        locateKey(tree, place),
        locateValue(tree, place),
        textOf(tree, place),
        textOf(tree, place) === undefined ? undefined : locateFragment(tree, place, 'b'),
        itemsOf(tree, place)?.map((item) => locateValue(tree, item)),
        entriesOf(tree, place).map(([name, each]) => [name, locateKey(tree, each), locateValue(tree, each)]),
      ];
    }),
  };
}

const WHOLE = Number.POSITIVE_INFINITY;
const inPieces = (tree: YamlTree) => tree.root.entries !== undefined;

function sameInPieces(text: string, size: number): boolean {
  const tree = parse(text, size);
  expect(known(tree)).toEqual(known(parse(text, WHOLE)));
  for (const path of pathsOf(tree.value)) {
    const value = valueAt(tree.value, path);
    if (typeof value !== 'number' && typeof value !== 'boolean') continue;
    if (placeAt(tree, tree.root, path.slice(0, 2)).literal)
      expect(textOf(tree, placeAt(tree, tree.root, path))).toBe(String(value));
  }
  return inPieces(tree);
}

function valueAt(value: Json | undefined, path: Path): Json | undefined {
  return path.reduce<Json | undefined>(
    (at, step) =>
      isJsonArray(at) ? at[Number(step)] : isJsonObject(at) && Object.hasOwn(at, step) ? at[step] : undefined,
    value,
  );
}

describe('a text in pieces', () => {
  it('says what it says as a whole', () => {
    let cuts = 0;
    fc.assert(
      fc.property(right, fc.integer({ min: 1, max: 8 }), (text, size) => {
        if (sameInPieces(text, size)) cuts += 1;
      }),
      { numRuns: 300 },
    );
    expect(cuts).toBeGreaterThan(60);
  });

  it('has wrong in it what the whole has, and means what the whole means', () => {
    fc.assert(
      fc.property(spoilt, fc.integer({ min: 1, max: 10 }), (text, size) => void sameInPieces(text, size)),
      { numRuns: 1000 },
    );
  });

  it('is a long one with nothing in it that depends on the rest', () => {
    const entry = (i: number) => `  t${i}:\n    merge: [a, b]\n    output: o/${i}\n`;
    const entries = Array.from({ length: 3000 }, (_, i) => entry(i)).join('');
    const long = `---\nres: 1\ntargets:\n${entries}`;
    expect(inPieces(parse(long))).toBe(true);
    expect(inPieces(parse(`targets:\n${entry(1)}`))).toBe(false);
    const numbers = parse(`${long}  x: 1.5\n  y: 1\n${entries.replaceAll('t', 'u')}  z: 1.50\n`);
    const isLiteral = (name: string) => findPlace(numbers, numbers.root, ['targets', name])?.literal;
    expect(['x', 'y', 'z'].map(isLiteral)).toEqual([true, true, false]);
    for (const odd of [
      '  x: &x a\n',
      '  x: !!str a\n',
      '  ? x\n  : a\n',
      'targets: {}\n',
      '  t1: {}\n',
      '  x: [\n',
    ])
      expect([odd, inPieces(parse(long + odd))]).toEqual([odd, false]);
  });
});

describe('cut', () => {
  it('gives back the text', () => {
    fc.assert(
      fc.property(spoilt, fc.integer({ min: 1, max: 60 }), (text, size) => {
        const pieces = cut(text, size);
        expect(pieces.map(({ start, end }) => text.slice(start, end)).join('')).toBe(text);
        for (const { start, end } of pieces.slice(0, -1)) expect(end - start).toBeGreaterThanOrEqual(size);
      }),
    );
  });
});
