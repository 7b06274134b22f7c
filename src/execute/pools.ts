// How much runs at once: a limit for each kind of work, and among those that wait the most urgent first.
import { ResError } from '../model/error.js';

interface Waiter {
  readonly priority: number;
  readonly start: () => void;
  readonly refuse: (error: unknown) => void;
}

/** A counting semaphore whose waiters are served by priority, highest first; equals in the order they came. */
export class Pool {
  readonly #waiters: Waiter[] = [];
  #free: number;
  #closed: unknown;

  constructor(limit: number) {
    this.#free = limit;
  }

  /** Runs `work` when a place is free. Rejects without running it when the pool was closed before. */
  async run<T>(priority: number, work: () => Promise<T>): Promise<T> {
    await this.#enter(priority);
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  /** Nothing that still waits, or comes later, is started; what runs goes on. */
  close(reason: unknown): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    for (const waiter of this.#waiters.splice(0)) waiter.refuse(reason);
  }

  #enter(priority: number): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (this.#free > 0) {
      this.#free--;
      return Promise.resolve();
    }
    return new Promise((start, refuse) => {
      const at = this.#waiters.findIndex((waiter) => waiter.priority < priority);
      this.#waiters.splice(at === -1 ? this.#waiters.length : at, 0, { priority, start, refuse });
    });
  }

  #leave(): void {
    const next = this.#waiters.shift();
    if (next) next.start();
    else this.#free++;
  }
}

export type PoolName = 'jobs' | 'network' | 'disk' | 'cpu';

/** All pools of a build. Work of the pools `disk` and `cpu` also takes one of the `-j` places; downloads do not. */
export class Pools {
  readonly #pools: Readonly<Record<PoolName, Pool>>;

  constructor(limits: Readonly<Record<PoolName, number>>) {
    this.#pools = {
      jobs: new Pool(limits.jobs),
      network: new Pool(limits.network),
      disk: new Pool(limits.disk),
      cpu: new Pool(limits.cpu),
    };
  }

  run<T>(pool: PoolName, priority: number, work: () => Promise<T>): Promise<T> {
    if (pool === 'network' || pool === 'jobs') return this.#pools[pool].run(priority, work);
    return this.#pools[pool].run(priority, () => this.#pools.jobs.run(priority, work));
  }

  close(reason: unknown): void {
    for (const pool of Object.values(this.#pools)) pool.close(reason);
  }
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
