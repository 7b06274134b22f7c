// One HTTP answer with content: ranges and validators as the standard has them, and every way in which a server,
// a proxy or a cable can get it wrong.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import type { Bytes, Content } from './content.js';

/** How one answer goes wrong. Fields combine; an empty fault is a normal answer, to let a request pass in a queue. */
export interface Fault {
  /** An error status instead of content. */
  readonly status?: number;
  /** Seconds, or a date; with `status`. */
  readonly retryAfter?: number | Date;
  /** Added to the answer, or taken from it (`null`). */
  readonly headers?: Readonly<Record<string, string | null>>;
  /**
   * `hang-up`: the connection is closed before any answer. `never`: no answer, ever. `junk`: what answers is no HTTP.
   * `torn`: the connection is closed amidst the headers.
   */
  readonly answer?: 'hang-up' | 'never' | 'junk' | 'torn';
  /** 200 and something else altogether, this once: the login page of a network, the apology of a proxy. */
  readonly instead?: { readonly type: string; readonly body: string };
  /**
   * The connection ends after this many bytes of this answer's body. `close` (the default) lets exactly these arrive;
   * `reset` sends RST, so that fewer may.
   */
  readonly cut?: { readonly after: number; readonly by?: 'close' | 'reset' };
  /** Nothing more is sent after this many bytes of this answer's body, until `until` resolves or the client goes. */
  readonly stall?: { readonly after: number; readonly until?: Promise<unknown> };
  /** The body ends early, well-formed: with a Content-Length that agrees, or chunked. */
  readonly truncate?: { readonly to: number; readonly framing: 'length' | 'chunked' };
  /** Offsets in the content whose bytes arrive inverted. */
  readonly corrupt?: readonly number[];
  /** A stretch of the content comes twice, and the rest after it. */
  readonly repeat?: { readonly at: number; readonly bytes: number };
  /** Compressed (Content-Encoding), whatever the client asked for. */
  readonly gzip?: boolean;
  /** From this request on, other bytes (with their own ETag) lie at this address. Digests that the API gives stay. */
  readonly replace?: Bytes;
  readonly ignoreRange?: boolean;
  /** 206 with the content from its beginning, whatever range was asked for. */
  readonly wrongRange?: boolean;
  readonly etag?: 'none' | 'weak' | 'wrong';
  readonly noLength?: boolean;
  /** Per connection. */
  readonly bytesPerSecond?: number;
  /** 302 to the same content on the other host, to itself without end, or to an address. */
  readonly redirect?: 'other-host' | 'loop' | { readonly url: string };
}

export interface Transfer {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Bytes of the body handed to the connection. */
  sent(bytes: number): void;
  stalled(): void;
}

/** Answers GET or HEAD with the content, or with the part of it that was asked for. Resolves when nothing more is to be sent. */
export async function answerContent(transfer: Transfer, content: Content, fault: Fault): Promise<void> {
  const { request, response } = transfer;
  const etag = etagOf(content, fault);
  const range = fault.ignoreRange ? 'all' : rangeOf(request, content, etag);

  response.setHeader('last-modified', content.modified.toUTCString());
  response.setHeader('content-type', 'application/octet-stream');
  response.setHeader('accept-ranges', fault.ignoreRange ? 'none' : 'bytes');
  if (etag !== undefined) response.setHeader('etag', etag);
  if (etag !== undefined && listed(request.headers['if-none-match'], etag)) {
    response.statusCode = 304;
    response.end();
    return;
  }
  if (range === 'unsatisfiable') {
    response.statusCode = 416;
    response.setHeader('content-range', `bytes */${content.size}`);
    response.setHeader('content-length', 0);
    response.end();
    return;
  }
  const part = range === 'all' ? undefined : fault.wrongRange ? { start: 0, end: content.size } : range;
  const start = part?.start ?? 0;
  const end = Math.min(part?.end ?? content.size, start + (fault.truncate?.to ?? Number.POSITIVE_INFINITY));
  response.statusCode = part === undefined ? 200 : 206;
  if (part !== undefined) {
    response.setHeader('content-range', `bytes ${part.start}-${part.end - 1}/${content.size}`);
  }
  if (fault.noLength !== true && fault.truncate?.framing !== 'chunked') {
    response.setHeader('content-length', end - start);
  }
  const packed = fault.gzip === true ? gzipSync(await bytesOf(content, start, end)) : undefined;
  if (packed !== undefined) {
    response.setHeader('content-encoding', 'gzip');
    response.setHeader('content-length', packed.byteLength);
  }
  applyHeaders(response, fault);
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  if (packed !== undefined) {
    transfer.sent(packed.byteLength);
    response.end(packed);
    return;
  }
  await sendBody(transfer, content, start, end, fault);
}

export function applyHeaders(response: ServerResponse, fault: Fault): void {
  for (const [name, value] of Object.entries(fault.headers ?? {})) {
    if (value === null) response.removeHeader(name);
    else response.setHeader(name, value);
  }
  if (fault.retryAfter !== undefined) {
    const after = fault.retryAfter;
    response.setHeader('retry-after', typeof after === 'number' ? after : after.toUTCString());
  }
}

