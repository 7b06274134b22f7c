// What can be said of content before it is there: how large it will be, and the bytes at its two ends, which is where
// formats say how large what is in them is. Kinds make a glimpse of their output from glimpses of their inputs.

/** Bytes of content that a glimpse may show at either end; a decoded head may be longer. */
export const GLIMPSE_BYTES = 256 * 1024;

export interface Glimpse {
  /** Bytes as `ls -l` counts them; null while not known. */
  readonly size: number | null;
  /** Bytes on disk, holes not counted; null while not known. */
  readonly diskBytes: number | null;
  /** Whether `diskBytes` is sure and not an estimate. */
  readonly exact: boolean;
  /** Of a disk image that is yet to be made: what is in it. */
  readonly image?: ImageGlimpse;
  /** Bytes on disk while it is made, beside the output and the inputs. */
  readonly scratchBytes?: number;
  /** The first bytes, as many as can be had at little cost; undefined when none. May ask a server: asked for only when needed. */
  head(): Promise<Uint8Array | undefined>;
  /** The last bytes, likewise. */
  tail(): Promise<Uint8Array | undefined>;
}

export interface ImageGlimpse {
  /** Bytes that the guest sees. */
  readonly virtualSize: number;
  /** Bytes of data in it, about; null when there is no telling. */
  readonly dataBytes: number | null;
}

/** A glimpse of an input, and its image format where its producer decided that. */
export interface InputGlimpse extends Glimpse {
  readonly format: string | undefined;
}

const nothing = async () => undefined;

/** Nothing is known. */
export const NO_GLIMPSE: Glimpse = {
  size: null,
  diskBytes: null,
  exact: false,
  head: nothing,
  tail: nothing,
};

/** Of content that is in the inputs' place one after the other. */
export function joined(inputs: readonly Glimpse[]): Glimpse {
  return {
    size: sum(inputs.map(({ size }) => size)),
    diskBytes: sum(inputs.map(({ diskBytes }) => diskBytes)),
    exact: inputs.every(({ exact }) => exact),
    head: async () => inputs[0]?.head(),
    tail: async () => inputs.at(-1)?.tail(),
  };
}

/** Null as soon as one of them is not known. */
export function sum(numbers: readonly (number | null)[]): number | null {
  return numbers.reduce<number | null>((all, one) => (all === null || one === null ? null : all + one), 0);
}

/** What is unpacked to many times its size holds zeros, which become holes: how many, only the content itself can tell. */
const DENSE_RATIO = 5;

/**
 * Bytes on disk of content that is unpacked; null when there is no telling.
 * @param packed bytes that it is unpacked from
 */
export function unpackedDiskBytes(size: number | null, packed: number | null): number | null {
  return size === null || packed === null || size > packed * DENSE_RATIO ? null : size;
}
