// What an answer of the GitHub API that is not a release means to a user, and what to do about it.
import { nearest } from '../manifest/nearest.js';
import { ResError } from '../model/error.js';
import { messageOf, tagsOf } from './github-api.js';
import { byNearness, listed } from './near.js';
import { redactText, redactUrl } from './redact.js';
import { waitText } from './retry.js';
import { retryAfterMs } from './retry-after.js';
import type { JsonResponse } from './source.js';

export interface About {
  readonly repo: string;
  /** Address of the API. */
  readonly base: string;
  readonly hasToken: boolean;
}

export function tokenHint(hasToken: boolean): string {
  return hasToken
    ? 'If it is private, the token in GITHUB_TOKEN or GH_TOKEN needs read access to its contents.'
    : 'If it is private, set GITHUB_TOKEN (or GH_TOKEN) to a token that may read it: export GITHUB_TOKEN=$(gh auth token).';
}

/** For a release that was answered with 404; `list` is the answer to the question which releases there are. */
export function explainReleaseNotFound(tag: string, list: JsonResponse, about: About): ResError {
  const { repo } = about;
  if (list.status === 404) {
    return new ResError('repo-not-found', `repository ${repo} was not found, or is private`, {
      hint: `Check the spelling. ${tokenHint(about.hasToken)}`,
    });
  }
  if (list.status !== 200) return explainStatus(list, about);
  const tags = tagsOf(list.body);
  if (tags.length === 0) {
    return new ResError('release-not-found', `repository ${repo} has no releases`, {
      hint: 'Drafts do not count.',
    });
  }
  if (tag === 'latest') {
    return new ResError(
      'release-not-found',
      `repository ${repo} has no latest release: all are pre-releases or drafts`,
      {
        hint: `Name a tag. There are: ${listed(tags, 10)}.`,
      },
    );
  }
  const near = nearest(tag, tags);
  const meant = near === undefined ? '' : `Did you mean ${near}? `;
  return new ResError('release-not-found', `repository ${repo} has no release ${tag}`, {
    hint: `${meant}There are: ${listed(byNearness(tag, tags), 10)}.`,
  });
}

/** For any other status than 200 and 404. */
export function explainStatus(answer: JsonResponse, about: About): ResError {
  const { status, headers } = answer;
  const said = messageOf(answer.body);
  const words = said === undefined ? '' : `: ${redactText(said)}`;
  const wait = retryAfterMs(headers['retry-after']);
  const isLimit =
    headers['x-ratelimit-remaining'] === '0' || wait !== undefined || /rate limit/i.test(said ?? '');
  if (status === 429 || (status === 403 && isLimit)) return rateLimited(answer, wait, about);
  if (status === 401) {
    return new ResError('unauthorized', `GitHub refuses the token (status 401${words})`, {
      hint: 'GITHUB_TOKEN or GH_TOKEN is wrong or has expired. Set a good one, or unset it: public repositories need none.',
    });
  }
  if (status === 403) {
    return new ResError('unauthorized', `GitHub denies access to ${about.repo} (status 403${words})`, {
      hint: tokenHint(about.hasToken),
    });
  }
  return new ResError('http-status', `${redactUrl(about.base)} answered with status ${status}${words}`, {
    hint: 'Check the address of the API (GITHUB_API_URL, api-url).',
  });
}

function rateLimited(answer: JsonResponse, wait: number | undefined, about: About): ResError {
  const limit = answer.headers['x-ratelimit-limit'];
  const reset = Number(answer.headers['x-ratelimit-reset']);
  const isUsedUp = answer.headers['x-ratelimit-remaining'] === '0';
  const what =
    isUsedUp && limit !== undefined
      ? `GitHub's limit of ${limit} requests an hour is used up`
      : 'GitHub wants fewer requests at the moment';
  const until =
    isUsedUp && Number.isFinite(reset) && reset > 0
      ? `; it is lifted at ${clock(reset * 1000)}`
      : wait === undefined
        ? ''
        : `; try again in ${waitText(wait)}`;
  return new ResError('rate-limited', what + until, {
    hint: about.hasToken
      ? 'Wait until then, or use another token.'
      : 'Set GITHUB_TOKEN (or GH_TOKEN) for a higher limit: export GITHUB_TOKEN=$(gh auth token). No permissions are needed for public repositories.',
  });
}

/** Local time, with the date when it is not today's. */
function clock(ms: number): string {
  const at = new Date(ms);
  const two = (n: number) => String(n).padStart(2, '0');
  const time = `${two(at.getHours())}:${two(at.getMinutes())}`;
  if (at.toDateString() === new Date().toDateString()) return time;
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}
