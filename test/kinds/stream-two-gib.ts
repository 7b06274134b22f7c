// Run as a program of its own by memory.test.ts: merges parts of a gzipped tar with 2 GiB of zeros in it, takes the member
// out, and prints how much came and how much memory that took.
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { createGzip } from 'node:zlib';
import { extract } from '../../src/kinds/extract.js';
import { type KindContext, type KindInput, makingOf } from '../../src/kinds/kind.js';
import { merge } from '../../src/kinds/merge.js';
import { tarBytes } from '../rig/tar.js';

const SIZE = 2 ** 31;

async function* tar(): AsyncGenerator<Uint8Array> {
  const whole = tarBytes([{ name: 'disk.raw', claimedSize: SIZE }]);
  yield whole.subarray(0, 512);
  const zeros = Buffer.alloc(1024 * 1024);
  for (let done = 0; done < SIZE; done += zeros.length) yield zeros;
  yield whole.subarray(512);
}

async function compressed(): Promise<Buffer> {
  const gzip = createGzip({ level: 1, chunkSize: 1024 * 1024 });
  const pieces: Buffer[] = [];
  const out = gzip.pipe(new PassThrough()).on('data', (piece: Buffer) => pieces.push(piece));
  for await (const piece of tar()) if (!gzip.write(piece)) await once(gzip, 'drain');
  gzip.end();
  await once(out, 'end');
  return Buffer.concat(pieces);
}

function input(node: string, stream: () => AsyncIterable<Uint8Array>): KindInput {
  return {
    role: 'in',
    node,
    items: [{ name: node, size: null }],
    format: undefined,
    stream,
    paths: () => Promise.resolve([]),
  };
}

function context(inputs: readonly KindInput[]): KindContext {
  return {
    inputs,
    out: '',
    scratch: '',
    signal: new AbortController().signal,
    exec: () => Promise.reject(new Error('no program is needed')),
    pipe: () => {
      throw new Error('no program is needed');
    },
    has: () => false,
    percent: () => undefined,
    log: () => undefined,
    member: () => undefined,
  };
}

function open(
  kind: typeof merge,
  recipe: Record<string, string>,
  inputs: readonly KindInput[],
): AsyncIterable<Uint8Array> {
  const making = makingOf(kind, recipe);
  if (making.by !== 'streaming') throw new Error(making.by);
  return making.open(recipe, context(inputs));
}

const bytes = await compressed();
const half = bytes.length >> 1;
const parts = [bytes.subarray(0, half), bytes.subarray(half)].map((part, i) =>
  input(`part${i}`, async function* () {
    for (let at = 0; at < part.length; at += 65_536) yield part.subarray(at, at + 65_536);
  }),
);
const merged = input('merged', () => open(merge, { merge: 'parts' }, parts));
let size = 0;
for await (const piece of open(extract, { extract: 'merged', member: '*.raw' }, [merged]))
  size += piece.length;
console.log(JSON.stringify({ size, peakMiB: Math.round(process.resourceUsage().maxRSS / 1024) }));
