// Things that all must be done at an end, whatever becomes of each.

/** Does all of it, one after another, also after one has failed. Rejects with the first failure. */
export async function inTurn(works: readonly (() => Promise<unknown>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const work of works) await work().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}
