// Work on what a workspace has, while no build moves it.
import type { Workspace } from '../plan/workspace.js';
import { refreshWorkspace } from '../plan/workspace.js';
import { type LockWorkspaceOptions, lockWorkspace } from './lock-workspace.js';

/**
 * Waits until nobody else works in the workspace, and does the work; in a shared store others see it. Rejects with what the work
 * does, with ResError `interrupted`, `io`, `no-space`.
 */
export async function aloneIn<T>(
  workspace: Workspace,
  options: LockWorkspaceOptions,
  work: () => Promise<T>,
): Promise<T> {
  const unlock = await lockWorkspace(workspace, options);
  try {
    refreshWorkspace(workspace);
    await workspace.shared?.join(options.describe);
    return await work();
  } finally {
    await unlock();
  }
}
