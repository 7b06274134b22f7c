// Which parts of a file hold data, so that hashing does not read holes. Node has no SEEK_HOLE; qemu-img is there anyway.
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';

/** A range of bytes. Lists of them are sorted; one neither overlaps the next nor ends where it begins. */
export interface Extent {
  readonly start: number;
  readonly length: number;
}

export interface ExtentOptions {
  /** Path of qemu-img, which finds the holes; without it there is no telling. */
  readonly qemuImg?: string | undefined;
}

/**
 * The ranges of a file that may hold other bytes than zero, of those behind `from` where that is given. Undefined: unknown, or not
 * worth asking (a file without holes); all of it is then to be read.
 */
export async function dataExtents(
  path: string,
  o: ExtentOptions & { readonly signal?: AbortSignal; readonly from?: number },
): Promise<readonly Extent[] | undefined> {
  const { from = 0 } = o;
  if (o.qemuImg === undefined) return undefined;
  const { blocks, size } = await stat(path);
  // Of Linux and macOS alike, st_blocks counts 512 bytes.
  if (blocks * 512 >= size) return undefined;
  // Loaded when needed: most runs hash nothing and shall start at once.
  const { execa } = await import('execa');
  // -U: a QEMU that runs on the image holds a lock. An absolute path is never taken for a protocol (`nbd:`, `json:`).
  const { exitCode, stdout } = await execa(
    o.qemuImg,
    [
      'map',
      '-U',
      '--output=json',
      '-f',
      'raw',
      ...(from > 0 ? [`--start-offset=${from}`] : []),
      resolve(path),
    ],
    {
      reject: false,
      cleanup: false,
      stdin: 'ignore',
      ...(o.signal ? { cancelSignal: o.signal } : {}),
    },
  );
  o.signal?.throwIfAborted();
  // Where qemu-img cannot tell, the file is simply read.
  return exitCode === 0 ? parseMap(stdout, from, size) : undefined;
}

function parseMap(text: string, from: number, size: number): readonly Extent[] | undefined {
  let ranges: unknown;
  try {
    ranges = JSON.parse(text);
  } catch {
    // A wrapper that prints something else: as good as no answer.
    return undefined;
  }
  if (!Array.isArray(ranges)) return undefined;
  const extents: { start: number; length: number }[] = [];
  let position = from;
  for (const range of ranges) {
    if (!isRange(range) || range.start !== position) return undefined;
    position += range.length;
    const length = Math.min(range.length, size - range.start);
    if (range.zero || length <= 0) continue;
    const last = extents.at(-1);
    if (last && last.start + last.length === range.start) last.length += length;
    else extents.push({ start: range.start, length });
  }
  // A map that stops short of the end says nothing of the rest.
  return position >= size ? extents : undefined;
}

function isRange(value: unknown): value is { start: number; length: number; zero: boolean } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'start' in value &&
    typeof value.start === 'number' &&
    'length' in value &&
    typeof value.length === 'number' &&
    'zero' in value &&
    typeof value.zero === 'boolean'
  );
}
