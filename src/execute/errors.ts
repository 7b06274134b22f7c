// Errors as data for events, logs and JSON.
import { ResError } from '../model/error.js';
import type { ErrorReport } from '../model/event.js';

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
  return { code: 'bug', message, hint: null, diagnostics: [], command: null, log };
}
