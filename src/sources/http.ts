// Small requests: JSON of an API, asked for once in the life of the client, however many artifacts need it.
import { ResError } from '../model/error.js';
import { byteLength } from './exchange.js';
import { type Failure, isTransient, networkFailure, statusFailure } from './failure.js';
import type { Network } from './network.js';
import { redactUrl } from './redact.js';
import { isFailure, orInterrupted, type RetryPolicy, retrying } from './retry.js';
import { retryAfterMs } from './retry-after.js';
import type { HttpClient, JsonResponse } from './source.js';
import { type Answer, get } from './wire.js';

const MAX_JSON_BYTES = 32 * 1024 * 1024;
/** An API that wants more patience than this gets its answer shown instead. */
const PATIENCE_MS = 10_000;

/**
 * Answers with a status below 500 that is not transient are answers, kept like any other; `body` is null where it is not
 * JSON. Rejects with ResError `network`, `http-status`, `interrupted`.
 */
export function createHttpClient(o: {
  readonly network: Network;
  readonly retry: RetryPolicy;
  readonly onNotice: (message: string) => void;
}): HttpClient {
  const answers = new Map<string, Promise<JsonResponse>>();

  async function ask(url: string, headers: Readonly<Record<string, string>>): Promise<JsonResponse> {
    const result = await retrying(() => askOnce(o.network, url, headers), {
      policy: o.retry,
      onRetry: o.onNotice,
    });
    if (isFailure(result)) throw result.error;
    return result.response;
  }

  return {
    async getJson(url, headers = {}, signal) {
      const key = JSON.stringify([url, Object.entries(headers).sort()]);
      let answer = answers.get(key);
      if (answer === undefined) {
        answer = ask(url, headers);
        answers.set(key, answer);
        // What failed may be asked for again; who asked hears of the failure from `answer` itself.
        answer.catch(() => answers.delete(key));
      }
      // The request is shared: an interrupt ends this wait for it, closing the client ends the request.
      return signal === undefined ? answer : orInterrupted(answer, signal);
    },
  };
}

async function askOnce(
  network: Network,
  url: string,
  headers: Readonly<Record<string, string>>,
): Promise<{ readonly kind: 'json'; readonly response: JsonResponse } | Failure> {
  const answer = await get(network, { url, ownHeaders: headers });
  if (answer.kind === 'failed') return answer;
  if (isTransient(answer.status) && !isFinal(answer)) {
    await answer.discard();
    return statusFailure(answer.status, answer.headers, answer.hop);
  }
  const text = await readText(answer);
  if (typeof text !== 'string') return text;
  const body = parsed(text);
  if (body === undefined && answer.status < 300) {
    throw new ResError('http-status', `${redactUrl(url)}: the answer is not JSON`, {
      hint: 'Check the address of the API (GITHUB_API_URL, api-url), and whether a proxy or login page answers for it.',
    });
  }
  return { kind: 'json', response: { status: answer.status, headers: answer.headers, body: body ?? null } };
}

/** A used-up limit is told by the API's own headers; waiting for it would take up to an hour. */
function isFinal(answer: Answer): boolean {
  if (answer.status !== 429) return false;
  const wait = retryAfterMs(answer.headers['retry-after']);
  return answer.headers['x-ratelimit-remaining'] === '0' || (wait !== undefined && wait > PATIENCE_MS);
}

async function readText(answer: Answer): Promise<string | Failure> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const batch of answer.body) {
      size += byteLength(batch);
      if (size > MAX_JSON_BYTES) {
        throw new ResError('http-status', `${redactUrl(answer.hop.url)}: the answer is larger than 32 MiB`);
      }
      chunks.push(...batch);
    }
  } catch (error) {
    return networkFailure(error, answer.hop);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
