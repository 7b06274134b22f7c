// Git repositories for tests: made by the real git, served from their folder or over a real socket.
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { runFolder } from './places.js';

/** Text, bytes, or what to make of them. */
export type GitFile = string | Uint8Array | { readonly link: string } | { readonly program: string };

export interface GitRepository {
  /** Absolute. */
  readonly dir: string;
  git(...args: readonly string[]): string;
  /** Replaces what is there by these files, and commits it; the id of the commit. */
  commit(files: Readonly<Record<string, GitFile>>): string;
  /** Id of a commit, tag or tree. */
  id(name: string): string;
  remove(): void;
}

const ENV = {
  PATH: process.env.PATH,
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'A',
  GIT_AUTHOR_EMAIL: 'a@example.org',
  GIT_COMMITTER_NAME: 'A',
  GIT_COMMITTER_EMAIL: 'a@example.org',
  GIT_AUTHOR_DATE: '2024-01-01T00:00:00Z',
  GIT_COMMITTER_DATE: '2024-01-01T00:00:00Z',
};

/** With one branch, `main`, and nothing in it yet. */
export function gitRepository(dir = realpathSync(mkdtempSync(join(runFolder(), 'git-')))): GitRepository {
  mkdirSync(dir, { recursive: true });
  const git = (...args: readonly string[]) =>
    execFileSync('git', ['-c', 'protocol.file.allow=always', ...args], {
      cwd: dir,
      env: ENV,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    }).trim();
  git('init', '-q', '-b', 'main');
  return {
    dir,
    git,
    id: (name) => git('rev-parse', name),
    commit(files) {
      git('rm', '-rfq', '--ignore-unmatch', '.');
      for (const [name, file] of Object.entries(files)) {
        const path = join(dir, name);
        mkdirSync(dirname(path), { recursive: true });
        if (typeof file === 'object' && 'link' in file) symlinkSync(file.link, path);
        else {
          const isProgram = typeof file === 'object' && 'program' in file;
          writeFileSync(path, isProgram ? file.program : file);
          chmodSync(path, isProgram ? 0o755 : 0o644);
        }
      }
      git('add', '-A');
      git('commit', '-q', '--allow-empty', '-m', 'a commit');
      return git('rev-parse', 'HEAD');
    },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

export interface GitServer {
  /** `http://127.0.0.1:PORT`; repositories are below it by their name in the folder. */
  readonly url: string;
  /** Path and query of every request so far. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

export interface GitServerOptions {
  /** Of the whole folder. */
  readonly root: string;
  /** Speaks the old protocol, in which a server gives nothing by an id that no ref has. */
  readonly old?: boolean;
  /** `user:password`, without which it answers 401. */
  readonly login?: string;
  /** Answers for the server where it gives a status. */
  readonly status?: (request: number) => number | undefined;
  /** Requests with a path like this are never answered. */
  readonly hangs?: RegExp;
}

/** `git http-backend` behind a socket of its own. */
export async function gitServer(options: GitServerOptions): Promise<GitServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(request.url ?? '');
    const status = options.status?.(requests.length) ?? loginStatus(request, options.login);
    if (status !== undefined) {
      response.writeHead(status, status === 401 ? { 'www-authenticate': 'Basic realm="git"' } : {}).end();
    } else if (!options.hangs?.test(request.url ?? '')) answer(request, response, options);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = addressOf(server);
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function addressOf(server: Server): AddressInfo {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address;
}

function loginStatus({ headers }: IncomingMessage, login: string | undefined): number | undefined {
  if (login === undefined) return undefined;
  return headers.authorization === `Basic ${Buffer.from(login).toString('base64')}` ? undefined : 401;
}

/** CGI: git writes headers, an empty line, and the body. */
function answer(request: IncomingMessage, response: ServerResponse, { root, old }: GitServerOptions): void {
  const { pathname, search } = new URL(request.url ?? '/', 'http://localhost');
  const protocol = request.headers['git-protocol'];
  const child = spawn('git', ['-c', 'safe.directory=*', 'http-backend'], {
    env: {
      ...ENV,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      ...(request.headers['content-encoding']
        ? { HTTP_CONTENT_ENCODING: request.headers['content-encoding'] }
        : {}),
      ...(typeof protocol === 'string' && !old ? { GIT_PROTOCOL: protocol } : {}),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  request.pipe(child.stdin).on('error', () => undefined);
  let head = Buffer.alloc(0);
  let sent = false;
  child.stdout.on('data', (piece: Buffer) => {
    if (sent) return void response.write(piece);
    head = Buffer.concat([head, piece]);
    const end = head.indexOf('\r\n\r\n');
    if (end === -1) return;
    sent = true;
    let status = 200;
    for (const line of head.toString('latin1', 0, end).split('\r\n')) {
      const [name = '', value = ''] = line.split(/: */, 2);
      if (name === 'Status') status = Number(value.slice(0, 3));
      else response.setHeader(name, value);
    }
    response.writeHead(status);
    response.write(head.subarray(end + 4));
  });
  child.on('close', () => response.end());
  response.on('close', () => child.kill());
}
