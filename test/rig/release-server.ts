// A release server on loopback that a test can trust to be wrong in the way it asked for: the GitHub releases API, the
// download addresses, an object store on another host behind signed redirects, and plain files. It notes every request.
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { answerContent, applyHeaders, type Fault, hangUp, type Transfer } from './answer.js';
import { type Bytes, type Content, contentOf } from './content.js';
import type {
  AssetHandle,
  RateLimit,
  ReleaseOptions,
  ReleaseServer,
  RequestRecord,
  ServerOptions,
  Target,
} from './release-server-types.js';

export type { Fault } from './answer.js';
export type { Bytes } from './content.js';

export type * from './release-server-types.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Kept = 'bytesSent' | 'state';
type OpenRecord = Omit<RequestRecord, Kept> & Mutable<Pick<RequestRecord, Kept>>;
type Origin = RequestRecord['origin'];

interface Repo {
  readonly name: string;
  private: boolean;
  /** Newest last. */
  readonly releases: Release[];
}

interface Release {
  readonly id: number;
  readonly repo: Repo;
  readonly tag: string;
  readonly options: ReleaseOptions;
  readonly assets: Map<string, AssetHandle>;
}

interface Exchange {
  readonly origin: Origin;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly record: OpenRecord;
  changed(): void;
}

const SIGNATURE = 'X-Amz-Signature';

