// A page as a file of the user's.
import { readFile, writeFile } from 'node:fs/promises';
import { ResError } from '../model/error.js';
import { isOwnPage } from '../report/page.js';
import { errorCode, ioError } from '../store/files.js';

/** A page that res wrote there before is replaced; any other file is the user's. Rejects with ResError `output-foreign`, `io`. */
export async function writePage(path: string, page: string): Promise<void> {
  const before = await readFile(path, 'utf8').catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw ioError(error, 'cannot read', path);
  });
  if (before !== undefined && !isOwnPage(before))
    throw new ResError('output-foreign', `${path} is there, and is no report of res`, {
      hint: 'Remove it, or give another name.',
    });
  await writeFile(path, page).catch((error: unknown) => {
    throw ioError(error, 'cannot write', path);
  });
}
