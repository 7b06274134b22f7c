// The lock file: one exact text, read back without loss, and never lost.
import {
  chmodSync,
  lstatSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDiagnostic } from '../../src/manifest/diagnostics.js';
import { formatLock, lockPath, readLock, writeLock } from '../../src/manifest/lockfile.js';
import type { Lock } from '../../src/model/lock.js';
import { errorOf, folder } from './workspace.js';

const HEX = 'ab'.repeat(32);
const LOCK: Lock = {
  sources: {
    'url:https://e.org/x y': { files: [{ name: 'x y', url: 'https://e.org/x%20y' }] },
    'github:o/r@latest/vmlinux-*': {
      tag: 'v0.3.0',
      files: [
        { name: 'b', url: 'https://e.org/b', sha256: HEX, size: 12 },
        { name: 'a', url: 'https://e.org/a', sha256: '0'.repeat(64), size: 0 },
      ],
    },
    'github:o/r@v1/none': { commit: '1234567', files: [] },
  },
};
const TEXT = `# Written by res: what each source resolved to. Commit it; \`res update\` renews it.
lock: 1
sources:
  github:o/r@latest/vmlinux-*:
    tag: v0.3.0
    files:
      - name: b
        url: https://e.org/b
        sha256: ${HEX}
        size: 12
      - name: a
        url: https://e.org/a
        sha256: "${'0'.repeat(64)}"
        size: 0
  github:o/r@v1/none:
    commit: "1234567"
    files: []
  "url:https://e.org/x y":
    files:
      - name: "x y"
        url: https://e.org/x%20y
`;

function lockFile(text: string): string {
  return join(folder({ 'resources.lock.yaml': text }), 'resources.lock.yaml');
}

it('of a directory has the tree it comes from and its own digest', () => {
  const files = [{ name: 'r', url: 'https://e.org/r', directory: HEX, size: 3 }];
  const tree = `${'1'.repeat(40)}+submodules`;
  const lock: Lock = { sources: { 'git:r@main': { commit: 'c0ffee'.repeat(6), tree, files } } };
  const text = formatLock(lock);
  expect(text).toContain(`    tree: "${tree}"\n`);
  expect(text).toContain(`        directory: ${HEX}\n        size: 3\n`);
  expect(readLock(lockFile(text))).toEqual(lock);
  // With a comment it is read as any YAML.
  expect(readLock(lockFile(`# mine\n${text}`))).toEqual(lock);
});

describe('the lock', () => {
  it('lies beside the manifest', () => {
    expect(lockPath('/w/resources.yaml')).toBe('/w/resources.lock.yaml');
    expect(lockPath('/w/other.yml')).toBe('/w/other.lock.yaml');
    expect(lockPath('/w/a.b')).toBe('/w/a.lock.yaml');
    expect(lockPath('plain')).toBe('plain.lock.yaml');
  });

  it('has one text, sorted by source, with the files in their own order', () => {
    expect(formatLock(LOCK)).toBe(TEXT);
  });

  it('is empty when there is no file', () => {
    expect(readLock(join(folder({}), 'resources.lock.yaml'))).toEqual({ sources: {} });
  });

  it('is read back as it was written', async () => {
    const file = join(folder({}), 'resources.lock.yaml');
    await writeLock(file, LOCK);
    expect(readFileSync(file, 'utf8')).toBe(TEXT);
    expect(readLock(file)).toEqual(LOCK);
  });

  it('may have been edited, reordered, commented, or checked out with CR LF', () => {
    const flow = `sources: { "github:o/r@v1/none": { files: [], commit: "1234567" } } # mine\nlock: 1\n`;
    expect(readLock(lockFile(flow))).toEqual({
      sources: { 'github:o/r@v1/none': { commit: '1234567', files: [] } },
    });
    expect(readLock(lockFile(TEXT.replaceAll('\n', '\r\n')))).toEqual(LOCK);
    expect(readLock(lockFile(TEXT.replace('    files:\n', '    files: # the kernel\n')))).toEqual(LOCK);
  });

  it('is the same by either way of reading, whatever is in it', () => {
    const text = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 12 }),
      fc.string({
        unit: fc.constantFrom(...'aefnouytrlsx0123456789.:#-~!&*@%?{}[]"\'\\ /+_|>,'),
        maxLength: 12,
      }),
    );
    const hex = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 64, maxLength: 64 });
    const digits = fc.string({ unit: fc.constantFrom(...'0123456789e'), minLength: 64, maxLength: 64 });
    const file = fc.record(
      { name: text, url: text, sha256: fc.oneof(hex, digits), size: fc.nat() },
      { requiredKeys: ['name', 'url'] },
    );
    const entry = fc.record(
      { tag: text, commit: text, files: fc.array(file, { maxLength: 3 }) },
      { requiredKeys: ['files'] },
    );
    const sources = fc.dictionary(
      text.filter((name) => name !== '__proto__'),
      entry,
      { maxKeys: 4, noNullPrototype: true },
    );
    const path = lockFile('');
    const read = (content: string) => {
      writeFileSync(path, content);
      return readLock(path);
    };
    fc.assert(
      fc.property(sources, (sources) => {
        const written = formatLock({ sources });
        expect(read(written)).toEqual({ sources });
        // A comment is enough to send it through the YAML parser.
        expect(read(`${written}# end\n`)).toEqual({ sources });
      }),
      { numRuns: 100 },
    );
  });

  it('is read fast when res wrote it: without the YAML parser', () => {
    const source = (i: number) => [
      `github:o/r@v1/${i}`,
      { files: [{ name: `${i}`, url: `https://e.org/${i}`, sha256: HEX, size: i }] },
    ];
    const sources = Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => source(i)));
    const path = lockFile(formatLock({ sources }));
    const start = process.cpuUsage();
    readLock(path);
    const own = process.cpuUsage(start).user;
    writeFileSync(path, `${readFileSync(path, 'utf8')}# end\n`);
    const again = process.cpuUsage();
    readLock(path);
    expect(own * 4).toBeLessThan(process.cpuUsage(again).user);
  });
});

