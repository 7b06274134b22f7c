// The one image that a kind reads: where it is and in what format, found to refer to nothing that it may not.
import { ResError } from '../model/error.js';
import { IMAGE_FORMATS, type ImageFormat, probe, withImage } from './image-format.js';
import { checkImage } from './image-safety.js';
import { inputOf, nameOf } from './input.js';
import type { KindContext } from './kind.js';

export interface ImageInput {
  readonly path: string;
  readonly format: ImageFormat;
  /** Its name in messages. */
  readonly what: string;
}

/**
 * Rejects with ResError `bad-format` for several files, and as `checkImage`.
 * @param kind the reader's name in messages
 * @param from its format, where the manifest says it
 */
export async function imageInput(
  context: KindContext,
  kind: string,
  from: ImageFormat | undefined,
): Promise<ImageInput> {
  const input = inputOf(context);
  const what = nameOf(input);
  const [path, ...others] = await input.paths();
  if (path === undefined || others.length > 0) {
    throw new ResError(
      'bad-format',
      `${kind} takes one image, and ${input.node} has ${others.length + 1} files`,
      {
        hint: `Join them first: \`merge: ${input.node}\`.`,
      },
    );
  }
  const format = await withImage(path, async (image) => {
    const known = from ?? IMAGE_FORMATS.find((one) => one === input.format) ?? (await probe(image));
    await checkImage(image, known, what, {
      path,
      files: input.leansOn?.map((support) => support.path) ?? [],
    });
    return known;
  });
  return { path, format, what };
}
