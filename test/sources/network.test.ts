import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer as createTlsServer } from 'node:https';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { networkFailure } from '../../src/sources/failure.js';
import { proxyFor } from '../../src/sources/network.js';
import { startProxy } from '../rig/proxy.js';
import { bench, content, failure, onCleanup, said, server, sha256, tempDir, unusedPort } from './harness.js';

async function proxy(options?: Parameters<typeof startProxy>[0]) {
  const started = await startProxy(options);
  onCleanup(() => started.close());
  return started;
}

describe('the proxy for a URL', () => {
  const at = (url: string, env: Record<string, string>) => proxyFor(new URL(url), env)?.host;

  it('is that of its scheme, in capitals or not', () => {
    expect(at('http://a/', { HTTP_PROXY: 'http://p:1' })).toBe('p:1');
    expect(at('http://a/', { http_proxy: 'p:1' })).toBe('p:1');
    expect(at('https://a/', { HTTPS_PROXY: 'http://p:1' })).toBe('p:1');
    expect(at('https://a/', { HTTP_PROXY: 'http://p:1' })).toBeUndefined();
    expect(at('http://a/', { HTTP_PROXY: '' })).toBeUndefined();
  });

  for (const [entry, url, exempt] of [
    ['*', 'http://a/', true],
    ['a.org', 'http://a.org/', true],
    ['a.org', 'http://b.a.org/', true],
    ['.a.org', 'http://b.a.org/', true],
    ['*.a.org', 'http://b.a.org/', true],
    ['a.org', 'http://ba.org/', false],
    ['a.org:81', 'http://a.org:81/', true],
    ['a.org:81', 'http://a.org/', false],
    ['A.ORG', 'http://a.org/', true],
    ['x, 127.0.0.1', 'http://127.0.0.1:9/', true],
    ['::1', 'http://[::1]/', true],
    ['[::1]:80', 'http://[::1]/', true],
    ['', 'http://a/', false],
  ] as const) {
    it(`with NO_PROXY ${entry} is ${exempt ? 'none' : 'taken'} for ${url}`, () => {
      expect(at(url, { HTTP_PROXY: 'p:1', NO_PROXY: entry })).toBe(exempt ? undefined : 'p:1');
    });
  }

  it('that is no address is an error that does not show it', () => {
    expect(() => proxyFor(new URL('http://a/'), { HTTP_PROXY: 'ftp://me:secret@p' })).toThrowError(
      expect.objectContaining({ code: 'config-invalid', message: expect.not.stringContaining('secret') }),
    );
  });
});

describe('through a proxy', () => {
  it('plain http is asked for in absolute form', async () => {
    const s = await server();
    const p = await proxy();
    const bytes = content(300_000);
    const file = await s.file('a', bytes);
    s.fault(file, { cut: { after: 100_000 } });
    const b = bench({ env: { HTTP_PROXY: p.url } });
    expect(await b.fetch(file.url)).toMatchObject({ sha256: sha256(bytes) });
    expect(p.requests().length).toBeGreaterThanOrEqual(2);
    expect(p.requests()[0]).toMatchObject({ via: 'absolute', host: new URL(s.url).host, path: file.path });
  });

  it('NO_PROXY goes straight', async () => {
    const s = await server();
    const p = await proxy();
    const file = await s.file('a', content(10));
    await bench({ env: { HTTP_PROXY: p.url, NO_PROXY: '127.0.0.1' } }).fetch(file.url);
    expect(p.requests()).toHaveLength(0);
  });

  it('credentials of the proxy reach the proxy only', async () => {
    const s = await server();
    const p = await proxy({ credentials: 'me:se cret' });
    const file = await s.file('a', content(10));
    const env = { http_proxy: p.url.replace('://', '://me:se%20cret@') };
    await bench({ env }).fetch(file.url);
    expect(s.requests(file)[0]?.headers['proxy-authorization']).toBeUndefined();
  });

  it('that refuses the credentials: it is named, they are not', async () => {
    const s = await server();
    const p = await proxy({ credentials: 'me:right' });
    const file = await s.file('a', content(10));
    const env = { HTTP_PROXY: p.url.replace('://', '://me:wrong@') };
    const error = await failure(bench({ env, retries: 1 }).fetch(file.url));
    expect(error.code).toBe('network');
    expect(error.message).toContain(`the proxy ${new URL(p.url).host} wants a user name and password`);
    expect(said(error)).not.toContain('wrong');
    expect(s.connections).toBe(0);
  });

  it('https is tunnelled, and a refused tunnel is told as such', async () => {
    const p = await proxy({ credentials: 'me:right' });
    const env = { HTTPS_PROXY: p.url };
    const error = await failure(bench({ env, retries: 0 }).fetch('https://release.invalid/a'));
    expect(p.requests()[0]).toMatchObject({ via: 'connect', host: 'release.invalid:443' });
    expect(error.message).toContain(new URL(p.url).host);
    expect(error.message).toContain('407');
  });

  it('that is not there: it is named as the one that refused', async () => {
    const host = `127.0.0.1:${await unusedPort()}`;
    const env = { HTTP_PROXY: `http://me:secret@${host}` };
    const error = await failure(bench({ env, retries: 1 }).fetch('http://release.invalid/a'));
    expect(error.message).toContain(`the proxy ${host} refused the connection`);
    expect(said(error)).toContain('HTTP_PROXY');
    expect(said(error)).not.toContain('secret');
  });
});

