import { createServer } from 'node:http';
import { describe, expect, it } from 'vitest';
import { bench, failure, onCleanup, server } from './harness.js';

const client = (options?: Parameters<typeof bench>[0]) => bench(options).context().http;

describe('an API answer', () => {
  it('is asked for once, also by many at a time', async () => {
    const s = await server();
    await s.release('o/r', 'v1', {});
    const http = client();
    const url = `${s.apiUrl}/repos/o/r/releases/latest`;
    const answers = await Promise.all([http.getJson(url), http.getJson(url), http.getJson(url)]);
    expect(await http.getJson(url)).toBe(answers[0]);
    expect(answers[0]).toMatchObject({ status: 200, body: { tag_name: 'v1' } });
    expect(s.requests()).toHaveLength(1);
  });

  it('to other headers is another answer', async () => {
    const s = await server({ tokens: ['t'] });
    await s.release('o/r', 'v1', {});
    const http = client();
    const url = `${s.apiUrl}/repos/o/r/releases/latest`;
    await http.getJson(url);
    await http.getJson(url, { authorization: 'Bearer t' });
    expect(s.requests()).toHaveLength(2);
  });

  it('of 404 is an answer as well', async () => {
    const s = await server();
    expect(await client().getJson(`${s.apiUrl}/repos/o/r`)).toMatchObject({
      status: 404,
      body: { message: 'Not Found' },
    });
  });

  it('of 503 is asked for again, and an error when it stays', async () => {
    const s = await server();
    await s.release('o/r', 'v1', {});
    const path = '/repos/o/r/releases/latest';
    s.fault(path, { status: 503 }, { answer: 'hang-up' });
    const b = bench({ retries: 2 });
    const { http } = b.context();
    expect(await http.getJson(s.apiUrl + path)).toMatchObject({ status: 200 });
    expect(b.notices).toHaveLength(2);
    s.faultAlways('/repos/o/x', { status: 503 });
    expect((await failure(http.getJson(`${s.apiUrl}/repos/o/x`))).code).toBe('http-status');
    s.faultAlways('/repos/o/x', { status: 418 });
    expect(await http.getJson(`${s.apiUrl}/repos/o/x`)).toMatchObject({ status: 418 });
  });

  it('that is no JSON is an error', async () => {
    const s = await server();
    const page = await s.file('login.html', Buffer.from('<html>log in</html>'));
    const error = await failure(client().getJson(page.url));
    expect(error.code).toBe('http-status');
    expect(error.message).toContain('not JSON');
  });

  it('without end is stopped', async () => {
    const endless = createServer((_, response) => {
      const block = Buffer.alloc(1024 * 1024, ' ');
      const more = () => {
        while (!response.destroyed && response.write(block));
      };
      response.on('drain', more);
      more();
    });
    const port = await new Promise<number>((resolve) => {
      endless.listen(0, '127.0.0.1', () => {
        const address = endless.address();
        resolve(address === null || typeof address === 'string' ? 0 : address.port);
      });
    });
    onCleanup(() => {
      endless.closeAllConnections();
      endless.close();
    });
    const error = await failure(client().getJson(`http://127.0.0.1:${port}/`));
    expect(error.message).toContain('larger than 32 MiB');
  });

  it('is not waited for after an interrupt, and others still get it', async () => {
    const s = await server();
    await s.release('o/r', 'v1', {});
    const path = '/repos/o/r/releases/latest';
    s.fault(path, { status: 503, retryAfter: 1 });
    const http = client();
    const controller = new AbortController();
    const first = failure(http.getJson(s.apiUrl + path, {}, controller.signal));
    const second = http.getJson(s.apiUrl + path);
    await s.until(({ status }) => status === 503);
    controller.abort();
    expect((await first).code).toBe('interrupted');
    expect(await second).toMatchObject({ status: 200 });
  });
});
