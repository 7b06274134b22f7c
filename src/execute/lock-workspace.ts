// Whoever changes a workspace is alone in it, and is gone from a shared store before the next one comes.
import { join } from 'node:path';
import type { Workspace } from '../plan/workspace.js';
import { acquireLock, type LockOptions } from '../store/lock.js';
import { prepareWorkspace } from '../store/paths.js';
import { inTurn } from './in-turn.js';

export interface LockWorkspaceOptions {
  /** What this process does, for those who wait. */
  readonly describe: string;
  /** Called for each res that is waited for. */
  readonly onWait?: LockOptions['onWait'] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes the workspace's folders and waits until nobody else works in it; on a full disk too. Gives what ends that, which also
 * leaves a shared store that was joined meanwhile. Rejects with ResError `interrupted`, `io` or `no-space`.
 */
export async function lockWorkspace(
  workspace: Workspace,
  { describe, onWait, signal }: LockWorkspaceOptions,
): Promise<() => Promise<void>> {
  await prepareWorkspace(workspace.paths);
  const lock = await acquireLock(join(workspace.paths.root, 'lock'), {
    describe,
    evenWhenFull: true,
    ...(onWait ? { onWait } : {}),
    ...(signal ? { signal } : {}),
  });
  return () => inTurn([async () => workspace.shared?.leave(), () => lock.release()]);
}
