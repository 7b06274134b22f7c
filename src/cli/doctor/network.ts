// The way to the outside: proxy, token, and whether the API server answers. No secret is ever shown.
import type { Env } from '../../model/env.js';
import { ResError } from '../../model/error.js';
import type { Check } from '../../report/doctor.js';
import { exchange } from '../../sources/exchange.js';
import { openNetwork } from '../../sources/network.js';
import { redactText, redactUrl } from '../../sources/redact.js';

const TIME_OUT_MS = 3_000;

export function checkProxy(env: Env, url: URL): Check {
  const network = openNetwork(env, { stallMs: TIME_OUT_MS });
  try {
    const proxy = network.proxyOf(url);
    const detail = proxy === undefined ? `none for ${url.host}` : `${proxy} for ${url.host}`;
    return { name: 'proxy', state: 'ok', detail, hint: null };
  } catch (error) {
    if (!(error instanceof ResError)) throw error;
    return { name: 'proxy', state: 'fail', detail: error.message, hint: error.hint ?? null };
  }
}

export function checkToken(env: Env): Check {
  const name = env.GITHUB_TOKEN ? 'GITHUB_TOKEN' : env.GH_TOKEN ? 'GH_TOKEN' : undefined;
  return {
    name: 'token',
    state: 'ok',
    detail: name === undefined ? 'none: public releases only, 60 API calls an hour' : `${name} is set`,
    hint: name === undefined ? 'Set GITHUB_TOKEN for private releases or when the rate limit is met.' : null,
  };
}

/** One request of 3 s at most. Any answer of the server is good: what counts is that it is reached. */
export async function checkNetwork(env: Env, url: URL): Promise<Check> {
  const shown = redactUrl(url.href);
  const network = openNetwork(env, { stallMs: TIME_OUT_MS });
  try {
    const { status, discard } = await exchange(
      await network.dispatcher(url),
      {
        origin: url.origin,
        path: url.pathname + url.search,
        method: 'HEAD',
        headers: { 'user-agent': 'res' },
      },
      AbortSignal.timeout(TIME_OUT_MS),
    );
    await discard();
    const ok = status < 500 && status !== 407;
    return {
      name: 'network',
      state: ok ? 'ok' : 'warn',
      detail: `${shown} ${ok ? 'answers' : `answers with status ${status}`}`,
      hint: ok ? null : 'The server or a proxy on the way has trouble; try again later.',
    };
  } catch (error) {
    return {
      name: 'network',
      state: 'warn',
      detail: `${shown} does not answer: ${reasonOf(error)}`,
      hint: 'What is locked and at hand still builds (--offline). HTTPS_PROXY names a proxy, NODE_EXTRA_CA_CERTS its certificate.',
    };
  } finally {
    await network.close();
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `nothing within ${TIME_OUT_MS / 1000} s`;
  const cause = error.cause instanceof Error ? error.cause : error;
  return redactText(cause.message || error.message);
}

/** Where GitHub's API is for this environment. */
export function apiUrl(env: Env): URL {
  const text = env.GITHUB_API_URL || 'https://api.github.com';
  if (!URL.canParse(text)) {
    throw new ResError('config-invalid', 'GITHUB_API_URL is not a URL', {
      hint: 'Unset it, or set it to https://HOST/api/v3.',
    });
  }
  return new URL(text);
}
