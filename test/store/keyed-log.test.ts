import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { thisProcess } from '../../src/store/holder.js';
import { KeyedLog } from '../../src/store/keyed-log.js';
import { runScript } from './script.js';
import { tempDir } from './temp.js';

const options = {
  version: 3,
  decode: (value: unknown) => (typeof value === 'string' ? value : undefined),
};

function open(path: string): KeyedLog<string> {
  return KeyedLog.open(path, options);
}

function content(log: KeyedLog<string>): Record<string, string> {
  return Object.fromEntries(log.entries());
}

async function written(path: string, records: Readonly<Record<string, string>>): Promise<void> {
  const log = open(path);
  for (const [key, value] of Object.entries(records)) log.set(key, value);
  await log.flush();
}

describe('a keyed log', () => {
  it('gives back what was put in, whatever the keys and values are', async () => {
    const path = join(tempDir(), 'x.log');
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.constantFrom('', '"', '\\', '\\"', 'a\nb', 'é\u2028', '__proto__', '",'),
    );
    const change = fc.tuple(text, fc.option(text), fc.boolean());
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 20 }), async (changes) => {
        const log = open(path);
        const model = new Map(log.entries());
        for (const [key, value, flush] of changes) {
          if (value === null) {
            log.delete(key);
            model.delete(key);
          } else {
            log.set(key, value);
            model.set(key, value);
          }
          if (flush) await log.flush();
        }
        await log.flush();
        expect(new Map(log.entries())).toEqual(model);
        const again = open(path);
        expect(new Map(again.entries())).toEqual(model);
        expect(again.size).toBe(model.size);
        expect(again.damage).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  it('writes nothing before flush, and nothing when nothing changed', async () => {
    const path = join(tempDir(), 'x.log');
    const log = open(path);
    await log.flush();
    log.set('a', '1');
    expect(log.get('a')).toBe('1');
    expect(existsSync(path)).toBe(false);
    await log.flush();
    const size = statSync(path).size;
    await log.flush();
    expect(statSync(path).size).toBe(size);
  });

  it('cut off at any byte loses the last records only, says nothing of it, and goes on', async () => {
    const path = join(tempDir(), 'x.log');
    await written(path, { a: '1', b: '2' });
    await written(path, { c: '3' });
    const whole = readFileSync(path);
    const states = ['', 'a', 'a,b', 'a,b,c'];
    for (let length = whole.length; length >= 0; length--) {
      writeFileSync(path, whole.subarray(0, length));
      const log = open(path);
      expect(states).toContain(Object.keys(content(log)).join());
      expect(log.damage).toEqual([]);
      const before = content(log);
      log.set('z', '26');
      await log.flush();
      const after = open(path);
      expect(content(after)).toEqual({ ...before, z: '26' });
      expect(after.damage).toEqual([]);
    }
  });

  it('with any bit flipped never fails, never gives a false record, and keeps the others', async () => {
    const path = join(tempDir(), 'x.log');
    const truth: Record<string, string> = { 'a\\"b': '1', b: 'two', cé: '3' };
    await written(path, truth);
    const whole = readFileSync(path);
    for (let i = 0; i < whole.length; i++) {
      for (let bit = 0; bit < 8; bit++) {
        const bytes = Buffer.from(whole);
        bytes[i] = (bytes[i] ?? 0) ^ (1 << bit);
        writeFileSync(path, bytes);
        const log = open(path);
        const found = content(log);
        for (const [key, value] of Object.entries(found)) expect(truth[key]).toBe(value);
        // A flipped line break joins two records.
        const lost = 3 - Object.keys(found).length;
        expect(lost).toBeLessThanOrEqual(2);
        if (lost > 0 && i < whole.length - 1) expect(log.damage).toHaveLength(1);
      }
    }
  });

  it('with a damaged record in the middle tells it until the next flush has left it behind', async () => {
    const path = join(tempDir(), 'x.log');
    await written(path, { a: 'first', b: 'second', c: 'third' });
    writeFileSync(path, readFileSync(path, 'latin1').replace('second', 'sec0nd'), 'latin1');
    const log = open(path);
    expect(content(log)).toEqual({ a: 'first', c: 'third' });
    expect(log.damage).toEqual([expect.stringMatching(/x\.log: a damaged record was left out/)]);
    log.set('d', 'fourth');
    await log.flush();
    const again = open(path);
    expect(content(again)).toEqual({ a: 'first', c: 'third', d: 'fourth' });
    expect(again.damage).toEqual([]);
  });

  it('takes a value of the wrong shape for damage', async () => {
    const path = join(tempDir(), 'x.log');
    const other = KeyedLog.open<number | string>(path, { version: 3, decode: (value) => Number(value) });
    other.set('n', 1);
    other.set('s', 'text');
    await other.flush();
    const log = open(path);
    expect(log.get('n')).toBeUndefined();
    expect(log.has('n')).toBe(false);
    expect(log.get('s')).toBe('text');
    expect(log.damage).toHaveLength(1);
  });

  it.each([2, 4])('puts a file of version %i aside instead of reading or destroying it', async (version) => {
    const dir = tempDir();
    const path = join(dir, 'x.log');
    const other = KeyedLog.open<string>(path, { ...options, version });
    other.set('a', 'of another time');
    await other.flush();
    const bytes = readFileSync(path);
    const log = open(path);
    expect(log.size).toBe(0);
    expect(log.damage).toEqual([expect.stringContaining(`format ${version}`)]);
    expect(readFileSync(path)).toEqual(bytes);
    log.set('b', '2');
    await log.flush();
    const [backup = ''] = readdirSync(dir).filter((name) => name.endsWith('.bak'));
    expect(readFileSync(join(dir, backup))).toEqual(bytes);
    expect(content(open(path))).toEqual({ b: '2' });
    expect(open(path).damage).toEqual([]);
  });

  it('puts aside a file that is nothing of its own', async () => {
    const dir = tempDir();
    const path = join(dir, 'x.log');
    writeFileSync(path, 'dear diary,\ntoday\n');
    const log = open(path);
    expect(log.damage).toHaveLength(1);
    log.set('a', '1');
    await log.flush();
    expect(content(open(path))).toEqual({ a: '1' });
    const [backup = ''] = readdirSync(dir).filter((name) => name.endsWith('.bak'));
    expect(readFileSync(join(dir, backup), 'utf8')).toBe('dear diary,\ntoday\n');
  });

  it('is rewritten once most of it is dead', async () => {
    const dir = tempDir();
    const path = join(dir, 'x.log');
    const log = open(path);
    const value = 'v'.repeat(1000);
    log.set('keep', 'kept');
    for (let i = 0; i < 200; i++) {
      log.set('k', `${value}${i}`);
      await log.flush();
    }
    expect(statSync(path).size).toBeLessThan(100 * 1024);
    expect(content(open(path))).toEqual({ keep: 'kept', k: `${value}199` });
    expect(readdirSync(dir)).toEqual(['x.log']);
  });

  it('takes in what others append, and what they rewrite; own changes that wait stay', async () => {
    const path = join(tempDir(), 'x.log');
    const mine = open(path);
    const theirs = open(path);
    theirs.set('a', 'theirs');
    theirs.set('b', 'theirs');
    await theirs.flush();
    mine.set('b', 'mine');
    mine.reload();
    expect(content(mine)).toEqual({ a: 'theirs', b: 'mine' });
    // A rewrite by the other.
    for (let i = 0; i < 100; i++) {
      theirs.set('c', `${i}${'x'.repeat(2000)}`);
      await theirs.flush();
    }
    theirs.delete('a');
    await theirs.flush();
    mine.reload();
    expect(mine.get('a')).toBeUndefined();
    expect(mine.get('c')?.startsWith('99x')).toBe(true);
    expect(mine.get('b')).toBe('mine');
    await mine.flush();
    theirs.reload();
    expect(theirs.get('b')).toBe('mine');
    expect(mine.damage).toEqual([]);
  });

  it('is empty again when its file was removed', async () => {
    const path = join(tempDir(), 'x.log');
    await written(path, { a: '1' });
    const log = open(path);
    truncateSync(path, 0);
    log.reload();
    expect(log.size).toBe(0);
  });

  it('does not lose the record after one that another process left torn', async () => {
    const path = join(tempDir(), 'x.log');
    await written(path, { a: '1' });
    const log = open(path);
    appendFileSync(path, '0123abcd ["torn","by a cra');
    log.set('b', '2');
    await log.flush();
    expect(content(open(path))).toEqual({ a: '1', b: '2' });
  });

  it('is rewritten although a process was killed in a rewrite, and nothing of that stays', async () => {
    const dir = tempDir();
    const path = join(dir, 'x.log');
    const holder = `
      import { thisProcess } from 'src/store/holder.js';
      console.log(JSON.stringify(thisProcess('rewrite', 'token')));`;
    // The process that it names has ended.
    writeFileSync(`${path}.compact`, await runScript(holder, []).done);
    writeFileSync(`${path}.compact.tmp`, 'half of a ');
    await written(path, { a: '1' });
    expect(readdirSync(dir)).toEqual(['x.log']);
    expect(content(open(path))).toEqual({ a: '1' });
  });

  it('leaves the mark of a rewrite under way alone', async () => {
    const dir = tempDir();
    const path = join(dir, 'x.log');
    writeFileSync(`${path}.compact`, JSON.stringify(thisProcess('rewrite', 'token')));
    const log = open(path);
    for (let i = 0; i < 200; i++) {
      log.set('k', 'v'.repeat(1000) + i);
      await log.flush();
    }
    expect(readdirSync(dir)).toEqual(['x.log', 'x.log.compact']);
    expect(content(open(path))).toEqual({ k: `${'v'.repeat(1000)}199` });
  });

  it('written to by several processes at once, with rewrites, loses nothing', async () => {
    const path = join(tempDir(), 'x.log');
    const script = `
      import { KeyedLog } from 'src/store/keyed-log.js';
      const [path, name] = process.argv.slice(2);
      const log = KeyedLog.open(path, { version: 3, decode: (v) => v });
      for (let i = 0; i < 150; i++) {
        log.set(name + (i % 10), 'value ' + i);
        log.set(name, 'x'.repeat(3000) + i);
        await log.flush();
      }`;
    await Promise.all(['p', 'q', 'r'].map((name) => runScript(script, [path, name]).done));
    const log = open(path);
    expect(log.damage).toEqual([]);
    for (const name of ['p', 'q', 'r']) {
      for (let i = 0; i < 10; i++) expect(log.get(name + i)).toBe(`value ${140 + i}`);
      expect(log.get(name)).toBe(`${'x'.repeat(3000)}149`);
    }
    // 1.3 MB were written.
    expect(statSync(path).size).toBeLessThan(600_000);
  }, 30_000);
});
