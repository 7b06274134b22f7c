// Which bytes of a file there are, as ranges in order that neither overlap nor touch.

/** From `start` up to and without `end`, bytes. */
export type ByteSpan = readonly [start: number, end: number];

export class ByteSet {
  #spans: readonly ByteSpan[] = [];

  constructor(spans: readonly ByteSpan[] = []) {
    for (const span of spans) this.add(span);
  }

  get spans(): readonly ByteSpan[] {
    return this.#spans;
  }

  /** Bytes there are. */
  get size(): number {
    return this.#spans.reduce((sum, [start, end]) => sum + end - start, 0);
  }

  /** Bytes from the beginning up to the first one that is missing. */
  get beginning(): number {
    const [first] = this.#spans;
    return first?.[0] === 0 ? first[1] : 0;
  }

  add([start, end]: ByteSpan): void {
    if (end <= start) return;
    const apart = this.#spans.filter((span) => span[1] < start || span[0] > end);
    const touched = this.#spans.filter((span) => !apart.includes(span));
    const joined: ByteSpan = [
      Math.min(start, ...touched.map((span) => span[0])),
      Math.max(end, ...touched.map((span) => span[1])),
    ];
    this.#spans = [...apart, joined].sort((a, b) => a[0] - b[0]);
  }

  /** What is missing of a file of `size` bytes, in order. */
  gaps(size: number): readonly ByteSpan[] {
    const gaps: ByteSpan[] = [];
    let position = 0;
    for (const [start, end] of this.#spans) {
      if (start > position) gaps.push([position, Math.min(start, size)]);
      position = end;
    }
    if (position < size) gaps.push([position, size]);
    return gaps.filter(([start, end]) => end > start);
  }
}
