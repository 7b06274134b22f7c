// A thread of `hash-worker.ts`, as the rest of the program sees it. Where it cannot be had nothing is lost but time: what it does not
// know its caller works out itself.
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { FilePart } from './holed-file.js';
import { packageRoot } from './package.js';
import type { FileSums, WantedSums } from './running-sums.js';

/** The sums of files that grow: `id` says of which one. */
export type SumsOrder =
  | { readonly is: 'open'; readonly id: number; readonly path: string; readonly wanted: WantedSums }
  /** So many bytes from the beginning are there. */
  | { readonly is: 'reach'; readonly id: number; readonly size: number }
  /** For the sums of as many as it was told of; answered by one reply. */
  | { readonly is: 'ask'; readonly id: number }
  | { readonly is: 'close'; readonly id: number };

/** Plain sha256, each answered by one reply. */
export type ChunkOrder =
  | { readonly is: 'part'; readonly id: number; readonly part: FilePart; readonly of?: PartOf }
  | { readonly is: 'chunk'; readonly id: number; readonly chunk: Uint8Array<ArrayBuffer> };

/** A sum goes on over several parts; the answer to the last one has it, those before have nothing of it. Forgotten by `close`. */
export interface PartOf {
  readonly id: number;
  readonly isLast: boolean;
}

/** Without what was asked for when the file could not be read. */
export type HashReply =
  | { readonly id: number; readonly sums?: FileSums }
  | { readonly id: number; readonly sum?: Uint8Array; readonly chunk?: Uint8Array<ArrayBuffer> };

export interface ChunkReply {
  readonly sum: Uint8Array;
  /** The bytes, as they were sent. */
  readonly chunk: Uint8Array<ArrayBuffer>;
}

export class HashThread {
  /** Undefined when there is none, or it came to an end of its own accord. */
  #worker: Worker | undefined;
  #isUp = false;
  #lastId = 0;
  #files = 0;
  readonly #asked = new Map<number, (reply: HashReply) => void>();

  constructor() {
    try {
      this.#worker = this.#start();
    } catch {
      // The system has no thread to spare, or the process may not have one.
    }
  }

  /** Files whose sums it works out. */
  get files(): number {
    return this.#files;
  }

  /** Answers that are waited for. */
  get waiting(): number {
    return this.#asked.size;
  }

  /** Whether it is known to work; what it is given before it waits. */
  get isUp(): boolean {
    return this.#isUp;
  }

  #start(): Worker {
    const worker = new Worker(join(packageRoot(), 'dist', 'hash-worker.js'), {
      // Neither flags nor a profiler of the process are for it.
      execArgv: [],
      // It makes next to no objects, but for a number for each MiB of a file that grows; what it may have of young ones it takes.
      resourceLimits: {
        maxYoungGenerationSizeMb: 1,
        maxOldGenerationSizeMb: 64,
        codeRangeSizeMb: 4,
        stackSizeMb: 1,
      },
    });
    worker.on('online', () => {
      this.#isUp = true;
    });
    worker.on('message', (reply: HashReply) => this.#take(reply));
    const gone = () => {
      this.#worker = undefined;
      this.#isUp = false;
      for (const id of this.#asked.keys()) this.#take({ id });
    };
    worker.on('error', gone);
    worker.on('exit', gone);
    // The process ends without it, but for while it is waited for. After the listeners, for they hold it.
    worker.unref();
    return worker;
  }

  open(path: string, wanted: WantedSums): number {
    const id = ++this.#lastId;
    this.#files++;
    this.#tell({ is: 'open', id, path, wanted });
    return id;
  }

  /** So many bytes from the beginning are in the file, and stay as they are. */
  reach(id: number, size: number): void {
    this.#tell({ is: 'reach', id, size });
  }

  /** Of the bytes that `reach` told of; undefined when the file is to be read by who asks. */
  async ask(id: number): Promise<FileSums | undefined> {
    const reply = await this.#answer({ is: 'ask', id });
    return 'sums' in reply ? reply.sums : undefined;
  }

  /** Who still waits for its sums is to read the file. */
  close(id: number): void {
    this.#files--;
    this.#tell({ is: 'close', id });
    this.#take({ id });
  }

  /** Undefined when the part is to be read by who asks: it may be that it cannot be. The file stays open until then. */
  async sumOfPart(part: FilePart, of?: PartOf): Promise<Uint8Array | undefined> {
    const reply = await this.#answer({ is: 'part', id: ++this.#lastId, part, ...(of ? { of } : {}) });
    return 'sum' in reply ? reply.sum : undefined;
  }

  /**
   * Of parts that follow each other. Undefined when they are to be read by who asks; rejects as `onPart` throws. The file stays open
   * until it is settled.
   * @param onPart called after each with where it ends
   */
  async sumOfParts(
    parts: Iterable<FilePart>,
    onPart: (position: number) => void,
  ): Promise<Uint8Array | undefined> {
    const of = ++this.#lastId;
    this.#files++;
    const underWay: { readonly end: number; readonly sum: Promise<Uint8Array | undefined> }[] = [];
    let sum: Uint8Array | undefined;
    const isRead = async () => {
      const first = underWay.shift();
      sum = await first?.sum;
      if (first && sum) onPart(first.end);
      return sum !== undefined;
    };
    try {
      const iterator = parts[Symbol.iterator]();
      for (let next = iterator.next(); !next.done; ) {
        const part = next.value;
        next = iterator.next();
        const isLast = next.done === true;
        underWay.push({ end: part.start + part.length, sum: this.sumOfPart(part, { id: of, isLast }) });
        // While it answers for one the next is there.
        if (underWay.length > 1 && !(await isRead())) return undefined;
      }
      return (await isRead()) ? sum : undefined;
    } finally {
      await Promise.all(underWay.map((one) => one.sum));
      this.close(of);
    }
  }

  /** The thread has the memory until it answers. Rejects when it ended, and the bytes with it. */
  async sumOfChunk(chunk: Uint8Array<ArrayBuffer>): Promise<ChunkReply> {
    const reply = await this.#answer({ is: 'chunk', id: ++this.#lastId, chunk }, [chunk.buffer]);
    if ('chunk' in reply && reply.chunk && reply.sum) return { sum: reply.sum, chunk: reply.chunk };
    throw new Error('the thread that hashes came to an end');
  }

  #answer(order: SumsOrder | ChunkOrder, moved: readonly ArrayBuffer[] = []): Promise<HashReply> {
    return new Promise((resolve) => {
      if (!this.#worker) return resolve({ id: order.id });
      this.#asked.set(order.id, resolve);
      this.#worker.ref();
      this.#tell(order, moved);
    });
  }

  #tell(order: SumsOrder | ChunkOrder, moved: readonly ArrayBuffer[] = []): void {
    this.#worker?.postMessage(order, moved);
  }

  #take(reply: HashReply): void {
    const resolve = this.#asked.get(reply.id);
    this.#asked.delete(reply.id);
    if (this.#asked.size === 0) this.#worker?.unref();
    resolve?.(reply);
  }
}
