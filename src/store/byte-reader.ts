// Reads a stream of byte pieces by count rather than by piece: formats are cut by their own lengths, not by a network's.

const EMPTY = new Uint8Array(0);

/** Takes bytes from an async iterable. Whoever makes one closes it, so that the producer is ended too. */
export class ByteReader {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #piece: Uint8Array = EMPTY;
  #offset = 0;

  constructor(input: AsyncIterable<Uint8Array>) {
    this.#iterator = input[Symbol.asyncIterator]();
  }

  /** Bytes taken so far. */
  get offset(): number {
    return this.#offset;
  }

  /** The next `count` bytes without taking them; fewer only at the end of the input. */
  async peek(count: number): Promise<Uint8Array> {
    if (this.#piece.length < count) {
      const pieces = [this.#piece];
      let have = this.#piece.length;
      while (have < count) {
        const next = await this.#iterator.next();
        if (next.done) break;
        pieces.push(next.value);
        have += next.value.length;
      }
      this.#piece = pieces.length === 1 ? this.#piece : Buffer.concat(pieces);
    }
    return this.#piece.subarray(0, count);
  }

  /** The next `count` bytes; fewer only at the end of the input. */
  async take(count: number): Promise<Uint8Array> {
    return this.#advance(await this.peek(count));
  }

  /** What is at hand of the next `most` bytes, at least one; undefined at the end of the input. */
  async some(most: number): Promise<Uint8Array | undefined> {
    while (this.#piece.length === 0) {
      const next = await this.#iterator.next();
      if (next.done) return undefined;
      this.#piece = next.value;
    }
    return this.#advance(this.#piece.subarray(0, most));
  }

  /** All that is left. */
  async *rest(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = await this.some(Number.POSITIVE_INFINITY);
      if (piece === undefined) return;
      yield piece;
    }
  }

  /** Ends the producer, wherever it stands. */
  async close(): Promise<void> {
    await this.#iterator.return?.();
  }

  #advance(bytes: Uint8Array): Uint8Array {
    this.#piece = this.#piece.subarray(bytes.length);
    this.#offset += bytes.length;
    return bytes;
  }
}

/** The reader's rest as a stream of its own: its end is the reader's. */
export async function* restOf(reader: ByteReader): AsyncGenerator<Uint8Array> {
  try {
    yield* reader.rest();
  } finally {
    await reader.close();
  }
}
