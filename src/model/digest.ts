// What content is known by. A digest names its algorithm, so that two kinds of sum are never compared.

/**
 * `sha256:HEX` is the plain SHA-256 of a file, as `sha256sum` prints it. `tree:HEX` is the chunked digest of a
 * larger derived file, or the Merkle digest of a directory (store/hashing.ts defines both).
 */
export type Digest = `sha256:${string}` | `tree:${string}`;
export type DigestAlgorithm = 'sha256' | 'tree';

/** Derived files up to this many bytes are known by their plain sha256; larger ones by `tree:`. */
export const CHUNK_SIZE = 4 * 1024 * 1024;

const PATTERN = /^(?:sha256|tree):[0-9a-f]{64}$/;

export function isDigest(text: unknown): text is Digest {
  return typeof text === 'string' && PATTERN.test(text);
}

export function digestAlgorithm(digest: Digest): DigestAlgorithm {
  return digest.startsWith('tree:') ? 'tree' : 'sha256';
}

/** The 64 hexadecimal digits, without the algorithm. */
export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}

export function sha256Digest(hex: string): Digest {
  return `sha256:${hex.toLowerCase()}`;
}
