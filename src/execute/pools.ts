// How much runs at once: a limit for each kind of work, and among those that wait the most urgent first.
import { totalmem } from 'node:os';
import TinyQueue from 'tinyqueue';
import type { Demand } from '../kinds/kind.js';
import { ResError } from '../model/error.js';
import type { Slot } from '../sources/segments.js';

/** Who comes before whom: the more urgent one, of equals the one with the lower turn. */
interface Claim {
  readonly priority: number;
  readonly turn: number;
  readonly places: number;
}

interface Waiter extends Claim {
  readonly start: () => void;
  readonly refuse: (error: unknown) => void;
}

/** A counting semaphore whose waiters are served by priority, highest first; equals in the order they came. */
export class Pool {
  readonly #waiters = new TinyQueue<Waiter>([], order);
  readonly #limit: number;
  #free: number;
  #closed: unknown;
  #lastTurn = 0;

  constructor(limit: number) {
    this.#limit = limit;
    this.#free = limit;
  }

  /**
   * Runs `work` when a place is free. Rejects without running it when the pool was closed before.
   * @param wanted places that it takes; what takes more than there are takes all
   */
  run<T>(priority: number, work: (slot: Slot) => Promise<T>, wanted = 1): Promise<T> {
    return this.#run({ priority, turn: ++this.#lastTurn, places: Math.min(wanted, this.#limit) }, work);
  }

  async #run<T>(claim: Claim, work: (slot: Slot) => Promise<T>): Promise<T> {
    await this.#enter(claim);
    let isHeld = true;
    const slot: Slot = {
      giveWay: async () => {
        const first = this.#waiters.peek();
        if (!first || order(first, claim) >= 0) return;
        isHeld = false;
        this.#leave(claim.places);
        await this.#enter(claim);
        isHeld = true;
      },
      beside: (more) =>
        this.#run(claim, more).catch((error: unknown) => {
          if (error !== this.#closed) throw error;
        }),
    };
    try {
      return await work(slot);
    } finally {
      if (isHeld) this.#leave(claim.places);
    }
  }

  /** Nothing that still waits, or comes later, is started; what runs goes on. */
  close(reason: unknown): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    for (let next = this.#waiters.pop(); next; next = this.#waiters.pop()) next.refuse(reason);
  }

  #enter(claim: Claim): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    const first = this.#waiters.peek();
    // One that comes before may wait for more places than are free.
    if (this.#free >= claim.places && (!first || order(claim, first) < 0)) {
      this.#free -= claim.places;
      return Promise.resolve();
    }
    return new Promise((start, refuse) => this.#waiters.push({ ...claim, start, refuse }));
  }

  /** Nobody passes the most urgent one: what takes many places would wait for ever. */
  #leave(places: number): void {
    this.#free += places;
    for (let next = this.#waiters.peek(); next && next.places <= this.#free; next = this.#waiters.peek()) {
      this.#waiters.pop();
      this.#free -= next.places;
      next.start();
    }
  }
}

/** Less than zero when `a` comes before `b`; zero for connections of one download. */
function order(a: Claim, b: Claim): number {
  return b.priority - a.priority || a.turn - b.turn;
}

export type PoolName = 'jobs' | 'network' | 'disk' | 'cpu';

/** What became of the places of a pool. */
export interface PoolUse {
  /** Pieces of work; a node that is fetched in several files is as many. */
  pieces: number;
  /** For how long its places were taken, ms, all together. */
  busyMs: number;
  /** For how long pieces of work waited for a place, ms, all together. */
  waitedMs: number;
}

/** All pools of a build. Work of the pools `disk` and `cpu` also takes one of the `-j` places; downloads do not. */
export class Pools {
  readonly #pools: Readonly<Record<PoolName, Pool>>;
  readonly #memory = new Pool(machineMemory());
  readonly #limits: Readonly<Record<PoolName, number>>;
  readonly #use = new Map<PoolName, PoolUse>();

  constructor(limits: Readonly<Record<PoolName, number>>) {
    this.#limits = limits;
    this.#pools = {
      jobs: new Pool(limits.jobs),
      network: new Pool(limits.network),
      disk: new Pool(limits.disk),
      cpu: new Pool(limits.cpu),
    };
  }

  /**
   * @param work is told for how long it waited for its place
   * @param demand what it takes of the machine, beside a place
   */
  run<T>(
    pool: PoolName,
    priority: number,
    work: (waitedMs: number, slot: Slot) => Promise<T>,
    demand: Demand = {},
  ): Promise<T> {
    const { cpus = 1, memory } = demand;
    const measured = this.#measured(pool, Math.min(cpus, this.#limits[pool]), work);
    if (pool === 'network' || pool === 'jobs') return this.#pools[pool].run(priority, measured);
    const inJob = () => this.#pools.jobs.run(priority, measured, cpus);
    const inPool = () => this.#pools[pool].run(priority, inJob, cpus);
    return memory === undefined ? inPool() : this.#memory.run(priority, inPool, memory);
  }

  /** Only of pools that something ran in. */
  use(): ReadonlyMap<PoolName, Readonly<PoolUse>> {
    return this.#use;
  }

  #measured<T>(
    pool: PoolName,
    places: number,
    work: (waitedMs: number, slot: Slot) => Promise<T>,
  ): (slot: Slot) => Promise<T> {
    const asked = performance.now();
    return (slot) => {
      const use = this.#use.get(pool) ?? { pieces: 0, busyMs: 0, waitedMs: 0 };
      this.#use.set(pool, use);
      const waitedMs = performance.now() - asked;
      use.pieces += 1;
      use.waitedMs += waitedMs;
      return occupied(use, places, slot, (measured) => work(waitedMs, measured));
    };
  }

  close(reason: unknown): void {
    for (const pool of [...Object.values(this.#pools), this.#memory]) pool.close(reason);
  }
}

/** Counts for how long work has its places, and those that it takes beside; it has none while it gives way. */
async function occupied<T>(
  use: PoolUse,
  places: number,
  slot: Slot,
  work: (slot: Slot) => Promise<T>,
): Promise<T> {
  let since = performance.now();
  const count = () => {
    const now = performance.now();
    const passed = now - since;
    since = now;
    return passed;
  };
  try {
    return await work({
      async giveWay() {
        use.busyMs += count() * places;
        await slot.giveWay().finally(() => {
          use.waitedMs += count();
        });
      },
      beside: (more) => slot.beside((another) => occupied(use, places, another, more)),
    });
  } finally {
    use.busyMs += count() * places;
  }
}

/** Bytes that this process and all it starts may use: those of the machine, or what its container is limited to. */
export function machineMemory(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

const DEFAULT_LIMITS = { network: 4, disk: 2 };

/** The limits of the manifest over the defaults. Throws ResError `config-invalid` for a pool that nothing runs in. */
export function poolLimits(
  jobs: number,
  configured: Readonly<Record<string, number>>,
): Readonly<Record<PoolName, number>> {
  const limits = { jobs, cpu: jobs, ...DEFAULT_LIMITS };
  for (const [name, limit] of Object.entries(configured)) {
    if (name !== 'network' && name !== 'disk' && name !== 'cpu') {
      throw new ResError('config-invalid', `there is no pool named ${name}`, {
        hint: 'The pools are network, disk and cpu.',
      });
    }
    limits[name] = limit;
  }
  return limits;
}
