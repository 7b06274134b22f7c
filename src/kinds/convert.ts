// convert: a disk image in another format, by qemu-img.
import { ResError } from '../model/error.js';
import type { JsonObject } from '../model/json.js';
import { type DiskSize, diskSizeOf, keyedSize, virtualSize, wantedSize } from './disk-size.js';
import { type Glimpse, type ImageGlimpse, type InputGlimpse, NO_GLIMPSE } from './glimpse.js';
import { IMAGE_FORMATS, type ImageFile, type ImageFormat, probe } from './image-format.js';
import { imageInput } from './image-input.js';
import type { Kind, KindContext } from './kind.js';
import { readQcow2 } from './qcow2.js';
import { bytes, settings, single, truth, unfit, word } from './recipe.js';

const TARGETS = ['raw', 'qcow2', 'vmdk', 'vdi', 'vhdx', 'vpc'] as const;
type Target = (typeof TARGETS)[number];

/** Runs of zeros of this length become holes, as qemu-img has it, bytes. */
const SPARSE_DEFAULT = 4096;

interface Convert {
  readonly to: Target;
  readonly from: ImageFormat | undefined;
  readonly compress: boolean;
  readonly options: Readonly<Record<string, string>>;
  readonly size: DiskSize | undefined;
  /** Bytes; 0: everything is allocated. */
  readonly sparse: number;
}

export const convert: Kind = {
  name: 'convert',
  references: (recipe) => single(recipe, 'convert'),
  check: (recipe) => void parse(recipe),
  keyed(recipe) {
    const { to, from, compress, options, size, sparse } = parse(recipe);
    return {
      to,
      compress,
      options,
      sparse,
      ...(from === undefined ? {} : { from }),
      ...keyedSize(size),
    };
  },
  tools: () => ['qemu-img'],
  pool: 'disk',
  making: {
    by: 'writing',
    write: (recipe, context) => write(parse(recipe), context),
    // As qemu-img writes unless it is told otherwise (-W); other formats have tables, which it comes back to.
    isOrdered: (recipe) => parse(recipe).to === 'raw',
  },
  imageFormat: (recipe) => parse(recipe).to,
  glimpse: (recipe, inputs) => glimpse(parse(recipe), inputs),
};

function parse(recipe: JsonObject): Convert {
  const to = word(recipe, 'to', TARGETS);
  if (to === undefined) throw unfit('to', `one of ${TARGETS.join(', ')}`, undefined);
  const compress = truth(recipe, 'compress') ?? false;
  if (compress && to !== 'qcow2' && to !== 'vmdk') {
    throw new ResError('manifest-invalid', `\`compress\` is for qcow2 and vmdk; ${to} cannot be compressed`);
  }
  const size = diskSizeOf(recipe);
  if (size !== undefined && to !== 'raw' && to !== 'qcow2') {
    throw new ResError('manifest-invalid', `\`size\` is for raw and qcow2; qemu-img cannot resize ${to}`, {
      hint: 'Convert to raw with `size` first, and convert that.',
    });
  }
  const from = word(recipe, 'from', IMAGE_FORMATS);
  return { to, from, compress, options: optionsOf(recipe, to, compress), size, sparse: sparseOf(recipe) };
}

function sparseOf(recipe: JsonObject): number {
  const value = recipe.sparse;
  if (value === undefined || value === true || value === 'true') return SPARSE_DEFAULT;
  if (value === false || value === 'false') return 0;
  return bytes(value, 'sparse');
}

/** Other files that a result would depend on, or be spread over: it is to be one file that stands alone. */
const FOREIGN: ReadonlySet<string> = new Set([
  'backing_file',
  'backing_fmt',
  'data_file',
  'data_file_raw',
  'object',
  'size',
]);
const VMDK_WHOLE: readonly string[] = ['monolithicSparse', 'streamOptimized'];

function optionsOf(recipe: JsonObject, to: Target, compress: boolean): Readonly<Record<string, string>> {
  const options = settings(recipe, 'options');
  for (const name of Object.keys(options)) {
    if (!/^[A-Za-z][A-Za-z0-9._-]*$/.test(name)) throw unfit('options', 'a map of qemu-img options', name);
    if (FOREIGN.has(name)) {
      throw new ResError('manifest-invalid', `the option \`${name}\` is not for \`options\``, {
        hint: name === 'size' ? 'Use the field `size`.' : 'The result must be one file that needs no other.',
      });
    }
  }
  if (to !== 'vmdk') return options;
  const subformat = options.subformat ?? (compress ? 'streamOptimized' : undefined);
  if (subformat === undefined) return options;
  if (!VMDK_WHOLE.includes(subformat)) {
    throw new ResError(
      'manifest-invalid',
      `the subformat ${subformat} makes several files; the result must be one`,
      {
        hint: `Use one of ${VMDK_WHOLE.join(', ')}.`,
      },
    );
  }
  return { ...options, subformat };
}

