// What is asked for from several sides is done once, and everybody gets the same answer.

export class Once<T> {
  readonly #answers = new Map<string, Promise<T>>();

  /** Does `work` for this name unless that was begun before. */
  do(name: string, work: () => Promise<T>): Promise<T> {
    const begun = this.#answers.get(name);
    if (begun) return begun;
    const answer = work();
    // Whoever awaits it sees the error; what nobody awaits any more must not end the process.
    answer.catch(() => undefined);
    this.#answers.set(name, answer);
    return answer;
  }

  has(name: string): boolean {
    return this.#answers.has(name);
  }

  /** Waits for all that was begun, well or not. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#answers.values());
  }
}

/** Waits for all, then gives the values or throws the first error: nothing is left running behind. */
export async function settleAll<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const outcomes = await Promise.allSettled(promises);
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}
