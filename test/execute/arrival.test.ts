// A download is read by its consumer while it comes, and what was made of it counts only when it was right.
import { appendFileSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { Arrival, Restarted } from '../../src/execute/arrival.js';
import type { BuildEvent } from '../../src/model/event.js';
import { seededBytes } from '../rig/random.js';
import { startReleaseServer } from '../rig/release-server.js';
import { removeWorkspaces } from '../rig/workspace.js';
import { openEngine, outcome } from './engine.js';

afterEach(removeWorkspaces);

/** For the estimate of the room that is needed, both ends of a download are looked at. */
const LOOK = {};

const never = new AbortController().signal;

function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'res-arrival-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

async function all(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

describe('a file that arrives', () => {
  it('is read in order, whatever pieces it comes in, also when it is moved away meanwhile', async () => {
    const dir = tempDir();
    let n = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 8 }),
        fc.nat(8),
        async (pieces, moveAfter) => {
          const [coming, placed] = [join(dir, `coming-${n}`), join(dir, `placed-${n++}`)];
          const arrival = new Arrival();
          const watcher = arrival.watcher(coming);
          const read = all(arrival.read(never));
          writeFileSync(coming, '');
          let size = 0;
          for (const piece of pieces) {
            appendFileSync(coming, piece);
            size += piece.length;
            watcher.arrived(size);
            if (size % 3 > 0) await new Promise(setImmediate);
          }
          renameSync(coming, placed);
          if (moveAfter % 2 === 0) await new Promise(setImmediate);
          arrival.whole(placed, size);
          expect((await read).equals(Buffer.concat(pieces))).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('that begins anew before anything was read of it is read from its new beginning', async () => {
    const path = join(tempDir(), 'file');
    const arrival = new Arrival();
    const watcher = arrival.watcher(path);
    watcher.restarted();
    const read = all(arrival.read(never));
    await new Promise(setImmediate);
    writeFileSync(path, 'right');
    watcher.arrived(5);
    arrival.whole(path, 5);
    expect((await read).toString()).toBe('right');
  });

  it('that begins anew after some of it was read breaks off', async () => {
    const path = join(tempDir(), 'file');
    const arrival = new Arrival();
    const watcher = arrival.watcher(path);
    writeFileSync(path, 'wrong');
    watcher.arrived(5);
    const stream = arrival.read(never);
    expect(Buffer.from((await stream.next()).value ?? []).toString()).toBe('wrong');
    truncateSync(path, 0);
    watcher.restarted();
    await expect(stream.next()).rejects.toBeInstanceOf(Restarted);
  });

  it('that fails passes on why, and an interrupt ends the wait', async () => {
    const arrival = new Arrival();
    const why = new Error('the network is gone');
    const read = all(arrival.read(never));
    arrival.fail(why);
    await expect(read).rejects.toBe(why);
    const controller = new AbortController();
    const waiting = all(new Arrival().read(controller.signal));
    controller.abort(new Error('stop'));
    await expect(waiting).rejects.toThrow('stop');
  });
});

/** Resolves when so many bytes of downloads were read while they came. */
function untilRead(bytes: number): Promise<void> {
  let read = 0;
  const original = Arrival.prototype.read;
  return new Promise((resolve) => {
    const spy = vi.spyOn(Arrival.prototype, 'read').mockImplementation(async function* (
      this: Arrival,
      signal,
    ) {
      for await (const piece of original.call(this, signal)) {
        read += piece.length;
        if (read >= bytes) resolve();
        yield piece;
      }
    });
    onTestFinished(() => spy.mockRestore());
  });
}

describe('a download that is streamed into what is made of it', () => {
  const content = seededBytes('streamed', 3_000_000);
  const packed = gzipSync(content, { level: 1 });
  const parts = [
    packed.subarray(0, 1_000_000),
    packed.subarray(1_000_000, 2_000_000),
    packed.subarray(2_000_000),
  ];

  async function open() {
    const server = await startReleaseServer();
    onTestFinished(() => server.close());
    const files = await Promise.all(parts.map((part, i) => server.file(`part.a${i}`, part)));
    const engine = openEngine({
      'resources.yaml': `res: 1
artifacts:
  parts: { parts: [${files.map(({ url, sha256 }) => `{ url: "${url}", sha256: "${sha256}" }`).join(', ')}] }
targets:
  merged: { merge: parts }
  plain: { decompress: merged, output: plain }
default: [plain]
`,
    });
    const faults = (i: number) => {
      const file = files[i];
      if (!file) throw new Error('no such part');
      return file;
    };
    return { server, engine, file: faults };
  }

  it('is unpacked while it comes', async () => {
    const { server, engine, file } = await open();
    // The first two parts go through while the third has hardly begun.
    server.fault(file(2), LOOK, { stall: { after: 1000, until: untilRead(2_000_000) } });
    const seen: BuildEvent[] = [];
    const built = engine.build([], { listener: (event) => void seen.push(event) });
    expect(outcome(await built).ran).toEqual(['parts', 'merged', 'plain']);
    expect(seen.filter(({ type }) => type === 'finished')).toMatchObject([
      { node: 'parts' },
      { node: 'plain' },
    ]);
    expect(engine.work.read('resources/plain').equals(content)).toBe(true);
    expect(outcome(await engine.build())).toEqual({ fresh: ['parts', 'merged', 'plain'] });
  });

  it('is read again when it had to be fetched again, and the result is right', async () => {
    const { server, engine, file } = await open();
    // Joined from two answers, of which the first was wrong and has been read: fetched once more, from the start.
    server.fault(
      file(0),
      LOOK,
      { corrupt: [500_000], cut: { after: 700_000 } },
      { stall: { after: 100, until: untilRead(700_000) } },
    );
    expect(outcome(await engine.build()).ran).toEqual(['parts', 'merged', 'plain']);
    expect(engine.work.read('resources/plain').equals(content)).toBe(true);
  });

  it('is the one that fails when its content is wrong, and nothing is made of it', async () => {
    const { server, engine, file } = await open();
    server.faultAlways(file(1), { corrupt: [10] });
    const { result, events } = await engine.events();
    expect(result).toMatchObject({ failed: ['parts'], skipped: ['merged', 'plain'] });
    expect(events.filter(({ type }) => type === 'failed')).toMatchObject([
      { node: 'parts', error: { code: 'checksum-mismatch' } },
    ]);
    expect(engine.work.exists('resources/plain')).toBe(false);
    server.heal(file(1));
    expect(outcome(await engine.build()).ran).toEqual(['parts', 'merged', 'plain']);
    expect(engine.work.read('resources/plain').equals(content)).toBe(true);
  });

  it('is whole in the store afterwards, and is not fetched again when the rest of it is', async () => {
    const { server, engine, file } = await open();
    await engine.build();
    rmSync(engine.work.path('resources/plain'));
    rmSync(engine.open().store.path(`sha256:${file(1).sha256}`, 'file'));
    server.reset();
    await engine.build();
    expect(server.bytesSent()).toBe(1_000_000);
    expect(engine.work.read('resources/plain').equals(content)).toBe(true);
  });
});
