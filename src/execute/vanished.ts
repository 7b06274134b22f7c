// Content that was at hand when somebody looked, and is not any more: another workspace took it, or a person wrote to it. It
// is then looked for again, and made or fetched as if it had never been there.
import type { Workspace } from '../plan/workspace.js';

export class Vanished extends Error {
  constructor(what: string) {
    super(`${what} is not at hand any more`);
  }
}

/** What was looked for moved on, to where the next look finds it: an output of another workspace into the store, as a rule. */
const LOOKS = 4;

/** Does `work`, which uses content that was found; undefined when it had vanished each time it was looked for anew. */
export async function ifNotVanished<T>(
  { shared }: Workspace,
  work: () => Promise<T>,
): Promise<T | undefined> {
  for (let look = 0; look < LOOKS; look++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Vanished)) throw error;
      shared?.refresh();
    }
  }
  return undefined;
}
