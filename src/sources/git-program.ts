// git as res runs it. What git does with objects looks at no configuration but res's own, so that nobody's settings change
// the bytes. What talks to a server is the user's git, with the user's credentials, proxies and certificates: what it brings is
// known by its commit id, whatever way it came. Neither asks a question, runs a hook, or speaks a protocol that runs programs.
import type { Env } from '../model/env.js';
import { ResError } from '../model/error.js';
import type { Failure } from './failure.js';
import { PROTOCOLS, shownAddress } from './git-address.js';
import { stallTimeoutMs } from './network.js';
import { redactText } from './redact.js';
import type { ProgramRunner } from './source.js';

/** Git's variables that say how to reach a server; all others say where things are, or would change what is done. */
const KEPT: ReadonlySet<string> = new Set([
  'GIT_SSH',
  'GIT_SSH_COMMAND',
  'GIT_SSH_VARIANT',
  'GIT_SSL_CAINFO',
  'GIT_SSL_CAPATH',
  'GIT_SSL_CERT',
  'GIT_SSL_KEY',
  'GIT_PROXY_COMMAND',
]);

/** The remote's name in git's own configuration, which is given in the environment: a URL may hold a password, and arguments are for all to see. */
export const REMOTE = 'res-source';

export interface GitOptions {
  readonly env: Env;
  readonly programs: ProgramRunner;
  readonly signal: AbortSignal;
}

type Argv = readonly [string, ...string[]];

/** Looks into the repository at `gitDir`. Rejects with ResError `tool-missing`, `command-failed`, `interrupted`. */
export async function gitLocal(o: GitOptions, gitDir: string, args: readonly string[]): Promise<string> {
  const { stdout } = await o.programs.exec(command(args), { env: localEnvironment(o.env, gitDir) });
  return stdout;
}

/** As `gitLocal`, with bytes through the program. */
export function gitPipe(
  o: GitOptions,
  gitDir: string,
  args: readonly string[],
  input: AsyncIterable<Uint8Array>,
): AsyncIterable<Uint8Array> {
  return o.programs.pipe(command(args), input, { env: localEnvironment(o.env, gitDir) });
}

export interface Asking {
  /** What git is to talk to: an absolute address. */
  readonly address: string;
  /** Undefined: no repository takes part. */
  readonly gitDir?: string;
  readonly onStderr?: (text: string) => void;
}

/** Talks to a server. Resolves to what git printed, or to why it could not; rejects with ResError `tool-missing`, `interrupted`. */
export async function gitRemote(
  o: GitOptions,
  args: readonly string[],
  { address, gitDir, onStderr }: Asking,
): Promise<{ readonly kind: 'done'; readonly stdout: string } | Failure> {
  const patience = new Patience(4 * stallTimeoutMs(o.env));
  try {
    const { stdout } = await o.programs.exec(command(args), {
      env: remoteEnvironment(o.env, address, gitDir),
      signal: patience.signal,
      onStderr(text) {
        patience.renew();
        onStderr?.(text);
      },
    });
    return { kind: 'done', stdout };
  } catch (error) {
    if (patience.signal.aborted && !o.signal.aborted) return stalled(address);
    if (!(error instanceof ResError) || error.code !== 'command-failed') throw explained(error);
    return gitFailure(error, address);
  } finally {
    patience.end();
  }
}

/**
 * How long git may say nothing, ms. Over http it watches the connection itself; over ssh and its own protocol nobody does. While
 * anything goes on it tells how far it is.
 */
class Patience {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;

  constructor(ms: number) {
    this.#timer = setTimeout(() => this.#controller.abort(), ms);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  renew(): void {
    this.#timer.refresh();
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

function stalled(address: string): Failure {
  const message = `${shownAddress(address)}: the connection stalled`;
  const hint = 'Try again later. RES_STALL_TIMEOUT says how long to wait.';
  return { kind: 'failed', error: new ResError('network', message, { hint }), retry: 'yes' };
}

function command(args: readonly string[]): Argv {
  return ['git', ...args];
}

/** Says what a missing git is missed for. */
export function explained(error: unknown): unknown {
  if (!(error instanceof ResError) || error.code !== 'tool-missing') return error;
  return new ResError('tool-missing', `${error.message}: a \`git\` artifact is fetched by it`, {
    hint: "Install git with the system's package manager: `apt-get install git`, `dnf install git`, `brew install git`.",
    cause: error,
  });
}

function localEnvironment(env: Env, gitDir: string): Record<string, string> {
  return {
    ...ownVariables(env),
    GIT_DIR: gitDir,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    ...configuration([]),
  };
}

function ownVariables(env: Env): Record<string, string> {
  return {
    LC_ALL: 'C',
    ...(env.PATH === undefined ? {} : { PATH: env.PATH }),
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_TERMINAL_PROMPT: '0',
    // No window either.
    SSH_ASKPASS_REQUIRE: 'never',
    GIT_ALLOW_PROTOCOL: PROTOCOLS.join(':'),
  };
}

function remoteEnvironment(env: Env, address: string, gitDir: string | undefined): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    // What would open a window to ask is left out with all else that git takes from there.
    if (value === undefined || name === 'SSH_ASKPASS' || (name.startsWith('GIT_') && !KEPT.has(name)))
      continue;
    kept[name] = value;
  }
  // curl knows the one in small letters only.
  const httpProxy = env.http_proxy ?? env.HTTP_PROXY;
  return {
    ...kept,
    ...(httpProxy === undefined ? {} : { http_proxy: httpProxy }),
    ...ownVariables(env),
    ...(gitDir === undefined ? {} : { GIT_DIR: gitDir }),
    ...configuration([
      [`remote.${REMOTE}.url`, address],
      [`remote.${REMOTE}.tagOpt`, '--no-tags'],
      ['http.lowSpeedLimit', '1'],
      ['http.lowSpeedTime', String(Math.ceil(stallTimeoutMs(env) / 1000))],
    ]),
  };
}

