// Whatever stands in a manifest or a lock: it loads, or there is a ResError that says where. Never anything else.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: manifests have holes
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDiagnostic } from '../../src/manifest/diagnostics.js';
import { readLock } from '../../src/manifest/lockfile.js';
import { readParams } from '../../src/manifest/params.js';
import { ResError } from '../../src/model/error.js';
import { folder, loadIn } from './workspace.js';

const WORDS = [
  'res: 1',
  'params',
  'vars',
  'artifacts',
  'targets',
  'default',
  'include',
  'pools',
  'mirrors',
  'exports',
  'output-dir',
  'select',
  'enum',
  'url',
  'parts',
  'github',
  'path',
  'merge',
  'convert',
  'group',
  'run',
  'to',
  'raw',
  'verify',
  'sums',
  'sha256',
  'variants',
  'when',
  'output',
  '..',
  'a',
  'b',
  '1',
  '-1',
  '1e999',
  'true',
  'null',
  '__proto__',
  'constructor',
  '${a}',
  '${env.X:-${b}}',
  '$${',
  '${',
  '}',
  '&x',
  '*x',
  '<<',
  '!t',
  '"',
  "'",
  '|',
  '>',
  '#',
  '@',
  '%',
  '`',
  '\t',
  '\r\n',
  '\n',
  '\n  ',
  '\n    ',
  '\n- ',
  '\n---\n',
  '\n...\n',
  ': ',
  ':',
  ', ',
  '[',
  ']',
  '{',
  '}',
  '? ',
  '- ',
  '\u0000',
  '\ud800',
  '日本',
  '\ufeff',
];

/** Fails unless the action ends well or with an error that can be shown. */
function wellBehaved(action: () => unknown): void {
  try {
    action();
  } catch (error) {
    if (!(error instanceof ResError)) throw error;
    for (const diagnostic of error.diagnostics) {
      expect(formatDiagnostic(diagnostic)).not.toBe('');
      const { location } = diagnostic;
      if (location)
        expect([location.line >= 1, location.column >= 1, location.length >= 1]).toEqual([true, true, true]);
    }
  }
}

function survives(text: string, dir: string): void {
  const file = join(dir, 'resources.yaml');
  writeFileSync(file, text);
  wellBehaved(() => loadIn(dir));
  wellBehaved(() => readParams(file));
  wellBehaved(() => readLock(file));
}

describe('garbage', () => {
  it('of words that mean something', () => {
    const dir = folder({});
    const text = fc.array(fc.constantFrom(...WORDS), { maxLength: 40 }).map((words) => words.join(''));
    fc.assert(
      fc.property(text, (garbage) => survives(garbage, dir)),
      { numRuns: 150 },
    );
  });

  it('of any characters', () => {
    const dir = folder({});
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (garbage) => survives(garbage, dir)),
      { numRuns: 80 },
    );
  });

  it('in the shape of a manifest', () => {
    const dir = folder({});
    const leaf = fc.oneof(
      fc.constantFrom<unknown>('a', 'b', '${a}', '../x', '', 'raw', 1, -1, 1.5, true, null),
      fc.string({ maxLength: 4 }),
    );
    const key = fc.constantFrom(...WORDS.filter((word) => /^[\w-]+$/.test(word)));
    const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 5 },
        leaf,
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(key, tie('tree'), { maxKeys: 4 }),
      ),
    }));
    const manifest = fc.record(
      {
        res: fc.constant(1),
        params: tree,
        vars: tree,
        artifacts: tree,
        targets: tree,
        default: tree,
        exports: tree,
        mirrors: tree,
      },
      { requiredKeys: ['res'] },
    );
    fc.assert(
      fc.property(manifest, (value) => survives(JSON.stringify(value), dir)),
      { numRuns: 150 },
    );
  });

  it.each([
    ['lists in lists', '['.repeat(200_000)],
    ['maps in maps', 'a: {'.repeat(100_000)],
    ['entries in entries', '- '.repeat(100_000)],
    ['keys in keys', '? '.repeat(100_000)],
    ['deeper and deeper', Array.from({ length: 2000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')],
    ['anchors of anchors', `res: 1\nname: ${'&a '.repeat(1000)}x\n`],
    ['defaults in defaults', `res: 1\nname: "${'${env.A:-'.repeat(50_000)}"\n`],
    [
      'vars through vars',
      `res: 1\nvars:\n${Array.from({ length: 5_000 }, (_, i) => `  v${i}: "\${v${i + 1}}"\n`).join('')}`,
    ],
    ['one name many times', `res: 1\nartifacts:\n${'  a: { path: x }\n'.repeat(2000)}`],
    ['a line without end', `res: 1\nname: [${'x, '.repeat(50_000)}`],
  ])('that would overwhelm: %s', (_, text) => {
    const dir = folder({});
    survives(text, dir);
    rmSync(dir, { recursive: true });
  });
});
