// xz without the program, by xz-decompress: any number of streams with padding between them, checked to their end.
import { ReadableStream } from 'node:stream/web';
import xz from 'xz-decompress';
import { DamagedError } from './bytes.js';

/** What xz-embedded's return codes (enum xz_ret) mean for the data. */
const MEANINGS: Readonly<Record<string, string>> = {
  '2': 'it uses an integrity check that only the program xz knows',
  '3': 'it needs too much memory',
  '4': 'it needs too much memory',
  '5': 'something else follows its end',
  '6': 'it uses an integrity check or a filter that only the program xz knows',
  '7': 'its data is damaged',
  '8': 'unexpected end',
};

/** Throws DamagedError, which says what is wrong with the data. */
export async function* unxz(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const iterator = input[Symbol.asyncIterator]();
  let inputFailure: unknown;
  const source = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const next = await iterator.next();
          if (next.done) controller.close();
          else controller.enqueue(next.value);
        } catch (error) {
          inputFailure = error;
          throw error;
        }
      },
    },
    { highWaterMark: 0 },
  );
  try {
    yield* new xz.XzReadableStream(source);
  } catch (error) {
    if (inputFailure !== undefined) throw inputFailure;
    const code = error instanceof Error ? /error code (\d+)$/.exec(error.message)?.[1] : undefined;
    throw code === undefined
      ? error
      : new DamagedError(MEANINGS[code] ?? `its decoder failed with code ${code}`);
  } finally {
    await iterator.return?.();
  }
}
