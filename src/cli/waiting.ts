// What commands without a face of their own say while another process has the workspace.
import type { Context } from './context.js';

/** @returns what to call with who has it */
export function sayWaiting({ flags, err }: Context): (holder: string) => void {
  return (holder) => {
    if (!flags.quiet) err.prose(`waiting for ${holder}`);
  };
}