/** Settings that win over those of any file. */
function configuration(more: readonly (readonly [string, string])[]): Record<string, string> {
  const settings = [
    ['core.hooksPath', '/dev/null'],
    ['core.askPass', ''],
    ['gc.auto', '0'],
    ['maintenance.auto', 'false'],
    ['fetch.recurseSubmodules', 'false'],
    ['fetch.writeCommitGraph', 'false'],
    // All that arrives stays in one pack, and its size is what was fetched.
    ['fetch.unpackLimit', '1'],
    ['transfer.unpackLimit', '1'],
    ...more,
  ];
  const variables: Record<string, string> = { GIT_CONFIG_COUNT: String(settings.length) };
  for (const [i, [key = '', value = '']] of settings.entries()) {
    variables[`GIT_CONFIG_KEY_${i}`] = key;
    variables[`GIT_CONFIG_VALUE_${i}`] = value;
  }
  return variables;
}

const UNAUTHORIZED =
  /Authentication failed|could not read (?:Username|Password)|terminal prompts disabled|Permission denied \(|error: 40[13]\b|Host key verification failed|HTTP 40[13]\b/;
const NETWORK =
  /Could not resolve (?:host|proxy)|unable to look up|Failed to connect|Could not connect|Couldn't connect|Connection (?:refused|reset|timed out|closed)|timed out|Operation too slow|early EOF|unexpected disconnect|hung up unexpectedly|RPC failed|Empty reply|transfer closed|Recv failure|Send failure|SSL_|TLS connect|gnutls|No route to host|Network is unreachable|error: (?:408|429|5\d\d)\b|expected flush|invalid index-pack output|bad (?:band|line length)/i;
const UNREACHABLE =
  /Could not resolve|unable to look up|Failed to connect|Couldn't connect|Connection refused|No route|Network is unreachable/i;
const NOT_FOUND =
  /error: 404\b|not found|does not appear to be a git repository|does not exist|no such (?:file|repository)|not a git repository|not valid: is this a git repository/i;
/** The server has it not, or does not give what no branch or tag names. */
const NOT_THERE =
  /not our ref|unadvertised object|couldn't find remote ref|does not support shallow|did not send all necessary objects|shallow (?:capabilities|file|update)/i;

/** Whether a failure says that the commit cannot be had in this way, and not that something is amiss. */
export function isNotThere({ error }: Failure): boolean {
  return saidBy(error).some((line) => NOT_THERE.test(line));
}

/** The last lines that git printed, the command itself left out. */
function saidBy({ command }: ResError): readonly string[] {
  return (command?.tail ?? []).filter((line) => !line.startsWith('$ '));
}

function gitFailure(error: ResError, address: string): Failure {
  const where = shownAddress(address);
  const tail = (error.command?.tail ?? []).map(redactText);
  const said = saidBy(error).map(redactText);
  const text = said.join('\n');
  const what = (said.find((line) => /^fatal: /.test(line)) ?? said.at(-1) ?? error.message).replace(
    /^(?:fatal|error): /,
    '',
  );
  const command = error.command && { command: { ...error.command, tail } };
  const failed = (
    code: ResError['code'],
    message: string,
    hint: string,
    rest: Omit<Failure, 'kind' | 'error'>,
  ): Failure => ({
    kind: 'failed',
    error: new ResError(code, `${where}: ${message}`, { hint, ...command, cause: error }),
    ...rest,
  });
  if (/dubious ownership/.test(text)) {
    return failed(
      'unauthorized',
      what,
      'If you trust that repository: `git config --global --add safe.directory FOLDER`.',
      { retry: 'no' },
    );
  }
  if (UNAUTHORIZED.test(text)) {
    const hint =
      'git could not log in without asking. For https, set up a credential helper (`git config --global credential.helper …`); for ssh, add the key to ssh-agent and the host to known_hosts.';
    return failed('unauthorized', what, hint, { retry: 'no' });
  }
  if (/transport '.*' not allowed/.test(text)) {
    return failed('unauthorized', what, `res lets git use ${PROTOCOLS.join(', ')} only.`, { retry: 'no' });
  }
  if (NOT_THERE.test(text))
    return failed('lock-mismatch', what, 'Run `res update` for what is there now.', { retry: 'no' });
  if (NETWORK.test(text)) {
    return failed('network', what, 'Try again later; or check the address, HTTPS_PROXY and NO_PROXY.', {
      retry: 'yes',
      ...(UNREACHABLE.test(text) ? { unreachable: true } : {}),
    });
  }
  if (NOT_FOUND.test(text)) {
    return failed(
      'repo-not-found',
      what,
      'Check `git.repo`. Some servers say this of a private repository too.',
      { retry: 'no' },
    );
  }
  return failed('command-failed', what, 'What git printed is below.', { retry: 'once' });
}
