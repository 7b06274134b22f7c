import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Mirror } from '../../src/model/manifest.js';
import { createFetcher, type Fetcher } from '../../src/sources/fetch.js';
import type { Span } from '../../src/sources/peek.js';
import type { Fault } from '../rig/answer.js';
import { content, failure, onCleanup, server, tempDir, unusedPort } from './harness.js';

function open(mirrors: readonly Mirror[] = []): Fetcher {
  const fetcher = createFetcher({ env: {}, mirrors });
  onCleanup(() => fetcher.close());
  return fetcher;
}

async function look(
  url: string,
  span: Span,
  signal = new AbortController().signal,
  mirrors: readonly Mirror[] = [],
) {
  const peeked = await open(mirrors).peek({ urls: [url] }, span, signal);
  return peeked && { bytes: Buffer.from(peeked.bytes), size: peeked.size };
}

const bytes = content(5000);

describe('a look at a file on a server', () => {
  it('is one end of it and its size, in one request', async () => {
    const site = await server();
    const file = await site.file('a', bytes);
    expect(await look(file.url, { first: 100 })).toEqual({ bytes: bytes.subarray(0, 100), size: 5000 });
    expect(await look(file.url, { last: 100 })).toEqual({ bytes: bytes.subarray(-100), size: 5000 });
    expect(site.requests().length).toBe(2);
    expect(site.bytesSent()).toBe(200);
  });

  it('is all of a shorter file', async () => {
    const file = await (await server()).file('a', bytes);
    expect(await look(file.url, { first: 9000 })).toEqual({ bytes, size: 5000 });
    expect(await look(file.url, { last: 9000 })).toEqual({ bytes, size: 5000 });
  });

  it.each<[string, Fault]>([
    ['is not there', { status: 404 }],
    ['is in trouble', { status: 503, retryAfter: 1 }],
    ['hangs up', { answer: 'hang-up' }],
    ['does not speak HTTP', { answer: 'junk' }],
    ['breaks off', { cut: { after: 10 } }],
    ['redirects in a circle', { redirect: 'loop' }],
  ])('is nothing when the server %s, and is not tried again', async (_, fault) => {
    const site = await server();
    const file = await site.file('a', bytes);
    site.fault(file, fault);
    if (fault.redirect) site.faultAlways(file, fault);
    expect(await look(file.url, { first: 100 })).toBeUndefined();
    if (!fault.redirect) expect(site.requests(file).length).toBe(1);
  });

  it('is nothing when there is no server, or it does not answer in time', async () => {
    expect(await look(`http://127.0.0.1:${await unusedPort()}/a`, { first: 1 })).toBeUndefined();
    const site = await server();
    const file = await site.file('a', bytes);
    site.fault(file, { answer: 'never' });
    expect(await look(file.url, { first: 1 })).toBeUndefined();
  });

  it('takes the beginning of the whole from a server without ranges, and cannot take the end', async () => {
    const site = await server();
    const file = await site.file('a', bytes);
    site.faultAlways(file, { ignoreRange: true });
    expect(await look(file.url, { first: 100 })).toEqual({ bytes: bytes.subarray(0, 100), size: 5000 });
    expect(await look(file.url, { last: 100 })).toBeUndefined();
    site.faultAlways(file, { wrongRange: true });
    expect(await look(file.url, { last: 100 })).toBeUndefined();
  });

  it('asks the mirror that the download would ask first', async () => {
    const site = await server();
    await site.file('a', bytes);
    const mirrors = [{ from: 'http://nowhere.invalid/', to: [`${site.url}/files/`] }];
    expect((await look('http://nowhere.invalid/a', { first: 5 }, undefined, mirrors))?.bytes).toEqual(
      bytes.subarray(0, 5),
    );
  });

  it('ends with an interrupt', async () => {
    const site = await server();
    const file = await site.file('a', bytes);
    site.fault(file, { answer: 'never' });
    const stop = new AbortController();
    const looking = look(file.url, { first: 1 }, stop.signal);
    await site.until(({ path }) => path === file.path);
    stop.abort();
    expect((await failure(looking)).code).toBe('interrupted');
  });
});

it('a look at a file of this machine reads it there', async () => {
  const path = join(tempDir(), 'a');
  writeFileSync(path, bytes);
  const url = pathToFileURL(path).href;
  expect(await look(url, { first: 10 })).toEqual({ bytes: bytes.subarray(0, 10), size: 5000 });
  expect(await look(url, { last: 10 })).toEqual({ bytes: bytes.subarray(-10), size: 5000 });
  expect(await look(`${url}-absent`, { last: 10 })).toBeUndefined();
});