describe('writing the lock', () => {
  it('leaves the file alone when it says the same already', async () => {
    const file = lockFile(`${TEXT}# a comment of mine\n`);
    utimesSync(file, 1, 1);
    await writeLock(file, LOCK);
    expect(statSync(file).mtimeMs).toBe(1000);
    const other = { sources: { ...LOCK.sources, more: { files: [] } } };
    await writeLock(file, other);
    expect(readLock(file)).toEqual(other);
  });

  it('makes no file for nothing', async () => {
    const dir = folder({});
    await writeLock(join(dir, 'resources.lock.yaml'), { sources: {} });
    expect(readdirSync(dir)).toEqual([]);
  });

  it('leaves nothing beside the file, keeps its mode, and follows a link', async () => {
    const dir = folder({ 'real/lock.yaml': TEXT });
    chmodSync(join(dir, 'real/lock.yaml'), 0o640);
    symlinkSync('real/lock.yaml', join(dir, 'resources.lock.yaml'));
    await writeLock(join(dir, 'resources.lock.yaml'), { sources: { a: { files: [] } } });
    expect(lstatSync(join(dir, 'resources.lock.yaml')).isSymbolicLink()).toBe(true);
    expect(statSync(join(dir, 'real/lock.yaml')).mode & 0o777).toBe(0o640);
    expect(readFileSync(join(dir, 'real/lock.yaml'), 'utf8')).toContain('  a:\n    files: []\n');
    expect([readdirSync(dir).sort(), readdirSync(join(dir, 'real'))]).toEqual([
      ['real', 'resources.lock.yaml'],
      ['lock.yaml'],
    ]);
  });

  it('does not replace a lock that it cannot read', async () => {
    const file = lockFile('lock: 2\n');
    await expect(writeLock(file, LOCK)).rejects.toMatchObject({ code: 'lock-invalid' });
    expect(readFileSync(file, 'utf8')).toBe('lock: 2\n');
  });

  it('says when it cannot write', async () => {
    const dir = folder({ 'resources.lock.yaml/x': '' });
    await expect(writeLock(join(dir, 'resources.lock.yaml'), LOCK)).rejects.toMatchObject({ code: 'io' });
    expect(readdirSync(dir)).toEqual(['resources.lock.yaml']);
  });
});

describe('a damaged lock', () => {
  const DAMAGED =
    'take the file from version control, or delete it and run `res update` to resolve all sources anew';
  const CONFLICT =
    'keep the entries of both sides and take out the marker lines, or take either side whole; `res build` adds what is missing';

  it.each([
    ['is empty', '', '1:1: error: the lock is empty', DAMAGED],
    [
      'was cut off',
      TEXT.slice(0, TEXT.indexOf('        url')),
      '7:9: error: a file needs `url`\n        - name: b\n          ^\n  hint: `url`: where it was found',
      DAMAGED,
    ],
    [
      'has another format',
      'lock: 2\nsources: {}\n',
      '1:7: error: expected format 1, found the number 2\n  lock: 2\n        ^\n  hint: this version of res reads format 1',
      DAMAGED,
    ],
    ['is a list', '- a\n', '1:1: error: expected a lock: a map\n  - a\n  ^', DAMAGED],
    [
      'is not YAML',
      'lock: 1\nsources: [\n',
      '2:10: error: expected `]` to close a list\n  sources: [\n           ^\n  hint: lines within brackets are indented more than their key',
      DAMAGED,
    ],
    [
      'has a bad checksum',
      TEXT.replace(HEX, 'abc'),
      '9:17: error: expected a sha256: 64 hexadecimal digits, found `abc`\n          sha256: abc\n                  ^~~\n  hint: the digest of its content',
      DAMAGED,
    ],
    [
      'has a source twice',
      TEXT.replace('github:o/r@v1/none', 'github:o/r@latest/vmlinux-*'),
      '15:3: error: the key `github:o/r@latest/vmlinux-*` stands here a second time\n    github:o/r@latest/vmlinux-*:\n    ^~~~~~~~~~~~~~~~~~~~~~~~~~~\n  hint: the first one is at resources.lock.yaml:4:3',
      DAMAGED,
    ],
    [
      'has a merge conflict',
      TEXT.replace(
        '    tag: v0.3.0\n',
        '<<<<<<< HEAD\n    tag: v0.3.0\n=======\n    tag: v0.2.0\n>>>>>>> other\n',
      ),
      '5:1: error: there is an unsolved merge conflict\n  <<<<<<< HEAD\n  ^~~~~~~',
      CONFLICT,
    ],
  ])('%s', (_, text, complaint, hint) => {
    const file = lockFile(text);
    const error = errorOf(() => readLock(file, join(file, '..')));
    expect(error).toMatchObject({
      code: 'lock-invalid',
      message: 'resources.lock.yaml has 1 error',
      hint,
      exitStatus: 2,
    });
    expect(error.diagnostics.map(formatDiagnostic).join('\n')).toBe(`resources.lock.yaml:${complaint}`);
  });
});
