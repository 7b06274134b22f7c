// How much runs at once: a limit for each kind of work, and among those that wait the most urgent first.
import { totalmem } from 'node:os';
import type { Demand } from '../kinds/kind.js';
import { ResError } from '../model/error.js';

interface Waiter {
  readonly priority: number;
  readonly places: number;
  readonly start: () => void;
  readonly refuse: (error: unknown) => void;
}

/** A counting semaphore whose waiters are served by priority, highest first; equals in the order they came. */
export class Pool {
  readonly #waiters: Waiter[] = [];
  readonly #limit: number;
  #free: number;
  #closed: unknown;

  constructor(limit: number) {
    this.#limit = limit;
    this.#free = limit;
  }

  /**
   * Runs `work` when a place is free. Rejects without running it when the pool was closed before.
   * @param wanted places that it takes; what takes more than there are takes all
   */
  async run<T>(priority: number, work: () => Promise<T>, wanted = 1): Promise<T> {
    const places = Math.min(wanted, this.#limit);
    await this.#enter(priority, places);
    try {
      return await work();
    } finally {
      this.#leave(places);
    }
  }

  /** Nothing that still waits, or comes later, is started; what runs goes on. */
  close(reason: unknown): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    for (const waiter of this.#waiters.splice(0)) waiter.refuse(reason);
  }

  #enter(priority: number, places: number): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (this.#free >= places && !this.#isBehind(priority)) {
      this.#free -= places;
      return Promise.resolve();
    }
    return new Promise((start, refuse) => {
      const at = this.#waiters.findIndex((waiter) => waiter.priority < priority);
      this.#waiters.splice(at === -1 ? this.#waiters.length : at, 0, { priority, places, start, refuse });
    });
  }

  /** Whether one that is as urgent waits already, for more places than are free. */
  #isBehind(priority: number): boolean {
    const first = this.#waiters[0];
    return first !== undefined && first.priority >= priority;
  }

  /** Nobody passes the most urgent one: what takes many places would wait for ever. */
  #leave(places: number): void {
    this.#free += places;
    for (let next = this.#waiters[0]; next && next.places <= this.#free; next = this.#waiters[0]) {
      this.#waiters.shift();
      this.#free -= next.places;
      next.start();
    }
  }
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
    work: (waitedMs: number) => Promise<T>,
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

  #measured<T>(pool: PoolName, places: number, work: (waitedMs: number) => Promise<T>): () => Promise<T> {
    const asked = performance.now();
    return async () => {
      const use = this.#use.get(pool) ?? { pieces: 0, busyMs: 0, waitedMs: 0 };
      this.#use.set(pool, use);
      const began = performance.now();
      use.pieces += 1;
      use.waitedMs += began - asked;
      try {
        return await work(began - asked);
      } finally {
        use.busyMs += (performance.now() - began) * places;
      }
    };
  }

  close(reason: unknown): void {
    for (const pool of [...Object.values(this.#pools), this.#memory]) pool.close(reason);
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
