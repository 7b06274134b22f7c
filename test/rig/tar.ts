// Writes tar archives byte by byte, so that they can say what no tar program would write.

export interface TarEntry {
  /** Written as it is. At most 100 bytes; longer ones go through `pax` or an entry of type `L`. */
  readonly name: string;
  /**
   * `0` file, `1` hard link, `2` symbolic link, `3` character device, `4` block device, `5` directory, `6` FIFO,
   * `L` GNU long name (the body) for the next entry, `x` pax header for the next entry.
   */
  readonly type?: '0' | '1' | '2' | '3' | '4' | '5' | '6' | 'L' | 'x';
  readonly link?: string;
  readonly body?: Uint8Array | string;
  readonly mode?: number;
  /** A lie about the length of the body. */
  readonly claimedSize?: number;
  readonly badChecksum?: boolean;
}

const BLOCK = 512;

/** An uncompressed archive with its two end blocks. */
export function tarBytes(entries: readonly TarEntry[]): Buffer {
  return Buffer.concat([...entries.map(entryBytes), Buffer.alloc(2 * BLOCK)]);
}

/** The entry that gives the next one these pax attributes (`path`, `linkpath`, `size`). */
export function paxEntry(attributes: Readonly<Record<string, string>>): TarEntry {
  const lines = Object.entries(attributes).map(([key, value]) => {
    const rest = ` ${key}=${value}\n`;
    // The length counts its own digits.
    let length = Buffer.byteLength(rest);
    while (Buffer.byteLength(`${length}${rest}`) !== length) length = Buffer.byteLength(`${length}${rest}`);
    return `${length}${rest}`;
  });
  return { name: 'pax', type: 'x', body: lines.join('') };
}

function entryBytes(entry: TarEntry): Buffer {
  const body = Buffer.from(entry.body ?? '');
  const type = entry.type ?? '0';
  const header = Buffer.alloc(BLOCK);
  header.write(entry.name, 0, 100);
  octal(header, entry.mode ?? (type === '5' ? 0o755 : 0o644), 100, 8);
  octal(header, 0, 108, 8);
  octal(header, 0, 116, 8);
  octal(header, entry.claimedSize ?? body.byteLength, 124, 12);
  octal(header, 0, 136, 12);
  header.write(type, 156);
  header.write(entry.link ?? '', 157, 100);
  header.write('ustar\x0000', 257, 'latin1');
  octal(header, type === '3' || type === '4' ? 1 : 0, 329, 8);
  octal(header, type === '3' || type === '4' ? 3 : 0, 337, 8);
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0) + (entry.badChecksum ? 1 : 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return Buffer.concat([header, body, Buffer.alloc((BLOCK - (body.byteLength % BLOCK)) % BLOCK)]);
}

function octal(header: Buffer, value: number, at: number, width: number): void {
  header.write(`${value.toString(8).padStart(width - 1, '0')}\0`, at, 'latin1');
}
