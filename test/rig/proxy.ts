// A forward proxy on loopback that notes what goes through it: CONNECT tunnels and requests in absolute form.
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export interface ProxyRecord {
  readonly via: 'connect' | 'absolute';
  readonly method: string;
  /** `host:port` */
  readonly host: string;
  /** Empty in a tunnel. */
  readonly path: string;
  readonly headers: Readonly<IncomingMessage['headers']>;
}

export interface ForwardProxy {
  /** For HTTP_PROXY; without the credentials. */
  readonly url: string;
  requests(): readonly ProxyRecord[];
  reset(): void;
  close(): Promise<void>;
}

/** With `credentials` (`user:password`), who does not send them gets 407. */
export async function startProxy(options: { readonly credentials?: string } = {}): Promise<ForwardProxy> {
  let records: ProxyRecord[] = [];
  const sockets = new Set<Duplex>();
  const expected =
    options.credentials === undefined
      ? undefined
      : `Basic ${Buffer.from(options.credentials).toString('base64')}`;
  const admitted = (request: IncomingMessage) =>
    expected === undefined || request.headers['proxy-authorization'] === expected;
  const keep = (socket: Duplex) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // Either end may go at any time; the other one is closed with it.
    socket.on('error', () => socket.destroy());
  };

  const server = createServer((request, response) => {
    const target = new URL(request.url ?? '/', 'http://no-host-given');
    records.push({
      via: 'absolute',
      method: request.method ?? 'GET',
      host: target.host,
      path: target.pathname,
      headers: request.headers,
    });
    if (!admitted(request)) {
      response.writeHead(407, { 'proxy-authenticate': 'Basic realm="rig"', 'content-length': 0 }).end();
      return;
    }
    const { 'proxy-authorization': _credentials, 'proxy-connection': _hop, ...headers } = request.headers;
    const onward = httpRequest(
      target,
      { method: request.method ?? 'GET', headers, agent: false },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
        answer.on('error', () => response.destroy());
      },
    );
    onward.on('error', () => (response.headersSent ? response.destroy() : response.writeHead(502).end()));
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });

  server.on('connect', (request: IncomingMessage, client: Duplex, head: Buffer) => {
    const host = request.url ?? '';
    records.push({ via: 'connect', method: 'CONNECT', host, path: '', headers: request.headers });
    if (!admitted(request)) {
      client.end(
        'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="rig"\r\n\r\n',
      );
      return;
    }
    const target = new URL(`http://${host}`);
    const upstream: Socket = connect(Number(target.port === '' ? 80 : target.port), target.hostname, () => {
      client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      upstream.write(head);
      upstream.pipe(client);
      client.pipe(upstream);
    });
    keep(upstream);
    upstream.on('close', () => client.destroy());
    client.on('close', () => upstream.destroy());
  });
  server.on('connection', keep);

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests: () => records,
    reset() {
      records = [];
    },
    close: () =>
      new Promise((resolve, reject) => {
        for (const socket of sockets) socket.destroy();
        server.close((error) => (error === undefined ? resolve() : reject(error)));
      }),
  };
}
