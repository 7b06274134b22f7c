// Keeps the answer of a command that found nothing to do or only looked, with all that it rests on.
//
// That everything looks as it did proves that the answer holds, as commands have no other knowledge. One thing more is asked of
// what was read (and not only looked at): that its last change lies a tick of the clock or more before the run began. A
// change while it was read, or later, then shows in its times (store/stat-cache.ts has the same rule).
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Env } from '../../model/env.js';
import { Looks, noteLooks } from '../../model/looks.js';
import { errorCode } from '../../store/files.js';
import { writeKeptFile } from '../../store/kept-file.js';
import { clockOf, isSettled } from '../../store/stat-cache.js';
import { envDigest, watchEnv } from '../consulted-env.js';
import type { Host } from '../host.js';
import { encodeAnswer } from './file.js';
import { PREFIX, type Question, questionOf } from './question.js';

/** Answers of one workspace, and bytes of all of them; the oldest ones go. */
const MAX_ANSWERS = 16;
const MAX_BYTES = 128 * 1024 * 1024;
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;

export interface Remembering {
  /** The environment, watched. */
  readonly env: Env;
  /** Gets what is printed. */
  readonly heard: Readonly<Record<'stdout' | 'stderr', (text: string) => void>>;
  /** It is not to be remembered: it tells of this very run. */
  forget(): void;
  /** Ends it; keeps the answer where that can be done. */
  end(status: number | undefined): void;
}

/** From now on all that is looked at is noted, until `end`. Undefined where no answer can be kept. */
export function startRemembering(argv: readonly string[], host: Host): Remembering | undefined {
  const question = questionOf(argv, host);
  if (!question) return undefined;
  const clock = clockOf(question.place.state);
  if (!clock) return undefined;
  const looks = new Looks();
  noteLooks(looks);
  const { env, consulted } = watchEnv(host.env);
  const printed = { stdout: '', stderr: '' };
  return {
    env,
    heard: {
      stdout: (text) => {
        printed.stdout += text;
      },
      stderr: (text) => {
        printed.stderr += text;
      },
    },
    forget: () => looks.spoil(),
    end(status) {
      noteLooks(undefined);
      const names = consulted();
      if (status === undefined || names === undefined || !looks.isWhole) return;
      for (const stamp of looks.readStamps()) if (!isSettled(stamp, clock)) return;
      const { paths, reals, stamps } = looks;
      const answer = {
        question: question.text,
        status,
        ...printed,
        env: names,
        envDigest: envDigest(host.env, names),
        reals,
        paths,
        manners: Uint8Array.from(looks.manners),
        stamps,
      };
      keep(question, encodeAnswer(answer));
    },
  };
}

function keep({ file, place }: Question, bytes: Buffer): void {
  if (bytes.length > MAX_ANSWER_BYTES) return;
  if (!writeKeptFile(file, place.tmp, [bytes])) return;
  try {
    removeOldest(place.folder);
  } catch (error) {
    // Others may put things in order too.
    if (errorCode(error) === undefined) throw error;
  }
}

function removeOldest(folder: string): void {
  const answers = readdirSync(folder)
    .filter((name) => name.startsWith(PREFIX))
    .flatMap((name) => {
      const path = join(folder, name);
      const stats = statSync(path, { throwIfNoEntry: false });
      return stats ? [{ path, at: stats.mtimeMs, size: stats.size }] : [];
    })
    .sort((a, b) => b.at - a.at);
  let bytes = 0;
  for (const [i, { path, size }] of answers.entries()) {
    bytes += size;
    if (i >= MAX_ANSWERS || bytes > MAX_BYTES) rmSync(path, { force: true });
  }
}