async function write(recipe: Convert, context: KindContext): Promise<void> {
  const { path, format: from, what } = await imageInput(context, 'convert', recipe.from);
  if (from === 'qcow2' || from === 'vmdk') await refuseCutOff(path, from, what, context);
  const { size } = recipe;
  const current = size === undefined ? 0 : await virtualSize(path, from, context);
  const wanted = size === undefined ? 0 : wantedSize(size, current, what);
  await context.exec(convertCommand(recipe, from, path, context.out), {
    onStdout: percentReader((done) => context.percent(done)),
  });
  if (wanted > current)
    await context.exec(['qemu-img', 'resize', '-q', '-f', recipe.to, context.out, String(wanted)]);
}

function convertCommand(
  { to, compress, options, sparse }: Convert,
  from: ImageFormat,
  input: string,
  out: string,
): [string, ...string[]] {
  // A comma in a value is written twice.
  const settings = Object.entries(options).map(([name, value]) => `${name}=${value.replaceAll(',', ',,')}`);
  return [
    'qemu-img',
    'convert',
    '-p',
    '-f',
    from,
    '-O',
    to,
    ...(compress ? ['-c'] : []),
    ...(settings.length > 0 ? ['-o', settings.join(',')] : []),
    ...(sparse === SPARSE_DEFAULT ? [] : ['-S', String(sparse)]),
    input,
    out,
  ];
}

/** qemu-img reads what lies beyond the end of these as zeros: half an image would become a whole one. Its check sees that. */
async function refuseCutOff(
  path: string,
  format: ImageFormat,
  what: string,
  context: KindContext,
): Promise<void> {
  try {
    await context.exec(['qemu-img', 'check', '-q', '-f', format, path]);
  } catch (error) {
    if (!(error instanceof ResError) || error.command?.exitCode === undefined) throw error;
    // Other faults (counts that a crash left behind, for one) do not keep the content from being read.
    if (!error.command.tail.some((line) => /exceeding the end of the file|points after EOF/.test(line)))
      return;
    throw new ResError(
      'corrupt-input',
      `${what} is cut off: parts of the disk lie beyond the end of the file`,
      {
        hint: 'The image is incomplete. Get it again; `verify` with its published checksum finds this earlier.',
        command: error.command,
        cause: error,
      },
    );
  }
}

/** Reads `(12.34/100%)`, however the text is cut. */
export function percentReader(report: (done: number) => void): (text: string) => void {
  let rest = '';
  return (text) => {
    rest += text;
    const last = [...rest.matchAll(/\((\d+(?:\.\d+)?)\/100%\)/g)].at(-1);
    if (last) {
      report(Math.min(100, Number(last[1])));
      rest = rest.slice(last.index + last[0].length);
    }
    rest = rest.slice(-32);
  };
}

async function glimpse(recipe: Convert, [input]: readonly InputGlimpse[]): Promise<Glimpse> {
  const image = input?.image ?? (input && (await imageIn(recipe, input)));
  if (!image) return NO_GLIMPSE;
  const { to, size, sparse, compress, options } = recipe;
  const larger = size === undefined ? 0 : 'is' in size ? size.is : image.virtualSize + size.add;
  const virtualSize = Math.max(image.virtualSize, larger);
  const full = sparse === 0 || options.preallocation === 'full' || options.preallocation === 'falloc';
  const dataBytes = full ? virtualSize : image.dataBytes;
  // How well the content can be compressed shows when it is.
  const inFile =
    dataBytes === null || compress
      ? null
      : dataBytes + (to === 'qcow2' ? tablesOf(virtualSize, dataBytes) : 0);
  return {
    ...NO_GLIMPSE,
    size: to === 'raw' ? virtualSize : inFile,
    diskBytes: inFile,
    image: { virtualSize, dataBytes },
  };
}

/** What is in the image at hand, where its first bytes say so. */
async function imageIn({ from }: Convert, input: InputGlimpse): Promise<ImageGlimpse | undefined> {
  const told = from ?? IMAGE_FORMATS.find((known) => known === input.format);
  // Of content that is yet to be made, and of which nothing is known, no server needs to be asked.
  const head = told === 'raw' ? undefined : await input.head();
  const format = told ?? (head && (await probe(imageOf(head))));
  if (format === 'qcow2') return head && readQcow2(head, input.size);
  if (format !== 'raw' || input.size === null) return undefined;
  return { virtualSize: input.size, dataBytes: input.diskBytes };
}

function imageOf(head: Uint8Array): ImageFile {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  return {
    size: 0,
    bytes: async (offset, length) => Buffer.concat([bytes.subarray(offset, offset + length)], length),
  };
}

/** Bytes of the tables of a qcow2 image with clusters of 64 KiB. */
function tablesOf(virtualSize: number, dataBytes: number): number {
  const cluster = 64 * 1024;
  const perTable = cluster * (cluster / 8);
  const l1 = Math.ceil(((virtualSize / perTable) * 8) / cluster);
  const counts = Math.ceil(dataBytes / (cluster * (cluster / 2)));
  return (2 + l1 + counts + Math.ceil(virtualSize / perTable)) * cluster;
}
