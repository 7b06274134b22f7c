// `github: { repo, release, asset }`: assets of a release, by exact name or glob. One API call finds a release, whatever
// number of artifacts want its assets; the bytes come from the public address, and through the API only where that is
// refused (a private repository).
import picomatch from 'picomatch';
import { nearest } from '../manifest/nearest.js';
import type { Env } from '../model/env.js';
import { ResError } from '../model/error.js';
import type { JsonObject } from '../model/json.js';
import type { LockedFile } from '../model/lock.js';
import { type Asset, type Release, releaseOf } from './github-api.js';
import { explainReleaseNotFound, explainStatus, tokenHint } from './github-errors.js';
import { byNearness, listed } from './near.js';
import { objectOf, optionalText, textOf } from './recipe.js';
import { redactUrl } from './redact.js';
import type { FetchLocation, JsonResponse, Source, SourceContext } from './source.js';
import { missingPart } from './split-parts.js';

const PUBLIC_API = 'https://api.github.com';

/** What the recipe asks for. */
interface Wanted {
  readonly repo: string;
  /** A tag, or `latest`. */
  readonly release: string;
  readonly asset: string;
  readonly apiUrl: string | undefined;
}

function wantedOf(recipe: JsonObject): Wanted {
  const github = objectOf(recipe.github, 'github');
  const repo = textOf(github.repo, 'github.repo');
  if (!/^[\w.-]+\/[\w.-]+$/.test(repo)) {
    throw new ResError('manifest-invalid', `\`github.repo\`: \`${repo}\` is not OWNER/NAME`);
  }
  return {
    repo,
    release: textOf(github.release, 'github.release'),
    asset: textOf(github.asset, 'github.asset'),
    apiUrl: optionalText(github['api-url'], 'github.api-url'),
  };
}

export const githubSource: Source = {
  name: 'github',
  place: 'remote',
  asks: () => true,
  many: (recipe) => picomatch.scan(wantedOf(recipe).asset).isGlob,
  references: () => [],
  check: (recipe) => void wantedOf(recipe),
  identity(recipe) {
    const { repo, release, asset, apiUrl } = wantedOf(recipe);
    const server = apiUrl === undefined ? 'github' : `github(${redactUrl(apiUrl)})`;
    return `${server}:${repo}@${release}/${asset}`;
  },
  async resolve(recipe, context) {
    const wanted = wantedOf(recipe);
    const release = await findRelease(wanted, wanted.release, context);
    const assets = selectAssets(release, wanted);
    return { tag: release.tag, files: assets.map(lockedFile) };
  },
  async locate(recipe, entry, context) {
    const wanted = wantedOf(recipe);
    return entry.files.map((file) => ({
      urls: [file.url],
      alternative: () => throughApi(wanted, entry.tag ?? wanted.release, file, context),
    }));
  },
  pins: () => undefined,
};

function lockedFile({ name, url, sha256, size }: Asset): LockedFile {
  return { name, url: redactUrl(url), ...(sha256 === undefined ? {} : { sha256 }), size };
}

// ---- the API

interface Api {
  readonly base: string;
  readonly token: string | undefined;
  readonly call: (path: string) => Promise<JsonResponse>;
}