async function sendBody(transfer: Transfer, content: Content, start: number, end: number, fault: Fault) {
  const { response } = transfer;
  response.flushHeaders();
  const gone = new Promise<'gone'>((resolve) => {
    if (response.destroyed) resolve('gone');
    response.once('close', () => resolve('gone'));
  });
  // The two are points in this answer's body; the nearer one is met first.
  const stops = [
    ...(fault.stall === undefined ? [] : [{ at: fault.stall.after, kind: 'stall' as const }]),
    ...(fault.cut === undefined ? [] : [{ at: fault.cut.after, kind: 'cut' as const }]),
  ].sort((a, b) => a.at - b.at);
  const pace = fault.bytesPerSecond;
  let done = 0;

  /** False when this answer is over. */
  const reach = async (): Promise<boolean> => {
    for (let stop = stops[0]; stop !== undefined && done >= stop.at; stop = stops[0]) {
      stops.shift();
      if (stop.kind === 'cut') {
        hangUp(response, fault.cut?.by ?? 'close');
        return false;
      }
      transfer.stalled();
      const free = fault.stall?.until ?? new Promise<never>(() => {});
      if ((await Promise.race([free, gone])) === 'gone') return false;
    }
    return !response.destroyed;
  };

  if (!(await reach())) return;
  for await (const chunk of chunksOf(content, start, end, fault)) {
    for (let at = 0; at < chunk.byteLength; ) {
      const most = Math.min(stops[0]?.at ?? Number.POSITIVE_INFINITY, done + paceStep(pace)) - done;
      const piece = inverted(chunk.subarray(at, at + most), start + done, fault.corrupt ?? []);
      const flushed = new Promise<void>((resolve) => response.write(piece, () => resolve()));
      done += piece.byteLength;
      at += piece.byteLength;
      transfer.sent(piece.byteLength);
      if (pace !== undefined) await Promise.race([delay((piece.byteLength / pace) * 1000), gone]);
      // Waiting for each piece is back-pressure, and makes what a cut lets through exact.
      await Promise.race([flushed, gone]);
      if (!(await reach())) return;
    }
  }
  response.end();
}

async function* chunksOf(
  content: Content,
  start: number,
  end: number,
  { repeat }: Fault,
): AsyncIterable<Uint8Array> {
  if (repeat === undefined) return yield* content.chunks(start, end);
  const from = Math.min(Math.max(repeat.at, start), end);
  yield* content.chunks(start, Math.min(from + repeat.bytes, end));
  yield* content.chunks(from, end);
}

async function bytesOf(content: Content, start: number, end: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content.chunks(start, end)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Ends the connection under an answer. */
export function hangUp(response: ServerResponse, by: 'close' | 'reset'): void {
  const socket = response.socket;
  if (socket === null) return;
  if (by === 'reset') socket.resetAndDestroy();
  else socket.destroySoon();
}

function paceStep(bytesPerSecond: number | undefined): number {
  return bytesPerSecond === undefined
    ? Number.POSITIVE_INFINITY
    : Math.max(1, Math.ceil(bytesPerSecond / 20));
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function inverted(piece: Uint8Array, offset: number, corrupt: readonly number[]): Uint8Array {
  const hits = corrupt.filter((at) => at >= offset && at < offset + piece.byteLength);
  if (hits.length === 0) return piece;
  const copy = Uint8Array.from(piece);
  for (const at of hits) copy[at - offset] = (copy[at - offset] ?? 0) ^ 0xff;
  return copy;
}

let wrongEtags = 0;

function etagOf(content: Content, fault: Fault): string | undefined {
  switch (fault.etag) {
    case undefined:
      return content.etag;
    case 'none':
      return undefined;
    case 'weak':
      return `W/${content.etag}`;
    case 'wrong':
      wrongEtags += 1;
      return `"wrong-${wrongEtags}"`;
  }
}

/** Half-open, or what the request amounts to. Several ranges at once are answered in full, as the standard allows. */
function rangeOf(
  request: IncomingMessage,
  content: Content,
  etag: string | undefined,
): { readonly start: number; readonly end: number } | 'all' | 'unsatisfiable' {
  const match = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? '');
  const [, first = '', last = ''] = match ?? [];
  if (match === null || (first === '' && last === '')) return 'all';
  const condition = request.headers['if-range'];
  if (typeof condition === 'string') {
    const holds = condition.startsWith('"')
      ? condition === etag
      : condition === content.modified.toUTCString();
    if (!holds) return 'all';
  }
  if (first === '') {
    const length = Math.min(Number(last), content.size);
    return length === 0 ? 'unsatisfiable' : { start: content.size - length, end: content.size };
  }
  const start = Number(first);
  if (start >= content.size) return 'unsatisfiable';
  const end = last === '' ? content.size : Math.min(Number(last) + 1, content.size);
  return end <= start ? 'all' : { start, end };
}

/** If-None-Match compares weakly. */
function listed(header: string | undefined, etag: string): boolean {
  const bare = etag.replace(/^W\//, '');
  return (header ?? '').split(',').some((one) => one.trim().replace(/^W\//, '') === bare);
}
