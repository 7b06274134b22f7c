// Ways in which a file of lines is found after a disk, a file system or a person had their way with it.
import { randomNumbers } from './random.js';

export interface Damage {
  readonly name: string;
  /** Undefined: the file is gone. */
  readonly bytes: Buffer | undefined;
}

const NEWLINE = 0x0a;

/** Cut at every record and beside it; and of everything else so many by chance, the same for the same seed. */
export function damages(whole: Buffer, seed: string, each: number): readonly Damage[] {
  if (whole.length === 0) return [{ name: 'another text', bytes: Buffer.from('dear diary,\ntoday\n') }];
  const random = randomNumbers(seed);
  const below = (n: number) => Math.floor(random() * n);
  const ends = [...whole.keys()].filter((i) => whole[i] === NEWLINE).map((i) => i + 1);
  const lines = whole.toString('latin1').split('\n');
  const joined = (changed: readonly string[]) => Buffer.from(changed.join('\n'), 'latin1');
  const edited = (edit: (bytes: Buffer) => void) => {
    const bytes = Buffer.from(whole);
    edit(bytes);
    return bytes;
  };
  const some = <T>(make: () => T) => Array.from({ length: each }, make);
  const cuts = [0, ...ends.flatMap((end) => [end - 1, end, end + 1]), ...some(() => below(whole.length))];
  return [
    { name: 'gone', bytes: undefined },
    { name: 'all zeros', bytes: Buffer.alloc(whole.length) },
    { name: 'another text', bytes: Buffer.from('dear diary,\ntoday\n') },
    ...[...new Set(cuts)]
      .filter((at) => at < whole.length)
      .map((at) => ({ name: `cut off at ${at}`, bytes: Buffer.from(whole.subarray(0, at)) })),
    ...some(() => below(whole.length)).map((at) => ({
      name: `a bit flipped at ${at}`,
      bytes: edited((bytes) => bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << below(8)), at)),
    })),
    ...some(() => below(whole.length)).map((at) => ({
      name: `zeros from ${at}`,
      bytes: edited((bytes) => bytes.fill(0, at, Math.min(bytes.length, at + 1 + below(512)))),
    })),
    ...some(() => below(lines.length)).map((at) => ({
      name: `line ${at} twice`,
      bytes: joined(lines.toSpliced(at, 0, lines[at] ?? '')),
    })),
    ...some(() => below(lines.length)).map((at) => ({
      name: `line ${at} garbled`,
      bytes: joined(lines.with(at, (lines[at] ?? '').replace(/[0-9]/g, '7').replace(/"/g, "'"))),
    })),
    ...some(() => below(lines.length)).map((at) => ({
      name: `line ${at} left out`,
      bytes: joined(lines.toSpliced(at, 1)),
    })),
  ];
}