function openApi(wanted: Wanted, { env, http, signal }: SourceContext): Api {
  const base = (wanted.apiUrl ?? (env.GITHUB_API_URL || PUBLIC_API)).replace(/\/+$/, '');
  if (!/^https?:\/\//i.test(base) || !URL.canParse(base)) {
    const name = wanted.apiUrl === undefined ? 'GITHUB_API_URL' : '`github.api-url`';
    throw new ResError('config-invalid', `${name} is not an http or https URL: ${redactUrl(base)}`, {
      hint: 'Leave it out for github.com, or set it to the API of another server: https://HOST/api/v3.',
    });
  }
  const token = tokenFor(base, env);
  const headers = {
    accept: 'application/vnd.github+json',
    'x-github-api-version': '2022-11-28',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  return { base, token, call: (path) => http.getJson(`${base}${path}`, headers, signal) };
}

/**
 * The token, if it is for this server: the public API, or the one that the environment names. A server that only the manifest
 * names does not get it (whoever writes manifests could collect tokens), unless it is this machine. Never over plain
 * http to another machine.
 */
function tokenFor(base: string, env: Env): string | undefined {
  const token = [env.GITHUB_TOKEN, env.GH_TOKEN]
    .find((one) => one !== undefined && one.trim() !== '')
    ?.trim();
  if (token === undefined) return undefined;
  const url = new URL(base);
  if (isLoopback(url.hostname)) return token;
  const owners = [PUBLIC_API, env.GITHUB_API_URL].filter((one) => one !== undefined && URL.canParse(one));
  const isOwner = owners.some((one) => one !== undefined && new URL(one).origin === url.origin);
  return isOwner && url.protocol === 'https:' ? token : undefined;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

async function findRelease(wanted: Wanted, tag: string, context: SourceContext): Promise<Release> {
  const api = openApi(wanted, context);
  const path = `/repos/${wanted.repo}/releases`;
  const answer = await api.call(`${path}/${tag === 'latest' ? 'latest' : `tags/${encodeURIComponent(tag)}`}`);
  const about = { repo: wanted.repo, base: api.base, hasToken: api.token !== undefined };
  if (answer.status === 404) {
    const list = await api.call(`${path}?per_page=100`);
    throw explainReleaseNotFound(tag, list, about);
  }
  if (answer.status !== 200) throw explainStatus(answer, about);
  const release = releaseOf(answer.body);
  if (release === undefined) {
    throw new ResError(
      'http-status',
      `${redactUrl(api.base)}: the answer about release ${tag} of ${wanted.repo} makes no sense`,
      {
        hint: 'Check the address of the API (GITHUB_API_URL, api-url).',
      },
    );
  }
  return release;
}

/** The asset's address in the API, which a token opens. */
async function throughApi(
  wanted: Wanted,
  tag: string,
  file: LockedFile,
  context: SourceContext,
): Promise<FetchLocation | undefined> {
  const api = openApi(wanted, context);
  if (api.token === undefined) {
    throw new ResError('http-status', `${file.url}: not found, or not public`, {
      hint: `If the release was changed, run \`res update\`. ${tokenHint(false)}`,
    });
  }
  const release = await findRelease(wanted, tag, context);
  const asset = release.assets.find(({ name }) => name === file.name);
  if (asset === undefined) throw assetNotFound(file.name, release, wanted.repo);
  return {
    urls: [`${api.base}/repos/${wanted.repo}/releases/assets/${asset.id}`],
    headers: { accept: 'application/octet-stream', authorization: `Bearer ${api.token}` },
  };
}

// ---- choosing assets

/** In code-unit order of their names, which is the order of a split file's parts. */
function selectAssets(release: Release, { asset: pattern, repo }: Wanted): readonly Asset[] {
  const exact = release.assets.filter(({ name }) => name === pattern);
  const matches = picomatch(pattern, { dot: true });
  const found = exact.length > 0 ? exact : release.assets.filter(({ name }) => matches(name));
  if (found.length === 0) throw assetNotFound(pattern, release, repo);
  const sorted = [...found].sort((a, b) => (a.name < b.name ? -1 : 1));
  const unfinished = sorted.find(({ state }) => state !== 'uploaded');
  if (unfinished !== undefined) {
    throw new ResError(
      'asset-not-found',
      `asset ${unfinished.name} of ${repo} ${release.tag} is still being uploaded (state: ${unfinished.state})`,
      {
        hint: 'Try again later; if it stays so, the upload was broken off and the publisher has to repeat it.',
      },
    );
  }
  const missing = missingPart(sorted.map(({ name }) => name));
  if (missing !== undefined) {
    throw new ResError(
      'asset-not-found',
      `a part seems to be missing in ${repo} ${release.tag}: ${missing}`,
      {
        hint: `\`${pattern}\` matches ${listed(
          sorted.map(({ name }) => name),
          20,
        )}. The publisher has to upload it.`,
      },
    );
  }
  return sorted;
}

function assetNotFound(pattern: string, release: Release, repo: string): ResError {
  const names = release.assets.map(({ name }) => name);
  const near = nearest(pattern, names);
  const hints = [
    ...(near === undefined ? [] : [`Did you mean ${near}?`]),
    names.length === 0 ? 'The release has no assets.' : `It has: ${listed(byNearness(pattern, names), 20)}.`,
  ];
  return new ResError('asset-not-found', `no asset ${pattern} in release ${release.tag} of ${repo}`, {
    hint: hints.join(' '),
  });
}
