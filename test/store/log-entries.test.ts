// The entries of a log are those of a map, whatever is read, set, deleted and asked for in between.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asciiJson, Decoded, LogEntries } from '../../src/store/log-entries.js';

const key = fc.oneof(
  fc.constantFrom('a', 'b', 'ab', 'a"b', 'ä', 'back\\slash', ''),
  fc.integer({ min: 0, max: 300 }).map((n) => `key ${n}`),
);
type Step =
  | readonly ['read' | 'set', string, number]
  | readonly ['unread' | 'delete' | 'get', string]
  | readonly ['clear'];
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constantFrom('read' as const, 'set' as const), key, fc.nat()) },
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constantFrom('unread' as const, 'delete' as const, 'get' as const), key),
  },
  { weight: 1, arbitrary: fc.tuple(fc.constant('clear' as const)) },
);

/** Takes a record as a log does: a text with the key and the value in it. */
function read(entries: LogEntries<number>, name: string, value: number | undefined): void {
  const before = '00000000 ["';
  const text = asciiJson(name).slice(1, -1);
  entries.addBlock(Buffer.from(`${before}${text}",${value ?? 'null'}]\n`, 'latin1'));
  const end = before.length + text.length;
  entries.take(before.length, end, value === undefined ? undefined : end + 2);
}

function shownOf(
  entries: LogEntries<number>,
  entry: number | Decoded<number> | undefined,
): number | undefined {
  if (entry === undefined || entry instanceof Decoded) return entry?.value;
  return Number(entries.cutter()(entry).text);
}

describe('entries', () => {
  it('are those of a map', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const entries = new LogEntries<number>();
        const model = new Map<string, number>();
        for (const [act, name = '', value = 0] of steps) {
          if (act === 'clear') {
            entries.clear();
            model.clear();
          } else if (act === 'read' || act === 'set') {
            if (act === 'read') read(entries, name, value);
            else entries.set(name, value);
            model.set(name, value);
          } else if (act === 'get') {
            expect(shownOf(entries, entries.get(name))).toBe(model.get(name));
          } else {
            if (act === 'unread') read(entries, name, undefined);
            else expect(entries.delete(name)).toBe(model.has(name));
            model.delete(name);
          }
          expect(entries.size).toBe(model.size);
        }
        const all = Array.from(entries, ([name, entry]) => [name, shownOf(entries, entry)]);
        expect(new Map(all.map(([name, value]) => [name, value]))).toEqual(model);
        expect(all).toHaveLength(model.size);
      }),
    );
  });

  it('are found among very many', () => {
    const entries = new LogEntries<number>();
    for (let i = 0; i < 20_000; i++) read(entries, `node ${i}`, i);
    expect(entries.size).toBe(20_000);
    for (let i = 0; i < 20_000; i += 777) expect(shownOf(entries, entries.get(`node ${i}`))).toBe(i);
    expect(entries.get('node 20000')).toBeUndefined();
  });

  it('are cut out of the text as it was, also when that is given up', () => {
    const entries = new LogEntries<number>();
    read(entries, 'a', 7);
    const place = entries.get('a');
    const cut = entries.cutter();
    entries.clear();
    expect(typeof place === 'number' && cut(place).text).toBe('7');
  });
});