export async function startReleaseServer(options: ServerOptions = {}): Promise<ReleaseServer> {
  const { storage = 'other-host', tokens = [], apiPrefix = '' } = options;
  const repos = new Map<string, Repo>();
  /** What lies at a path; a fault may put other bytes there. */
  const contents = new Map<string, Content>();
  const queues = new Map<string, Fault[]>();
  const standing = new Map<string, Fault>();
  const sockets = new Map<Socket, number>();
  const watchers = new Set<() => void>();
  let records: RequestRecord[] = [];
  let limit: Mutable<RateLimit> | undefined;
  let connections = 0;
  let connectionIds = 0;
  let ids = 0;
  let ticks = 0;
  let digests = options.digests ?? true;

  const main = await listen('main');
  const store = await listen('storage');
  const url = `http://127.0.0.1:${main.port}`;
  const apiUrl = `${url}${apiPrefix}`;
  const storageUrl = `http://localhost:${store.port}`;

  async function listen(origin: Origin): Promise<{ readonly server: Server; readonly port: number }> {
    const server = createServer((request, response) => receive(origin, request, response));
    server.on('connection', (socket) => {
      connections += 1;
      connectionIds += 1;
      sockets.set(socket, connectionIds);
      socket.on('close', () => sockets.delete(socket));
      // A client that resets its connection is what many tests are about.
      socket.on('error', () => socket.destroy());
    });
    await listenAt(server, 0);
    return { server, port: portOf(server.address()) };
  }

  function receive(origin: Origin, request: IncomingMessage, response: ServerResponse): void {
    const address = new URL(request.url ?? '/', 'http://rig');
    const record: OpenRecord = {
      origin,
      method: request.method ?? 'GET',
      path: address.pathname,
      query: address.search.slice(1),
      headers: request.headers,
      connection: sockets.get(request.socket) ?? 0,
      get status() {
        return response.headersSent ? response.statusCode : 0;
      },
      bytesSent: 0,
      state: 'open',
    };
    const changed = () => {
      for (const watch of watchers) watch();
    };
    records.push(record);
    response.on('close', () => {
      record.state = response.writableFinished ? 'ended' : 'broken';
      changed();
    });
    const exchange: Exchange = { origin, request, response, url: address, record, changed };
    changed();
    handle(exchange).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else json(exchange, 500, { message: `release server: ${String(error)}` });
    });
  }

  async function handle(exchange: Exchange): Promise<void> {
    const { request, response, url: address, origin } = exchange;
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return json(exchange, 405, { message: 'Method Not Allowed' });
    const turn = Number(address.searchParams.get('loop') ?? 0);
    if (turn > 0) return redirect(exchange, `${hostOf(exchange)}${address.pathname}?loop=${turn + 1}`);

    const fault = nextFault(address.pathname, origin);
    if (fault.answer === 'hang-up') return hangUp(response, 'close');
    if (fault.answer === 'never') {
      exchange.record.state = 'stalled';
      return exchange.changed();
    }
    if (fault.answer !== undefined) return misspoken(exchange, fault.answer);
    if (fault.instead !== undefined) return send(exchange, 200, fault.instead.type, fault.instead.body);
    if (fault.replace !== undefined) {
      contents.set(address.pathname, await contentOf(fault.replace, nextDate()));
    }
    if (fault.status !== undefined) {
      applyHeaders(response, fault);
      return json(exchange, fault.status, { message: `Status ${fault.status} on demand` });
    }
    if (fault.redirect !== undefined) return redirect(exchange, redirectTarget(exchange, fault.redirect));
    await route(exchange, fault);
  }

  function nextFault(path: string, origin: Origin): Fault {
    const queue = queues.get(path) ?? [];
    // Who was sent to the other host has arrived: that fault is for the first host.
    const arrived = (fault: Fault | undefined) => origin === 'storage' && fault?.redirect === 'other-host';
    if (queue.length > 0) return arrived(queue[0]) ? {} : (queue.shift() ?? {});
    const always = standing.get(path) ?? {};
    return arrived(always) ? {} : always;
  }

  function redirectTarget(exchange: Exchange, to: NonNullable<Fault['redirect']>): string {
    if (to === 'loop') return `${hostOf(exchange)}${exchange.url.pathname}?loop=1`;
    if (to === 'other-host') return `${storageUrl}${exchange.url.pathname}${exchange.url.search}`;
    return to.url;
  }

  function hostOf(exchange: Exchange): string {
    return exchange.origin === 'main' ? url : storageUrl;
  }

  async function route(exchange: Exchange, fault: Fault): Promise<void> {
    const path = exchange.url.pathname;
    if (path.startsWith('/storage/')) return storageObject(exchange, fault);
    if (path.startsWith('/files/')) return object(exchange, path, fault);
    if (path.startsWith(`${apiPrefix}/repos/`)) return api(exchange, path.slice(apiPrefix.length), fault);
    const download = /^\/([^/]+\/[^/]+)\/releases\/(?:download\/([^/]+)|latest\/download)\/([^/]+)$/.exec(
      path,
    );
    if (download === null) return text(exchange, 404, 'Not Found');
    const [, name = '', tag, file = ''] = download;
    const repo = repos.get(name.toLowerCase());
    // A browser address of a private repository wants a browser's session; a token does not open it.
    if (repo === undefined || repo.private) return text(exchange, 404, 'Not Found');
    if (tag === undefined) {
      const latest = latestOf(repo);
      if (latest === undefined) return text(exchange, 404, 'Not Found');
      return redirect(
        exchange,
        `${url}/${repo.name}/releases/download/${encodeURIComponent(latest.tag)}/${file}`,
      );
    }
    const release = repo.releases.find(
      (one) => one.tag === decodeURIComponent(tag) && one.options.draft !== true,
    );
    const asset = release?.assets.get(decodeURIComponent(file));
    if (asset === undefined) return text(exchange, 404, 'Not Found');
    return storage === 'none' ? object(exchange, path, fault) : redirect(exchange, signed(asset));
  }

  function signed(asset: AssetHandle): string {
    const signature = signatureOf(asset.id);
    return `${storage === 'same-host' ? url : storageUrl}/storage/${asset.id}?X-Amz-Expires=300&${SIGNATURE}=${signature}`;
  }

  async function storageObject(exchange: Exchange, fault: Fault): Promise<void> {
    const path = exchange.url.pathname;
    const xml = (status: number, code: string) =>
      text(exchange, status, `<?xml version="1.0"?><Error><Code>${code}</Code></Error>`);
    // An object store refuses a request that has a second way of authorization.
    if (exchange.request.headers.authorization !== undefined) return xml(400, 'InvalidArgument');
    const id = Number(path.slice('/storage/'.length));
    if (exchange.url.searchParams.get(SIGNATURE) !== signatureOf(id)) return xml(403, 'AccessDenied');
    return object(exchange, path, fault);
  }

  async function object(exchange: Exchange, path: string, fault: Fault): Promise<void> {
    const found = contents.get(path);
    if (found === undefined) return text(exchange, 404, 'Not Found');
    await answerContent(transferOf(exchange), found, fault);
  }

  async function api(exchange: Exchange, path: string, fault: Fault): Promise<void> {
    const { request } = exchange;
    const token = /^(?:bearer|token)\s+(.+)$/i.exec(request.headers.authorization ?? '')?.[1];
    const authorized = token !== undefined && tokens.includes(token);
    if (request.headers.authorization !== undefined && !authorized) {
      return json(exchange, 401, { message: 'Bad credentials', status: '401' });
    }
    if (limited(exchange, authorized)) return;
    const parts = path.split('/').slice(2).map(decodeURIComponent);
    const [owner = '', name = '', ...rest] = parts;
    const repo = repos.get(`${owner}/${name}`.toLowerCase());
    if (repo === undefined || (repo.private && !authorized)) return notFound(exchange);
    const [area, what, which] = rest;
    if (rest.length === 0) {
      return found(exchange, { full_name: repo.name, name, private: repo.private }, fault);
    }
    if (area !== 'releases') return notFound(exchange);
    const published = repo.releases.filter((one) => one.options.draft !== true);
    if (what === undefined) return listReleases(exchange, [...published].reverse(), fault);
    if (what === 'latest' && which === undefined) return oneRelease(exchange, latestOf(repo), fault);
    if (what === 'tags') {
      const tag = rest.slice(2).join('/');
      return oneRelease(
        exchange,
        published.find((one) => one.tag === tag),
        fault,
      );
    }
    if (what === 'assets') {
      const release = published.find((one) =>
        [...one.assets.values()].some((asset) => String(asset.id) === which),
      );
      const asset = [...(release?.assets.values() ?? [])].find((one) => String(one.id) === which);
      if (release === undefined || asset === undefined) return notFound(exchange);
      if (!(request.headers.accept ?? '').includes('application/octet-stream')) {
        return found(exchange, assetJson(release, asset), fault);
      }
      return storage === 'none'
        ? object(exchange, asset.contentPath, fault)
        : redirect(exchange, signed(asset));
    }
    return oneRelease(
      exchange,
      published.find((one) => String(one.id) === what),
      fault,
    );
  }

  /** Answers and says true when the limit is reached; else counts the request. */
  function limited(exchange: Exchange, authorized: boolean): boolean {
    const { response } = exchange;
    const quota = authorized ? 5000 : 60;
    const reset = limit?.reset ?? new Date(Date.now() + 3_600_000);
    const tell = (remaining: number) => {
      response.setHeader('x-ratelimit-limit', quota);
      response.setHeader('x-ratelimit-remaining', remaining);
      response.setHeader('x-ratelimit-used', quota - remaining);
      response.setHeader('x-ratelimit-reset', Math.floor(reset.getTime() / 1000));
      response.setHeader('x-ratelimit-resource', 'core');
    };
    if (limit === undefined || (limit.anonymousOnly === true && authorized)) {
      tell(quota - 1);
      return false;
    }
    if (limit.remaining > 0) {
      limit.remaining -= 1;
      tell(limit.remaining);
      return false;
    }
    if (limit.kind === 'secondary') {
      tell(quota - 1);
      response.setHeader('retry-after', limit.retryAfter ?? 60);
      json(exchange, 429, {
        message: 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.',
      });
    } else {
      tell(0);
      json(exchange, 403, {
        message:
          "API rate limit exceeded for 127.0.0.1. (But here's the good news: Authenticated requests get a higher rate limit. Check out the documentation for more details.)",
      });
    }
    return true;
  }

  /** An answer of the API goes wrong like any other content. */
  async function found(exchange: Exchange, value: unknown, fault: Fault): Promise<void> {
    if (Object.keys(fault).every((key) => key === 'headers')) return json(exchange, 200, value, fault);
    const content = await contentOf(Buffer.from(JSON.stringify(value)), nextDate());
    const headers = { 'content-type': 'application/json; charset=utf-8', ...fault.headers };
    await answerContent(transferOf(exchange), content, { ...fault, headers });
  }

  async function listReleases(exchange: Exchange, all: readonly Release[], fault: Fault): Promise<void> {
    const query = exchange.url.searchParams;
    const size = Math.min(100, Math.max(1, Number(query.get('per_page') ?? 30)));
    const page = Math.max(1, Number(query.get('page') ?? 1));
    const last = Math.max(1, Math.ceil(all.length / size));
    const link = (to: number, rel: string) =>
      `<${url}${exchange.url.pathname}?per_page=${size}&page=${to}>; rel="${rel}"`;
    const links = [
      ...(page > 1 ? [link(page - 1, 'prev')] : []),
      ...(page < last ? [link(page + 1, 'next'), link(last, 'last')] : []),
      ...(page > 1 ? [link(1, 'first')] : []),
    ];
    if (links.length > 0) exchange.response.setHeader('link', links.join(', '));
    await found(exchange, all.slice((page - 1) * size, page * size).map(releaseJson), fault);
  }

  async function oneRelease(exchange: Exchange, release: Release | undefined, fault: Fault): Promise<void> {
    if (release === undefined) notFound(exchange);
    else await found(exchange, releaseJson(release), fault);
  }

  function notFound(exchange: Exchange): void {
    json(exchange, 404, { message: 'Not Found', status: '404' });
  }

  function releaseJson(release: Release) {
    return {
      url: `${apiUrl}/repos/${release.repo.name}/releases/${release.id}`,
      html_url: `${url}/${release.repo.name}/releases/tag/${release.tag}`,
      id: release.id,
      tag_name: release.tag,
      name: release.tag,
      draft: release.options.draft ?? false,
      prerelease: release.options.prerelease ?? false,
      assets: [...release.assets.values()].map((asset) => assetJson(release, asset)),
    };
  }

  function assetJson(release: Release, asset: AssetHandle) {
    const unfinished = release.options.unfinished?.includes(asset.name) === true;
    return {
      url: `${url}${asset.apiPath}`,
      id: asset.id,
      name: asset.name,
      content_type: 'application/octet-stream',
      state: unfinished ? 'starter' : 'uploaded',
      size: asset.size,
      digest: digests && !unfinished ? `sha256:${asset.sha256}` : null,
      browser_download_url: asset.url,
    };
  }

  async function put(release: Release, name: string, bytes: Bytes): Promise<AssetHandle> {
    const content = await contentOf(bytes, nextDate());
    drop(release, name);
    ids += 1;
    const repo = release.repo.name;
    const downloadPath = `/${repo}/releases/download/${encodeURIComponent(release.tag)}/${encodeURIComponent(name)}`;
    const asset: AssetHandle = {
      id: ids,
      name,
      size: content.size,
      sha256: content.sha256,
      url: `${url}${downloadPath}`,
      downloadPath,
      apiPath: `${apiPrefix}/repos/${repo}/releases/assets/${ids}`,
      contentPath: storage === 'none' ? downloadPath : `/storage/${ids}`,
    };
    release.assets.set(name, asset);
    contents.set(asset.contentPath, content);
    return asset;
  }

  function drop(release: Release, name: string): void {
    const asset = release.assets.get(name);
    if (asset === undefined) return;
    release.assets.delete(name);
    contents.delete(asset.contentPath);
  }

  function repoOf(name: string): Repo {
    const known = repos.get(name.toLowerCase()) ?? { name, private: false, releases: [] };
    repos.set(name.toLowerCase(), known);
    return known;
  }

  function nextDate(): Date {
    ticks += 1;
    return new Date(Date.UTC(2024, 0, 1) + ticks * 1000);
  }

  function matching(target: Target | undefined): readonly RequestRecord[] {
    if (target === undefined) return records;
    const path = pathOf(target);
    return records.filter((record) => record.path === path);
  }

  return {
    url,
    apiUrl,
    storageUrl,
    get digests() {
      return digests;
    },
    set digests(value) {
      digests = value;
    },
    async release(repoName, tag, assets, releaseOptions = {}) {
      const repo = repoOf(repoName);
      ids += 1;
      const release: Release = { id: ids, repo, tag, options: releaseOptions, assets: new Map() };
      for (const [name, bytes] of Object.entries(assets)) await put(release, name, bytes);
      repo.releases.push(release);
      return {
        tag,
        asset(name) {
          const asset = release.assets.get(name);
          if (asset === undefined) throw new Error(`release ${tag} has no asset ${name}`);
          return asset;
        },
        put: (name, bytes) => put(release, name, bytes),
        remove: (name) => drop(release, name),
      };
    },
    removeRelease(repoName, tag) {
      const { releases } = repoOf(repoName);
      const at = releases.findIndex((one) => one.tag === tag);
      if (at >= 0) releases.splice(at, 1);
    },
    makePrivate(repoName) {
      repoOf(repoName).private = true;
    },
    async file(name, bytes) {
      const content = await contentOf(bytes, nextDate());
      const path = `/files/${name.split('/').map(encodeURIComponent).join('/')}`;
      contents.set(path, content);
      return { url: `${url}${path}`, path, size: content.size, sha256: content.sha256 };
    },
    fault(target, ...queue) {
      const path = pathOf(target);
      queues.set(path, [...(queues.get(path) ?? []), ...queue]);
    },
    faultAlways(target, fault) {
      standing.set(pathOf(target), fault);
    },
    heal(target) {
      queues.delete(pathOf(target));
      standing.delete(pathOf(target));
    },
    async refuse() {
      for (const socket of sockets.keys()) socket.destroy();
      await Promise.all([main.server, store.server].map(closed));
    },
    async accept() {
      await Promise.all([main, store].map((one) => listenAt(one.server, one.port)));
    },
    rateLimit(to) {
      limit = to === undefined ? undefined : { ...to };
    },
    requests: matching,
    bytesSent: (target) => matching(target).reduce((sum, record) => sum + record.bytesSent, 0),
    get connections() {
      return connections;
    },
    get openConnections() {
      return sockets.size;
    },
    until(condition, timeoutMs = 10_000) {
      return new Promise((resolve, reject) => {
        const check = () => {
          const found = records.find(condition);
          if (found === undefined) return false;
          clearTimeout(timer);
          watchers.delete(check);
          resolve(found);
          return true;
        };
        const timer = setTimeout(() => {
          watchers.delete(check);
          const seen = records
            .map((one) => `${one.method} ${one.path} ${one.status} ${one.state}`)
            .join('\n  ');
          reject(new Error(`no such request within ${timeoutMs} ms; seen:\n  ${seen}`));
        }, timeoutMs);
        if (!check()) watchers.add(check);
      });
    },
    reset() {
      records = [];
      connections = 0;
      queues.clear();
      standing.clear();
      limit = undefined;
    },
    async close() {
      for (const socket of sockets.keys()) socket.destroy();
      await Promise.all([main.server, store.server].map(closed));
    },
  };
}

