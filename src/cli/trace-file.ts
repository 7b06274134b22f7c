// The file of `--trace`: begun before any work, so that a path that cannot be written is told at once, and there when
// the build has ended, also when it failed.
import { open } from 'node:fs/promises';
import type { EventListener } from '../model/event.js';
import { traceRecorder } from '../report/trace.js';
import { ioError, publish, tempBeside } from '../store/files.js';

export interface TraceFile {
  readonly listener: EventListener;
  close(): Promise<void>;
}

/** A file of that name is replaced, at the end. Rejects with ResError when none can be written there. */
export async function openTrace(path: string): Promise<TraceFile> {
  const temp = tempBeside(path);
  const file = await open(temp, 'wx').catch((error: unknown) => {
    throw ioError(error, 'cannot write the trace', path);
  });
  const recorder = traceRecorder(() => performance.now());
  return {
    listener: recorder.listener,
    async close() {
      await file.writeFile(`${JSON.stringify(recorder.trace())}\n`).finally(() => file.close());
      await publish(temp, path);
    },
  };
}