describe('a connection that does not come about', () => {
  it('is refused', async () => {
    const port = await unusedPort();
    const error = await failure(bench({ retries: 1 }).fetch(`http://127.0.0.1:${port}/a`));
    expect(error.code).toBe('network');
    expect(error.message).toContain(`127.0.0.1:${port} refused the connection`);
    expect(error.hint).toBeTruthy();
  });

  it('has a host that nobody knows', async () => {
    const error = await failure(bench({ retries: 0 }).fetch('http://release.invalid/a'));
    expect(error.code).toBe('network');
    expect(error.message).toContain('could not resolve host release.invalid');
  });

  const openssl = spawnSync('openssl', ['version']).status === 0;
  it.skipIf(!openssl)('has a certificate that nobody vouches for', async () => {
    const dir = tempDir();
    const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
    const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'];
    spawnSync('openssl', [...args, '-keyout', key, '-out', cert]);
    const tls = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_, response) =>
      response.end(),
    );
    const port = await new Promise<number>((resolve) => {
      tls.listen(0, '127.0.0.1', () => {
        const address = tls.address();
        resolve(address === null || typeof address === 'string' ? 0 : address.port);
      });
    });
    onCleanup(() => void tls.close());
    const error = await failure(bench().fetch(`https://localhost:${port}/a`));
    expect(error.message).toContain(`the TLS certificate of localhost:${port} is not trusted`);
    expect(error.hint).toContain('NODE_EXTRA_CA_CERTS');
  });

  it('meets a server without TLS', async () => {
    const s = await server();
    const error = await failure(bench({ retries: 0 }).fetch(s.url.replace('http:', 'https:')));
    expect(error.code).toBe('network');
    expect(error.message).toContain('no TLS connection');
  });
});

describe('the failures of a connection', () => {
  const hop = { url: 'https://user:pass@host/a?sig=abc', proxy: undefined };
  const failed = (code: string, message = code) =>
    networkFailure(Object.assign(new Error(message), { code }), hop);

  it('each have their own words, without secrets', () => {
    const codes = [
      'EAI_AGAIN',
      'ECONNREFUSED',
      'ENETUNREACH',
      'ETIMEDOUT',
      'UND_ERR_BODY_TIMEOUT',
      'ECONNRESET',
      'HPE_X',
      'EODD',
    ];
    const messages = codes.map((code) => failed(code).error.message);
    expect(new Set(messages).size).toBe(codes.length);
    for (const message of messages) {
      expect(message).toContain('https://host/a');
      expect(message).not.toMatch(/pass|abc/);
    }
  });

  it('are worth a retry unless another try cannot help', () => {
    expect(failed('ECONNRESET').retry).toBe('yes');
    expect(failed('EAI_AGAIN').retry).toBe('yes');
    expect(failed('ENOTFOUND').retry).toBe('once');
    expect(failed('CERT_HAS_EXPIRED').retry).toBe('no');
  });

  it('are nothing else: a bug stays one', () => {
    expect(() => networkFailure(new TypeError('x is undefined'), hop)).toThrow(TypeError);
  });
});