function listenAt(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
}

/** What the answer of something that speaks no HTTP, or of a server that dies, looks like. */
function misspoken({ response }: Exchange, how: 'junk' | 'torn'): void {
  const { socket } = response;
  if (socket === null) return;
  socket.write(how === 'junk' ? 'SSH-2.0-OpenSSH_9.2\r\n\r\n' : 'HTTP/1.1 200 OK\r\nContent-Len');
  socket.destroySoon();
}

function transferOf({ request, response, record, changed }: Exchange): Transfer {
  return {
    request,
    response,
    sent(bytes) {
      record.bytesSent += bytes;
    },
    stalled() {
      record.state = 'stalled';
      changed();
    },
  };
}

function closed(server: Server): Promise<void> {
  if (!server.listening) return Promise.resolve();
  return new Promise((resolve, reject) => {
    server.close((error) => (error === undefined ? resolve() : reject(error)));
    server.closeAllConnections();
  });
}

function latestOf(repo: Repo): Release | undefined {
  return repo.releases.findLast((one) => one.options.draft !== true && one.options.prerelease !== true);
}

function pathOf(target: Target): string {
  if (typeof target === 'string') return target;
  return 'contentPath' in target ? target.contentPath : target.path;
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}

function signatureOf(id: number): string {
  return createHash('sha256').update(`storage ${id}`).digest('hex');
}

