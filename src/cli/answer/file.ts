// An answer as it is kept: a line of JSON, what was printed, and what of the file system it rests on.
import { STAMP_LENGTH } from '../../model/looks.js';

export interface Answer {
  /** Question.text; a name of a file is not enough to go by. */
  readonly question: string;
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Names of the variables of the environment that were asked for, and envDigest of them. */
  readonly env: readonly string[];
  readonly envDigest: string;
  /** Paths with links in them, and where they lead. */
  readonly reals: readonly (readonly [path: string, real: string])[];
  /** What was looked at. */
  readonly paths: readonly string[];
  /** By path: index in MANNERS. */
  readonly manners: Uint8Array;
  /** By path, STAMP_LENGTH numbers each. */
  readonly stamps: BigInt64Array;
}

const FORMAT = 'res-answer 1';
const STAMP_BYTES = STAMP_LENGTH * 8;
/** No path has one. */
const SEPARATOR = '\0';

export function encodeAnswer(answer: Answer): Buffer {
  const { stdout, stderr, paths, manners, stamps, ...head } = answer;
  const printed = Buffer.from(stdout + stderr);
  const line = Buffer.from(
    `${JSON.stringify({
      format: FORMAT,
      ...head,
      count: paths.length,
      printed: printed.length,
      stderr: Buffer.byteLength(stderr),
    })}\n`,
  );
  return Buffer.concat([
    line,
    printed,
    manners,
    new Uint8Array(stamps.buffer, stamps.byteOffset, stamps.byteLength),
    Buffer.from(paths.join(SEPARATOR)),
  ]);
}

/** Undefined for what is of another format. */
export function decodeAnswer(body: Buffer): Answer | undefined {
  const end = body.indexOf('\n');
  if (end < 0) return undefined;
  const head: unknown = JSON.parse(body.toString('utf8', 0, end));
  if (!isHead(head)) return undefined;
  const { count, printed, stderr, ...rest } = head;
  let at = end + 1;
  const take = (length: number) => {
    const part = body.subarray(at, at + length);
    at += length;
    return part;
  };
  const text = take(printed);
  const manners = new Uint8Array(take(count));
  const stamps = new BigInt64Array(count * STAMP_LENGTH);
  new Uint8Array(stamps.buffer).set(take(count * STAMP_BYTES));
  const paths = count === 0 ? [] : body.toString('utf8', at).split(SEPARATOR);
  if (paths.length !== count) return undefined;
  return {
    ...rest,
    stdout: text.toString('utf8', 0, printed - stderr),
    stderr: text.toString('utf8', printed - stderr),
    paths,
    manners,
    stamps,
  };
}

type Head = Omit<Answer, 'stdout' | 'stderr' | 'paths' | 'manners' | 'stamps'> & {
  readonly count: number;
  readonly printed: number;
  readonly stderr: number;
};

/** Its file's checksum vouches for the rest. */
function isHead(value: unknown): value is Head {
  return typeof value === 'object' && value !== null && 'format' in value && value.format === FORMAT;
}
