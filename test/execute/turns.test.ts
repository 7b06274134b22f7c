import { describe, expect, it } from 'vitest';
import { Turns } from '../../src/execute/turns.js';

/** Work that ends when told to, and a list of what happened. */
function stage() {
  const seen: string[] = [];
  const work = (name: string) => {
    let end: (how?: Error) => void = () => undefined;
    const gate = new Promise<void>((resolve, reject) => {
      end = (how) => (how ? reject(how) : resolve());
    });
    return {
      end,
      run: async () => {
        seen.push(`${name} begins`);
        await gate;
        seen.push(`${name} ends`);
        return name;
      },
    };
  };
  return { seen, work };
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('turns', () => {
  it('work for one key runs one after another, in the order it came', async () => {
    const turns = new Turns();
    const { seen, work } = stage();
    const [first, second] = [work('first'), work('second')];
    const both = [turns.run('k', first.run), turns.run('k', second.run)];
    await settled();
    expect(seen).toEqual(['first begins']);
    second.end();
    first.end();
    expect(await Promise.all(both)).toEqual(['first', 'second']);
    expect(seen).toEqual(['first begins', 'first ends', 'second begins', 'second ends']);
  });

  it('work for other keys does not wait', async () => {
    const turns = new Turns();
    const { seen, work } = stage();
    const [first, second] = [work('first'), work('second')];
    const both = [turns.run('k', first.run), turns.run('l', second.run)];
    await settled();
    expect(seen).toEqual(['first begins', 'second begins']);
    first.end();
    second.end();
    await Promise.all(both);
  });

  it('a failure goes to its own caller and holds up nobody', async () => {
    const turns = new Turns();
    const { work } = stage();
    const [first, second] = [work('first'), work('second')];
    const failing = turns.run('k', first.run);
    const next = turns.run('k', second.run);
    first.end(new Error('no'));
    second.end();
    await expect(failing).rejects.toThrow('no');
    expect(await next).toBe('second');
  });

  it('several keys at once never wait in a circle', async () => {
    const turns = new Turns();
    const { work } = stage();
    const all = [['a', 'b', 'c'], ['c', 'b', 'a'], ['b', 'a', 'b'], []].map((keys, i) => {
      const one = work(String(i));
      one.end();
      return turns.runAll(keys, one.run);
    });
    expect(await Promise.all(all)).toEqual(['0', '1', '2', '3']);
  });

  it('work for several keys waits for each of them', async () => {
    const turns = new Turns();
    const { seen, work } = stage();
    const [a, b, both] = [work('a'), work('b'), work('both')];
    const runs = [turns.run('a', a.run), turns.run('b', b.run), turns.runAll(['b', 'a'], both.run)];
    both.end();
    a.end();
    await settled();
    expect(seen).not.toContain('both begins');
    b.end();
    await Promise.all(runs);
    expect(seen.at(-1)).toBe('both ends');
  });
});
