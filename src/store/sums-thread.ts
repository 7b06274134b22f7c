// The thread of `sums-reader.ts`, as the rest of the program sees it. Where it cannot be had nothing is lost but time: what it does not
// know its caller reads itself.
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { packageRoot } from './package.js';
import type { FileSums, WantedSums } from './running-sums.js';

/** `id` says of which file. */
export type SumsOrder =
  | { readonly is: 'open'; readonly id: number; readonly path: string; readonly wanted: WantedSums }
  /** So many bytes from the beginning are there. */
  | { readonly is: 'reach'; readonly id: number; readonly size: number }
  /** For the sums of as many as it was told of; answered by one SumsReply. */
  | { readonly is: 'ask'; readonly id: number }
  | { readonly is: 'close'; readonly id: number };

export interface SumsReply {
  readonly id: number;
  /** Left out when the file could not be read. */
  readonly sums?: FileSums;
}

export class SumsThread {
  /** Undefined when there is none, or it came to an end of its own accord. */
  #worker: Worker | undefined;
  #lastId = 0;
  readonly #asked = new Map<number, (sums: FileSums | undefined) => void>();

  constructor() {
    try {
      this.#worker = this.#start();
    } catch {
      // The system has no thread to spare, or the process may not have one.
    }
  }

  #start(): Worker {
    const worker = new Worker(join(packageRoot(), 'dist', 'sums-reader.js'), {
      // Neither flags nor a profiler of the process are for it.
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: 2 },
    });
    // The process ends without it, but for while it is waited for.
    worker.unref();
    worker.on('message', (reply: SumsReply) => this.#take(reply));
    const gone = () => {
      this.#worker = undefined;
      for (const id of this.#asked.keys()) this.#take({ id });
    };
    worker.on('error', gone);
    worker.on('exit', gone);
    return worker;
  }

  open(path: string, wanted: WantedSums): number {
    const id = ++this.#lastId;
    this.#tell({ is: 'open', id, path, wanted });
    return id;
  }

  /** So many bytes from the beginning are in the file, and stay as they are. */
  reach(id: number, size: number): void {
    this.#tell({ is: 'reach', id, size });
  }

  /** Of the bytes that `reach` told of; undefined when the file is to be read by who asks. */
  ask(id: number): Promise<FileSums | undefined> {
    return new Promise((resolve) => {
      if (!this.#worker) return resolve(undefined);
      this.#asked.set(id, resolve);
      this.#worker.ref();
      this.#tell({ is: 'ask', id });
    });
  }

  /** Who still waits for its sums is to read the file. */
  close(id: number): void {
    this.#tell({ is: 'close', id });
    this.#take({ id });
  }

  #tell(order: SumsOrder): void {
    this.#worker?.postMessage(order);
  }

  #take({ id, sums }: SumsReply): void {
    const resolve = this.#asked.get(id);
    this.#asked.delete(id);
    if (this.#asked.size === 0) this.#worker?.unref();
    resolve?.(sums);
  }
}
