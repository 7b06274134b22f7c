// Writing back while a file grows: the sync at the end of a big file then waits for its last part only, and the disk is
// busy while bytes are still made. It changes nothing of what is durable when: the final sync stays where it was.
import { open } from 'node:fs/promises';
import { errorCode } from './files.js';

/** Between the end of one sync and the start of the next, ms. */
const PAUSE_MS = 200;

/**
 * Does `work`, which writes the file at `path`, and has the system write back what there is of it in the meantime.
 * @param work may call what it gets once all is written, and go on with something else: the rest is written back then at once
 */
export async function writingBack<T>(path: string, work: (onWritten: () => void) => Promise<T>): Promise<T> {
  let syncing: Promise<void> = Promise.resolve();
  let isGrowing = true;
  let timer = setTimeout(again, PAUSE_MS);
  try {
    return await work(onWritten);
  } finally {
    stop();
    await syncing;
  }
  function again(): void {
    syncing = syncOnce(path).finally(() => {
      if (isGrowing) timer = setTimeout(again, PAUSE_MS);
    });
  }
  function onWritten(): void {
    stop();
    syncing = syncing.then(() => syncOnce(path));
  }
  function stop(): void {
    isGrowing = false;
    clearTimeout(timer);
  }
}

/** What cannot be synced now (not there yet, disk full) is met again by the writer or the final sync, and reported there. */
async function syncOnce(path: string): Promise<void> {
  try {
    const file = await open(path, 'r');
    try {
      await file.datasync();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
  }
}
