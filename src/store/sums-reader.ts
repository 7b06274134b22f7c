// What runs in a thread beside: sums files while others write them. Each is read up to where it is known to be written, a piece of
// each in turn.
import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { RunningSums, type WantedSums } from './running-sums.js';
import type { SumsOrder, SumsReply } from './sums-thread.js';

const PIECE = 1024 * 1024;
const buffer = Buffer.allocUnsafe(PIECE);

class Followed {
  readonly #sums: RunningSums;
  /** Undefined when it cannot be read. */
  #fd: number | undefined;
  limit = 0;
  asked = false;

  constructor(path: string, wanted: WantedSums) {
    this.#sums = new RunningSums(wanted);
    try {
      this.#fd = openSync(path, 'r');
    } catch {
      // Its caller will read it, and say why that cannot be done.
    }
  }

  get isBehind(): boolean {
    return this.#fd !== undefined && this.#sums.size < this.limit;
  }

  /** The next piece of what is there. */
  readOn(): void {
    if (this.#fd === undefined) return;
    const length = Math.min(PIECE, this.limit - this.#sums.size);
    try {
      const read = readSync(this.#fd, buffer, 0, length, this.#sums.size);
      // What a sparse file lacks at its end is a hole.
      if (read === 0) buffer.fill(0, 0, length);
      this.#sums.update(buffer.subarray(0, read === 0 ? length : read));
    } catch {
      this.close();
    }
  }

  reply(id: number): SumsReply {
    return this.#fd === undefined ? { id } : { id, sums: this.#sums.sums() };
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

const files = new Map<number, Followed>();
let isReading = false;

parentPort?.on('message', (order: SumsOrder) => {
  const { id } = order;
  if (order.is === 'open') files.set(id, new Followed(order.path, order.wanted));
  const file = files.get(id);
  if (!file) {
    if (order.is === 'ask') parentPort?.postMessage({ id } satisfies SumsReply);
    return;
  }
  if (order.is === 'reach') file.limit = order.size;
  if (order.is === 'ask') file.asked = true;
  if (order.is === 'close') {
    file.close();
    files.delete(id);
  }
  readOn();
});

/** A piece of each file, and so on, with an ear for orders in between. */
function readOn(): void {
  if (isReading) return;
  isReading = true;
  setImmediate(() => {
    isReading = false;
    for (const [id, file] of files) {
      if (file.isBehind) file.readOn();
      if (file.isBehind) readOn();
      else if (file.asked) {
        file.asked = false;
        parentPort?.postMessage(file.reply(id));
      }
    }
  });
}
