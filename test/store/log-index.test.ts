import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { KeyedLog } from '../../src/store/keyed-log.js';
import { readLogIndex, writeLogIndex } from '../../src/store/log-index.js';
import { tempDir } from './temp.js';

/** So many records are worth an index. */
const MANY = 10_000;
let path = '';
let index = { path: '', tmp: '' };

beforeEach(() => {
  const dir = tempDir();
  path = join(dir, 'numbers.log');
  index = { path: join(dir, 'cache', 'index-numbers'), tmp: join(dir, 'tmp') };
  mkdirSync(index.tmp);
});

function open(o: { readonly version?: number; readonly without?: true } = {}): KeyedLog<number> {
  return KeyedLog.open<number>(path, {
    version: o.version ?? 1,
    decode: (value) => (typeof value === 'number' ? value : undefined),
    ...(o.without ? {} : { index }),
  });
}

/** With the log open. */
function withLog<T>(use: (fd: number) => T): T {
  const fd = openSync(path, 'r');
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

function keptIndex(head: string) {
  return withLog((fd) => readLogIndex(index.path, fd, head, statSync(path).size));
}

async function write(records: readonly (readonly [string, number | undefined])[]): Promise<void> {
  const log = open();
  for (const [key, value] of records) {
    if (value === undefined) log.delete(key);
    else log.set(key, value);
  }
  await log.flush();
}

const numbered = (count: number, first = 0): [string, number][] =>
  Array.from({ length: count }, (_, i) => [`key ${first + i}`, first + i]);

function all(log: KeyedLog<number>): Record<string, number> {
  return Object.fromEntries(log.entries());
}

describe('the table of a long log', () => {
  it('is kept by who had to read the log, and tells what the log tells', async () => {
    await write(numbered(MANY - 1));
    open();
    expect(existsSync(index.path)).toBe(false);
    await write([
      ['"quoted" \\ ü', 1],
      ['key 5', 55],
      ['key 6', undefined],
    ]);
    const first = open();
    expect(existsSync(index.path)).toBe(true);
    expect(keptIndex(first.head ?? '')).toMatchObject({
      offset: statSync(path).size,
      records: MANY + 2,
    });
    const again = open();
    expect(again.get('key 5')).toBe(55);
    expect(existsSync(index.path)).toBe(true);
    expect(all(again)).toEqual(all(open({ without: true })));
    expect(open().names()).toEqual(first.names());
    expect(again.has('key 6')).toBe(false);
    expect(again.get('"quoted" \\ ü')).toBe(1);
    expect(again.size).toBe(first.size);
    expect(again.position).toBe(first.position);
  });

  it('is what is read: the records that it is of are looked at when they are asked for', async () => {
    await write(numbered(MANY));
    const head = open().head ?? '';
    const whole = keptIndex(head);
    if (!whole) throw new Error('there is no index');
    withLog((fd) => writeLogIndex(index, fd, { ...whole, table: whole.table.subarray(0, 40) }));
    const log = open();
    expect(log.size).toBe(10);
    expect(log.names()).toHaveLength(10);
    expect(log.get('key 9')).toBe(9);
    expect(log.get('key 10')).toBeUndefined();
    // Who wants all of them gets what the file has.
    expect(Object.keys(all(log))).toHaveLength(MANY);
  });

  it('serves for few records and for many, one by one', async () => {
    await write(numbered(MANY));
    open();
    for (const count of [3, MANY]) {
      const log = open();
      for (let i = 0; i < count; i++) expect(log.get(`key ${i}`)).toBe(i);
      expect(log.size).toBe(MANY);
    }
  });

  it('is found out when the log is another one meanwhile, or a record in it is not what it was', async () => {
    await write(numbered(MANY));
    open();
    const [replaced, rotten, listed] = [open(), open(), open()];
    const bytes = readFileSync(path);
    const at = bytes.indexOf('key 77",');
    bytes[at + 9] = '9'.charCodeAt(0);
    writeFileSync(path, bytes);
    expect(rotten.get('key 76')).toBe(76);
    expect(rotten.get('key 77')).toBeUndefined();
    expect(rotten.size).toBe(MANY - 1);
    expect(rotten.damage).toHaveLength(1);
    expect(existsSync(index.path)).toBe(false);
    expect(listed.names()).toContain('key 77');
    expect(listed.get('key 77')).toBeUndefined();
    expect(listed.names()).not.toContain('key 77');

    renameSync(path, `${path}.old`);
    await write([['key 5', 500]]);
    replaced.set('key 6', 600);
    expect(replaced.get('key 5')).toBe(500);
    expect(replaced.get('key 7')).toBeUndefined();
    await replaced.flush();
    expect(all(open())).toEqual({ 'key 5': 500, 'key 6': 600 });
  });

  it('tells no name that is not what it was', async () => {
    await write(numbered(MANY));
    open();
    const log = open();
    const bytes = readFileSync(path);
    bytes[bytes.indexOf('key 77",')] = '\\'.charCodeAt(0);
    writeFileSync(path, bytes);
    expect(log.names()).toHaveLength(MANY - 1);
    expect(log.names()).not.toContain('key 77');
    expect(log.damage).toHaveLength(1);
  });

  it('counts up to its end: what came after it is read', async () => {
    await write(numbered(MANY));
    open();
    const { mtimeNs } = statSync(index.path, { bigint: true });
    await write([...numbered(3, MANY), ['key 0', 7], ['key 1', undefined]]);
    expect(all(open())).toEqual(all(open({ without: true })));
    expect(open().get('key 0')).toBe(7);
    expect(statSync(index.path, { bigint: true }).mtimeNs).toBe(mtimeNs);
    await write(numbered(MANY, 2 * MANY));
    open();
    expect(statSync(index.path, { bigint: true }).mtimeNs).not.toBe(mtimeNs);
    expect(all(open())).toEqual(all(open({ without: true })));
  });

  it('does not count for a log that lost its end and was written on', async () => {
    await write(numbered(MANY));
    const { size } = statSync(path);
    const writer = open({ without: true });
    writer.set('key 1', 111);
    await writer.flush();
    open();
    truncateSync(path, size);
    // In the place of the record that is lost.
    const other = open({ without: true });
    other.set('key 2', 222);
    await other.flush();
    const log = open();
    expect(log.get('key 1')).toBe(1);
    expect(log.get('key 2')).toBe(222);
  });

  it('does not count for another file, or another version', async () => {
    await write(numbered(MANY));
    open();
    renameSync(path, `${path}.old`);
    await write(numbered(1));
    expect(all(open())).toEqual({ 'key 0': 0 });

    renameSync(`${path}.old`, path);
    expect(open().size).toBe(MANY);
    expect(open({ version: 2 }).size).toBe(0);
    expect(open({ version: 2 }).damage[0]).toContain('written by another version');
  });

  it('of which anything is lost is as good as none', async () => {
    await write(numbered(MANY));
    const whole = all(open());
    const kept = readFileSync(index.path);
    fc.assert(
      fc.property(
        fc.nat(kept.length - 1),
        fc.integer({ min: 1, max: 255 }),
        fc.boolean(),
        (at, bits, cut) => {
          const broken = Buffer.from(kept);
          broken[at] = (broken[at] ?? 0) ^ bits;
          writeFileSync(index.path, cut ? kept.subarray(0, at) : broken);
          expect(open().size).toBe(MANY);
        },
      ),
      { numRuns: 20 },
    );
    expect(all(open())).toEqual(whole);
  });

  it('is not kept of a log with damage in it, nor where it cannot be', async () => {
    await write(numbered(MANY));
    appendFileSync(path, '\nnot a record\n');
    open();
    expect(existsSync(index.path)).toBe(false);
    index = { path: join(path, 'below a file', 'index'), tmp: index.tmp };
    expect(open().size).toBe(MANY);
  });
});
