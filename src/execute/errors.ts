// Errors as data for events, logs and JSON.
import { ResError } from '../model/error.js';
import type { ErrorReport } from '../model/event.js';

const BUG_HINT =
  'This is a bug of res, not of your manifest or your machine. Please report it with the lines above, the command line, and the manifest.';

/** @param log path of the node's whole log, where there is one */
export function errorReport(error: unknown, log: string | null = null): ErrorReport {
  if (error instanceof ResError) {
    return {
      code: error.code,
      message: error.message,
      hint: error.hint ?? null,
      diagnostics: error.diagnostics,
      command: error.command ?? null,
      log,
    };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: 'bug', message, hint: BUG_HINT, diagnostics: [], command: null, log };
}
