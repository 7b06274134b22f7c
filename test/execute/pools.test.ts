import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { machineMemory, Pool, Pools, poolLimits } from '../../src/execute/pools.js';
import { ResError } from '../../src/model/error.js';
import type { Slot } from '../../src/sources/segments.js';

/** A piece of work that ends when the test says so. */
function gate() {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

describe('a pool', () => {
  it('runs no more at once than its limit', async () => {
    const pool = new Pool(3);
    let running = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 20 }, () =>
        pool.run(0, async () => {
          most = Math.max(most, ++running);
          await new Promise((resolve) => setImmediate(resolve));
          running--;
        }),
      ),
    );
    expect(most).toBe(3);
  });

  it('starts the most urgent waiter first, equals in their order', async () => {
    const pool = new Pool(1);
    const first = gate();
    const order: string[] = [];
    const holder = pool.run(0, () => first.opened);
    const waiters = (
      [
        ['low', 1],
        ['high', 9],
        ['middle a', 5],
        ['middle b', 5],
      ] as const
    ).map(([name, priority]) => pool.run(priority, async () => void order.push(name)));
    first.open();
    await Promise.all([holder, ...waiters]);
    expect(order).toEqual(['high', 'middle a', 'middle b', 'low']);
  });

  it('serves very many that wait in time that grows with their number', async () => {
    const timeOf = async (count: number) => {
      const pool = new Pool(1);
      const first = gate();
      const holder = pool.run(0, () => first.opened);
      const began = performance.now();
      const waiters = Array.from({ length: count }, (_, i) => pool.run(i % 7, async () => undefined));
      first.open();
      await Promise.all([holder, ...waiters]);
      return performance.now() - began;
    };
    await timeOf(4_000);
    // Eight times as many: were each compared to all, they took 64 times as long.
    const ratios = [];
    for (let round = 0; round < 3; round++) ratios.push((await timeOf(64_000)) / (await timeOf(8_000)));
    expect(Math.min(...ratios)).toBeLessThan(30);
  });

  it('never gives more places than it has, and serves all, however many each takes', async () => {
    const piece = fc.record({
      places: fc.integer({ min: 1, max: 9 }),
      priority: fc.integer({ min: 0, max: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5 }),
        fc.array(piece, { maxLength: 12 }),
        async (limit, works) => {
          const pool = new Pool(limit);
          let taken = 0;
          let done = 0;
          await Promise.all(
            works.map(({ places, priority }) =>
              pool.run(
                priority,
                async () => {
                  const own = Math.min(places, limit);
                  taken += own;
                  expect(taken).toBeLessThanOrEqual(limit);
                  await new Promise((resolve) => setImmediate(resolve));
                  taken -= own;
                  done++;
                },
                places,
              ),
            ),
          );
          expect(done).toBe(works.length);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('lets nobody pass one that waits for many places', async () => {
    const pool = new Pool(2);
    const first = gate();
    const order: string[] = [];
    const holder = pool.run(0, () => first.opened);
    const large = pool.run(5, async () => void order.push('large'), 2);
    const small = pool.run(5, async () => void order.push('small'));
    const urgent = pool.run(9, async () => void order.push('urgent'));
    first.open();
    await Promise.all([holder, large, small, urgent]);
    expect(order).toEqual(['urgent', 'large', 'small']);
  });

  it('refuses what waits when it is closed, and lets what runs come to its end', async () => {
    const pool = new Pool(1);
    const first = gate();
    const holder = pool.run(0, async () => {
      await first.opened;
      return 'done';
    });
    const waiter = pool.run(0, async () => 'never');
    pool.close('stop');
    await expect(waiter).rejects.toBe('stop');
    await expect(pool.run(0, async () => 'late')).rejects.toBe('stop');
    first.open();
    await expect(holder).resolves.toBe('done');
  });

  it('frees its place when the work fails', async () => {
    const pool = new Pool(1);
    await expect(pool.run(0, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    await expect(pool.run(0, async () => 'next')).resolves.toBe('next');
  });

  it('lets who gives way wait for what is more urgent, and for nothing else', async () => {
    const pool = new Pool(1);
    const order: string[] = [];
    const begun = gate();
    const holder = pool.run(5, async (slot) => {
      begun.open();
      await Promise.resolve();
      order.push('holder begins');
      await slot.giveWay();
      order.push('holder goes on');
    });
    await begun.opened;
    const waiters = [9, 5, 1].map((priority) =>
      pool.run(priority, async () => {
        order.push(`${priority}`);
      }),
    );
    await Promise.all([holder, ...waiters]);
    expect(order).toEqual(['holder begins', '9', 'holder goes on', '5', '1']);
  });

  it('gives places beside in the turn of the first one', async () => {
    const pool = new Pool(1);
    const order: string[] = [];
    let beside: Promise<void> | undefined;
    const first = pool.run(0, async (slot) => {
      beside = slot.beside(async () => {
        order.push('beside the first');
      });
    });
    const later = pool.run(0, async () => {
      order.push('later');
    });
    await Promise.all([first, later]);
    await beside;
    expect(order).toEqual(['beside the first', 'later']);
  });

  it('that is closed gives no place beside, and none again', async () => {
    const pool = new Pool(1);
    const reason = new Error('over');
    const inner = gate();
    let ran = false;
    const holder = pool.run(0, async (slot) => {
      const beside = slot.beside(async () => {
        ran = true;
      });
      const urgent = pool.run(9, () => inner.opened);
      const back = slot.giveWay();
      await Promise.resolve();
      pool.close(reason);
      inner.open();
      await urgent;
      await beside;
      return back;
    });
    await expect(holder).rejects.toBe(reason);
    expect(ran).toBe(false);
  });

  it('never has more at work than its limit, whoever gives way or takes places beside', async () => {
    const step = fc.record({ priority: fc.nat(3), beside: fc.nat(3), ways: fc.nat(3) });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(step, { maxLength: 8 }),
        async (limit, steps) => {
          const pool = new Pool(limit);
          let running = 0;
          let most = 0;
          let done = 0;
          const busy = async (slot: Slot, ways: number): Promise<void> => {
            for (let way = 0; ; way++) {
              most = Math.max(most, ++running);
              await new Promise((resolve) => setImmediate(resolve));
              running--;
              if (way === ways) break;
              await slot.giveWay();
            }
            done++;
          };
          await Promise.all(
            steps.map(({ priority, beside, ways }) =>
              pool.run(priority, async (slot) => {
                const more = Array.from({ length: beside }, () =>
                  slot.beside((another) => busy(another, ways)),
                );
                await busy(slot, ways);
                // Its place is free for those that it asked for.
                void Promise.all(more);
              }),
            ),
          );
          await pool.run(-1, async () => undefined);
          await pool.run(-1, async () => undefined, limit);
          expect(most).toBeLessThanOrEqual(limit);
          expect(done).toBe(steps.reduce((sum, { beside }) => sum + 1 + beside, 0));
        },
      ),
    );
  });
});

describe('the pools of a build', () => {
  it('count work on disk against -j, and downloads not', async () => {
    const pools = new Pools({ jobs: 1, network: 2, disk: 2, cpu: 2 });
    const busy = gate();
    const job = pools.run('disk', 0, () => busy.opened);
    let cpuRan = false;
    const second = pools.run('cpu', 0, async () => {
      cpuRan = true;
    });
    await pools.run('network', 0, async () => undefined);
    expect(cpuRan).toBe(false);
    busy.open();
    await Promise.all([job, second]);
    expect(cpuRan).toBe(true);
  });

  it('tell for how long work was done in their places, and how long it waited for one', async () => {
    const pools = new Pools({ jobs: 4, network: 1, disk: 2, cpu: 4 });
    expect([...pools.use()]).toEqual([]);
    const pause = () => new Promise((resolve) => setTimeout(resolve, 30));
    const began = performance.now();
    await Promise.all([pools.run('network', 0, pause), pools.run('network', 0, pause)]);
    await pools.run('cpu', 0, pause, { cpus: 3 });
    const took = performance.now() - began;
    const [network, cpu] = (['network', 'cpu'] as const).map((pool) => pools.use().get(pool));
    expect(network?.pieces).toBe(2);
    // The second one waited for as long as the first one was at work, and what waits is not busy.
    expect(network?.waitedMs).toBeGreaterThan(20);
    expect(network?.busyMs).toBeGreaterThan(40);
    expect(network?.busyMs).toBeLessThan(took);
    expect(cpu?.busyMs).toBeGreaterThan(60);
    expect(pools.use().has('disk')).toBe(false);
  });

  it('take their limits from the manifest', () => {
    expect(poolLimits(8, {})).toEqual({ jobs: 8, cpu: 8, network: 4, disk: 2 });
    expect(poolLimits(8, { network: 16 }).network).toBe(16);
  });

  it('refuse a pool that nothing runs in', () => {
    expect(() => poolLimits(1, { netwrk: 3 })).toThrow(ResError);
  });
});

it('what needs more memory together than the machine has does not run at once', async () => {
  const pools = new Pools(poolLimits(4, {}));
  let running = 0;
  let most = 0;
  const work = async () => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setImmediate(resolve));
    running--;
  };
  const half = Math.floor(machineMemory() * 0.4);
  await Promise.all(Array.from({ length: 4 }, () => pools.run('cpu', 0, work, { memory: half })));
  expect(most).toBe(2);
  most = 0;
  await Promise.all(Array.from({ length: 4 }, () => pools.run('cpu', 0, work, { cpus: 3 })));
  expect(most).toBe(1);
});
