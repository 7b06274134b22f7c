import { request as nodeRequest } from 'node:http';
import { fetch, ProxyAgent } from 'undici';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { type ForwardProxy, startProxy } from './proxy.js';
import { seededBytes } from './random.js';
import { type FileHandle, type ReleaseServer, startReleaseServer } from './release-server.js';

const BYTES = seededBytes('proxied', 200_000);
let server: ReleaseServer;
let proxy: ForwardProxy;
let closed: ForwardProxy;
let file: FileHandle;
beforeAll(async () => {
  server = await startReleaseServer();
  file = await server.file('a.bin', BYTES);
  proxy = await startProxy();
  closed = await startProxy({ credentials: 'user:secret' });
});
afterEach(() => {
  server.reset();
  proxy.reset();
});
afterAll(() => Promise.all([server.close(), proxy.close(), closed.close()]));

async function through(uri: string, token?: string): Promise<Buffer> {
  const dispatcher = new ProxyAgent({ uri, proxyTunnel: true, ...(token === undefined ? {} : { token }) });
  try {
    const answer = await fetch(file.url, { dispatcher });
    return Buffer.from(await answer.arrayBuffer());
  } finally {
    await dispatcher.close();
  }
}

it('tunnels with CONNECT and notes it', async () => {
  expect((await through(proxy.url)).equals(BYTES)).toBe(true);
  expect(proxy.requests()).toMatchObject([{ via: 'connect', host: new URL(server.url).host, path: '' }]);
  expect(server.requests(file)).toHaveLength(1);
});

it('passes requests in absolute form on and notes them', async () => {
  const { hostname, port } = new URL(proxy.url);
  const body = await new Promise<Buffer>((resolve, reject) => {
    nodeRequest({ hostname, port, path: file.url, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => resolve(Buffer.concat(chunks)));
      answer.on('error', reject);
    })
      .on('error', reject)
      .end();
  });
  expect(body.equals(BYTES)).toBe(true);
  expect(proxy.requests()).toMatchObject([{ via: 'absolute', method: 'GET', path: file.path }]);
});

it('lets in only who has the credentials', async () => {
  const token = `Basic ${Buffer.from('user:secret').toString('base64')}`;
  expect((await through(closed.url, token)).equals(BYTES)).toBe(true);
  await expect(through(closed.url)).rejects.toThrow();
  expect(server.requests(file)).toHaveLength(1);
});