function redirect(exchange: Exchange, location: string): void {
  exchange.response.statusCode = 302;
  exchange.response.setHeader('location', location);
  exchange.response.setHeader('content-length', 0);
  exchange.response.end();
}

function text(exchange: Exchange, status: number, body: string): void {
  send(exchange, status, 'text/plain; charset=utf-8', body);
}

/** API answers carry a weak ETag, and a client that has it gets 304. */
function json(exchange: Exchange, status: number, value: unknown, fault: Fault = {}): void {
  const body = JSON.stringify(value);
  if (status === 200) {
    const etag = `W/"${createHash('sha256').update(body).digest('hex')}"`;
    exchange.response.setHeader('etag', etag);
    if (exchange.request.headers['if-none-match'] === etag) {
      exchange.response.statusCode = 304;
      exchange.response.end();
      return;
    }
  }
  applyHeaders(exchange.response, fault);
  send(exchange, status, 'application/json; charset=utf-8', body);
}

function send(exchange: Exchange, status: number, type: string, body: string): void {
  const bytes = Buffer.from(body);
  exchange.response.statusCode = status;
  exchange.response.setHeader('content-type', type);
  exchange.response.setHeader('content-length', bytes.byteLength);
  if (exchange.request.method !== 'HEAD') exchange.record.bytesSent += bytes.byteLength;
  exchange.response.end(bytes);
}
