// Objects of the store that somebody wrote to after all: a program had the file open when it was an output.
import type { DetailedPlan } from '../plan/plan.js';
import type { Workspace } from '../plan/workspace.js';
import { algorithmOf } from '../store/hashing.js';

/** Reads those that the plan could use again, and removes what is no longer what its name says. */
export async function dropWritten({ store, cache }: Workspace, plan: DetailedPlan): Promise<void> {
  for (const [name, planned] of plan.nodes) {
    // What is in its place, as it was, is not looked for in the store.
    if (plan.settled?.vouches(name)) continue;
    for (const { digest, type } of planned.content ?? []) {
      const path = store.path(digest, type);
      if (type !== 'file' || !store.has(digest, type) || !cache.wasWritten(path)) continue;
      if ((await cache.digestOf(path, algorithmOf(digest))).digest === digest) continue;
      await store.remove(digest, type);
      cache.forget(path);
    }
  }
}
