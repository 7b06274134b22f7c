import { execFileSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { COMPRESSIONS, type Compression, decompress } from '../../src/kinds/compression.js';
import { seededBytes } from '../rig/random.js';
import { collect, failureOf, makeContext, removeTemporary, Source, temporary } from './context.js';

afterAll(removeTemporary);

const COMPRESS: Readonly<Record<Compression, readonly [string, ...string[]]>> = {
  gzip: ['gzip', '-n', '-c'],
  xz: ['xz', '-0', '-c'],
  zstd: ['zstd', '-q', '-c', '--check'],
  bzip2: ['bzip2', '-1', '-c'],
};

/** Some that compresses, some that does not; more than a block of every format. */
const content = Buffer.concat([
  seededBytes('a', 200_000),
  Buffer.alloc(700_000),
  Buffer.from('disk image '.repeat(20_000)),
  seededBytes('b', 50_000),
]);
const small = Buffer.concat([seededBytes('c', 300), Buffer.from('small '.repeat(100))]);

function compressed(format: Compression, data: Buffer, extra: readonly string[] = []): Buffer {
  const [program, ...args] = COMPRESS[format];
  return execFileSync(program, [...args, ...extra], { input: data, maxBuffer: 1 << 28, cwd: temporary });
}

/** Every format as decoded by its program and by a library. gzip has no program. */
const ways = COMPRESSIONS.flatMap((format) =>
  (format === 'gzip' ? (['library'] as const) : (['program', 'library'] as const)).map((way) => ({
    format,
    way,
  })),
);

async function expand(
  bytes: Uint8Array,
  way: 'program' | 'library',
  step = 64 * 1024,
  format?: Compression,
): Promise<Buffer> {
  const context = await makeContext(way === 'library' ? { has: () => false } : {});
  return collect(decompress(new Source(bytes, step).stream(), 'thing', context, format));
}

describe.each(ways)('$format by $way', ({ format, way }) => {
  const whole = compressed(format, content);
  const little = compressed(format, small);

  it('gives back what was compressed, and uses what it should', async () => {
    const context = await makeContext(way === 'library' ? { has: () => false } : {});
    const bytes = await collect(decompress(new Source(whole).stream(), 'thing', context));
    expect(bytes.equals(content)).toBe(true);
    expect(context.commands.map(([program]) => program)).toEqual(way === 'program' ? [format] : []);
  });

  it('takes several streams one after the other as one', async () => {
    const bytes = await expand(Buffer.concat([whole, little, whole]), way);
    expect(bytes.equals(Buffer.concat([content, small, content]))).toBe(true);
  });

  it('takes the compression of nothing', async () => {
    expect(await expand(compressed(format, Buffer.alloc(0)), way)).toHaveLength(0);
  });

  it('gives the same bytes however the stream is cut', async () => {
    const check = async (step: number) => {
      expect((await expand(little, way, step)).equals(small)).toBe(true);
    };
    await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: little.length }), check), {
      numRuns: way === 'library' ? 40 : 8,
      examples: [[1], [2], [3]],
    });
  });

  it('never takes a stream that is cut off', async () => {
    const check = async (length: number) => {
      const error = await failureOf(expand(little.subarray(0, length), way));
      expect(length < 6 ? ['corrupt-input', 'bad-format'] : ['corrupt-input']).toContain(error.code);
    };
    if (way === 'library') for (let length = 0; length < little.length; length++) await check(length);
    else
      await fc.assert(fc.asyncProperty(fc.nat(little.length - 1), check), {
        numRuns: 15,
        examples: [[little.length - 1]],
      });
  });

  it('never takes a long stream that is cut off', async () => {
    for (const length of [whole.length - 1, whole.length - 9, whole.length >> 1]) {
      const error = await failureOf(expand(whole.subarray(0, length), way));
      expect(error.code).toBe('corrupt-input');
      expect(error.message).toContain('thing');
    }
  });

  it('never takes a changed bit for content', async () => {
    const check = async (bit: number) => {
      const damaged = Buffer.from(little);
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      // A bit of a header that means nothing may change; the content may not.
      const result = await expand(damaged, way).catch((error: unknown) => error);
      if (Buffer.isBuffer(result)) expect(result.equals(small)).toBe(true);
      else
        expect(result).toMatchObject({
          name: 'ResError',
          code: expect.stringMatching(/corrupt-input|bad-format/),
        });
    };
    await fc.assert(fc.asyncProperty(fc.nat(little.length * 8 - 1), check), {
      numRuns: way === 'library' ? 150 : 15,
    });
  });

  it('refuses what follows the end', async () => {
    const error = await failureOf(
      expand(Buffer.concat([little, Buffer.from('something else, and some more')]), way),
    );
    expect(error.code).toBe('corrupt-input');
  });

  it('ends its source and its program when the consumer stops', async () => {
    const context = await makeContext(way === 'library' ? { has: () => false } : {});
    const source = new Source(whole, 4096);
    for await (const piece of decompress(source.stream(), 'thing', context)) {
      expect(piece.length).toBeGreaterThan(0);
      break;
    }
    expect(source.ended).toBe(true);
    expect(context.running.size).toBe(0);
  });

  it('passes on what its source throws, unchanged', async () => {
    const failure = new Error('the network is gone');
    const source = async function* () {
      yield whole.subarray(0, 50_000);
      throw failure;
    };
    const context = await makeContext(way === 'library' ? { has: () => false } : {});
    await expect(collect(decompress(source(), 'thing', context))).rejects.toBe(failure);
  });

  it('says when the format is another than declared', async () => {
    const other = format === 'xz' ? 'gzip' : 'xz';
    const error = await failureOf(expand(little, way, 100, other));
    expect(error.code).toBe('bad-format');
    expect(error.message).toBe(`thing is ${format}, not ${other}`);
    expect((await expand(little, way, 100, format)).equals(small)).toBe(true);
  });
});

