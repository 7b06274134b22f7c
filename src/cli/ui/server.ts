// The server of the live page, on this machine only: the page, a stream of what happens, and few things to ask for.
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { ResError } from '../../model/error.js';
import type { LiveBuildRequest, LiveGraph, LiveMessage } from '../../model/page.js';
import { liveGraph, livePage } from '../../report/live-page.js';
import { errorCode } from '../../store/files.js';
import { refusal } from './guard.js';
import type { Session } from './session.js';

const ADDRESS = '127.0.0.1';
/** No request needs more. */
const BODY_BYTES = 64 * 1024;
/** Proxies and sleeping tabs let go of a connection that says nothing. */
const SIGN_OF_LIFE_MS = 15_000;
/** What a page may be behind: a tab that does not read is let go, and comes back for all there is to know. */
const BEHIND_BYTES = 4 * 1024 ** 2;

export interface LiveServer {
  /** With the token. */
  readonly url: string;
  close(): Promise<void>;
}

/** @param port 0: any that is free. Rejects with ResError `io` when it is not to be had. */
export async function serve(session: Session, port: number): Promise<LiveServer> {
  const token = randomBytes(24).toString('base64url');
  const streams = new Set<ServerResponse>();
  const guarded = { port, token };
  const server = createServer((request, response) => {
    handle(session, guarded, streams, request, response).catch((error: unknown) => {
      // It is the answer that went wrong, not what the page is about.
      if (response.headersSent) response.destroy();
      else say(response, error instanceof ResError ? 400 : 500, messageOf(error));
    });
  });
  guarded.port = await listen(server, port);
  const pulse = setInterval(() => {
    for (const stream of streams) stream.write(':\n\n');
  }, SIGN_OF_LIFE_MS);
  return {
    url: `http://${ADDRESS}:${guarded.port}/?token=${token}`,
    close: () =>
      new Promise((resolve) => {
        clearInterval(pulse);
        for (const stream of streams) stream.end();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const why = errorCode(error) === 'EADDRINUSE' ? 'another program has it' : error.message;
      reject(
        new ResError('io', `cannot listen on port ${port}: ${why}`, {
          hint: 'Without --port any free one is taken.',
          cause: error,
        }),
      );
    });
    server.listen(port, ADDRESS, () => {
      const address = server.address();
      if (address === null || typeof address === 'string') reject(new Error('the server has no port'));
      else resolve(address.port);
    });
  });
}

async function handle(
  session: Session,
  guarded: { readonly port: number; readonly token: string },
  streams: Set<ServerResponse>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = '', headers } = request;
  const url = new URL(request.url ?? '/', `http://${ADDRESS}`);
  for (const [name, value] of HEADERS) response.setHeader(name, value);
  const refused = refusal({ headers, url }, guarded);
  if (refused !== undefined) {
    say(response, 403, refused);
    return;
  }
  const route = `${method} ${url.pathname}`;
  const node = url.searchParams.get('node') ?? '';
  switch (route) {
    case 'GET /': {
      await session.refresh();
      const { title, params, requested, nodes } = session;
      const page = await livePage({ title, params, requested, nodes, token: guarded.token });
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end(page);
      return;
    }
    case 'GET /graph': {
      const { nodes } = session;
      const graph: LiveGraph = { nodes, markup: await liveGraph(nodes) };
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(graph));
      return;
    }
    case 'GET /report': {
      const page = await session.report();
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.end(page);
      return;
    }
    case 'GET /events':
      follow(session, streams, response);
      return;
    case 'GET /why':
      say(response, 200, await session.why(node));
      return;
    case 'GET /log':
      say(response, 200, await session.log(node));
      return;
    case 'POST /build':
      await session.start(buildRequest(await readJson(request)));
      say(response, 202, 'begun');
      return;
    case 'POST /stop':
      // A page of another site could send no JSON without asking first.
      await readJson(request);
      void session.stop();
      say(response, 202, 'stopping');
      return;
    default:
      say(response, 404, 'there is nothing here');
  }
}

const HEADERS: readonly (readonly [string, string])[] = [
  ['cache-control', 'no-store'],
  ['content-security-policy', "frame-ancestors 'none'"],
  ['cross-origin-opener-policy', 'same-origin'],
  ['cross-origin-resource-policy', 'same-origin'],
  ['referrer-policy', 'no-referrer'],
  ['x-content-type-options', 'nosniff'],
];

function say(response: ServerResponse, status: number, text: string): void {
  response.statusCode = status;
  response.setHeader('content-type', 'text/plain; charset=utf-8');
  response.end(text);
}

function follow(session: Session, streams: Set<ServerResponse>, response: ServerResponse): void {
  response.setHeader('content-type', 'text/event-stream; charset=utf-8');
  const send = (message: LiveMessage) => {
    if (response.writableLength > BEHIND_BYTES) response.destroy();
    else response.write(`data: ${JSON.stringify(message)}\n\n`);
  };
  send({ type: 'snapshot', live: session.live });
  streams.add(response);
  const leave = session.listen(send);
  response.once('close', () => {
    leave();
    streams.delete(response);
  });
}

/** Rejects with ResError `usage` for what is no JSON of a bearable size. */
async function readJson(request: IncomingMessage): Promise<unknown> {
  if (!/^application\/json\b/.test(request.headers['content-type'] ?? ''))
    throw new ResError('usage', 'the request is to be JSON');
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request) {
    if (!Buffer.isBuffer(part)) throw new Error('a body is read as bytes');
    bytes += part.length;
    if (bytes > BODY_BYTES) throw new ResError('usage', 'the request is too long');
    parts.push(part);
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8'));
  } catch {
    throw new ResError('usage', 'the request is no JSON');
  }
}

function buildRequest(value: unknown): LiveBuildRequest {
  if (typeof value !== 'object' || value === null || !('nodes' in value) || !Array.isArray(value.nodes))
    throw new ResError('usage', 'the request names no nodes');
  const nodes: readonly unknown[] = value.nodes;
  return {
    nodes: nodes.filter((name) => typeof name === 'string'),
    force: 'force' in value && value.force === true,
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
