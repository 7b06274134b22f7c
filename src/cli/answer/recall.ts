// The answer to a question that was asked before, where nothing has changed that it rests on. All of the program but this is
// then not even loaded.
import { lstatSync, realpathSync, statSync } from 'node:fs';
import { MANNERS, putStamp, STAMP_LENGTH } from '../../model/looks.js';
import { readKeptFile } from '../../store/kept-file.js';
import { envDigest } from '../consulted-env.js';
import type { Host } from '../host.js';
import { type Answer, decodeAnswer } from './file.js';
import { type Question, questionOf } from './question.js';

/** Prints the answer and gives the exit status; undefined when it must be found out. */
export function recall(argv: readonly string[], host: Host): number | undefined {
  const question = questionOf(argv, host);
  const answer = question && read(question);
  if (!answer || envDigest(host.env, answer.env) !== answer.envDigest || !holds(answer)) return undefined;
  if (answer.stderr !== '') host.stderr.write(answer.stderr);
  if (answer.stdout !== '') host.stdout.write(answer.stdout);
  return answer.status;
}

function read({ file, text }: Question): Answer | undefined {
  const kept = readKeptFile(file);
  const answer = kept && decodeAnswer(kept);
  return answer?.question === text ? answer : undefined;
}

/** Whether all that was looked at looks the same. */
function holds({ paths, manners, stamps, reals }: Answer): boolean {
  const now = new BigInt64Array(STAMP_LENGTH);
  try {
    for (const [path, real] of reals) if (realpathSync(path) !== real) return false;
    for (const [i, path] of paths.entries()) {
      const manner = MANNERS[manners[i] ?? 0] ?? 'link';
      putStamp(now, 0, look(path, manner === 'link'), manner);
      for (let k = 0; k < STAMP_LENGTH; k++) if (now[k] !== stamps[i * STAMP_LENGTH + k]) return false;
    }
    return true;
  } catch {
    // What cannot be looked at could be when the answer was found: something has changed.
    return false;
  }
}

function look(path: string, isLink: boolean) {
  try {
    const o = { bigint: true, throwIfNoEntry: false } as const;
    return isLink ? lstatSync(path, o) : statSync(path, o);
  } catch (error) {
    // What was a folder above it is a file: it is not there.
    if (error instanceof Error && 'code' in error && error.code === 'ENOTDIR') return undefined;
    throw error;
  }
}