describe('what is not compressed', () => {
  it('is refused with its first bytes', async () => {
    const error = await failureOf(expand(Buffer.from('ELF, or so'), 'library'));
    expect(error.code).toBe('bad-format');
    expect(error.message).toContain('45 4c 46 2c 20 6f "ELF, o"');
  });

  it('is refused when there is nothing at all', async () => {
    expect((await failureOf(expand(Buffer.alloc(0), 'library'))).message).toContain('empty');
  });

  it('is refused when a format is declared', async () => {
    const error = await failureOf(expand(Buffer.from('ELF, or so'), 'library', 100, 'zstd'));
    expect(error.message).toContain('thing is not zstd');
  });
});

describe('gzip', () => {
  const member = gzipSync(small);

  it('may be followed by zeros, as on tapes, but not by zeros and something', async () => {
    const zeros = Buffer.alloc(100);
    for (const step of [1, 7, 100_000]) {
      expect((await expand(Buffer.concat([member, zeros]), 'library', step)).equals(small)).toBe(true);
      const error = await failureOf(expand(Buffer.concat([member, zeros, member]), 'library', step));
      expect(error.code).toBe('corrupt-input');
      expect(error.message).toContain('something else follows its end');
    }
  });

  it('says what is wrong and where', async () => {
    const error = await failureOf(expand(member.subarray(0, 200), 'library'));
    expect(error.message).toBe('thing is not whole gzip data: unexpected end (within the first 200 bytes)');
    expect(error.hint).toContain('parts');
  });
});

describe('zstd by library', () => {
  it('skips skippable frames, first and between', async () => {
    const skippable = Buffer.concat([
      Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 5, 0, 0, 0]),
      Buffer.from('hello'),
    ]);
    const frame = compressed('zstd', small);
    for (const way of ['library', 'program'] as const) {
      const bytes = await expand(Buffer.concat([skippable, frame, skippable, frame]), way, 5);
      expect(bytes.equals(Buffer.concat([small, small]))).toBe(true);
    }
  });

  it('finds content that differs from its checksum', async () => {
    const frame = compressed('zstd', small);
    frame[frame.length - 1] = (frame[frame.length - 1] ?? 0) ^ 1;
    expect((await failureOf(expand(frame, 'library'))).message).toContain('a checksum does not match');
  });

  it('refuses a window that takes too much memory, as the program does', async () => {
    // Window descriptor 0xa8: 2^31 bytes; an empty last block.
    const frame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00]);
    for (const way of ['library', 'program'] as const)
      expect((await failureOf(expand(frame, way))).code).toBe('corrupt-input');
  });

  it.each([['-1'], ['-19'], ['--no-check'], ['--long=27']])('knows what zstd %s makes', async (flag) => {
    expect((await expand(compressed('zstd', content, [flag]), 'library')).equals(content)).toBe(true);
  });
});

describe('xz by library', () => {
  it.each([['--check=crc32'], ['--check=none'], ['--block-size=100000'], ['-9']])(
    'knows what xz %s makes',
    async (flag) => {
      expect((await expand(compressed('xz', content, [flag]), 'library')).equals(content)).toBe(true);
    },
  );

  it('says of a check that it cannot verify that the program can', async () => {
    const bytes = compressed('xz', small, ['--check=sha256']);
    expect((await failureOf(expand(bytes, 'library'))).message).toContain('only the program xz knows');
    expect((await expand(bytes, 'program')).equals(small)).toBe(true);
  });
});

it('bzip2 by library holds one block at a time, however much a few bytes expand to', async () => {
  const bomb = compressed('bzip2', Buffer.alloc(20_000_000));
  expect(bomb.length).toBeLessThan(10_000);
  const context = await makeContext({ has: () => false });
  let most = 0;
  for await (const piece of decompress(new Source(bomb).stream(), 'thing', context))
    most = Math.max(most, piece.length);
  expect(most).toBeLessThan(6_000_000);
});

it("a program's own words are the reason", async () => {
  const words = async (format: Compression) =>
    (await failureOf(expand(compressed(format, content).subarray(0, 5000), 'program'))).message;
  expect(await words('xz')).toBe(
    'thing is not whole xz data: (stdin): Unexpected end of input (within the first 5,000 bytes)',
  );
  expect(await words('bzip2')).toContain('Compressed file ends unexpectedly');
  expect(await words('zstd')).toContain('premature end');
});

it('a program that was killed says nothing about the data', async () => {
  const context = await makeContext();
  const bytes = compressed('xz', content);
  const source = async function* () {
    yield bytes.subarray(0, bytes.length - 1000);
    for (const pid of context.running) process.kill(pid, 'SIGKILL');
    yield bytes.subarray(bytes.length - 1000);
  };
  expect((await failureOf(collect(decompress(source(), 'thing', context)))).code).toBe('command-failed');
});
