// Answers of the GitHub releases API as data: read once, and only what is used.

export interface Asset {
  readonly id: number;
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** `uploaded`, or else not to be had. */
  readonly state: string;
  /** Hex; servers before 2025 give none. */
  readonly sha256?: string;
  /** What a browser would open. */
  readonly url: string;
}

export interface Release {
  readonly tag: string;
  /** All of them: in a release's own answer the list is whole, in pages it is elsewhere only. */
  readonly assets: readonly Asset[];
}

type Fields = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Undefined when it is not a release. */
export function releaseOf(body: unknown): Release | undefined {
  if (!isObject(body) || typeof body.tag_name !== 'string' || !Array.isArray(body.assets)) return undefined;
  const assets: Asset[] = [];
  for (const value of body.assets) {
    const asset = assetOf(value);
    if (asset === undefined) return undefined;
    assets.push(asset);
  }
  return { tag: body.tag_name, assets };
}

function assetOf(value: unknown): Asset | undefined {
  if (!isObject(value)) return undefined;
  const { id, name, size, state, digest, browser_download_url: url } = value;
  if (typeof id !== 'number' || typeof name !== 'string' || typeof size !== 'number') return undefined;
  if (typeof url !== 'string' || !/^https?:\/\//i.test(url) || !URL.canParse(url)) return undefined;
  const sha256 = typeof digest === 'string' ? /^sha256:([0-9a-f]{64})$/i.exec(digest)?.[1] : undefined;
  return {
    id,
    name,
    size,
    state: typeof state === 'string' ? state : 'uploaded',
    url,
    ...(sha256 === undefined ? {} : { sha256: sha256.toLowerCase() }),
  };
}

/** Tags of a list of releases, newest first as the API gives them. */
export function tagsOf(body: unknown): readonly string[] {
  if (!Array.isArray(body)) return [];
  return body.flatMap((one: unknown) =>
    isObject(one) && typeof one.tag_name === 'string' ? [one.tag_name] : [],
  );
}

/** What the API says in its own words. */
export function messageOf(body: unknown): string | undefined {
  return isObject(body) && typeof body.message === 'string' && body.message !== '' ? body.message : undefined;
}
