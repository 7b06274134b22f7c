// Sizes as people write them in flags and in their configuration.

const UNITS = 'KMGTP';
const SIZE = /^(\d{1,15})(?:(\.\d{1,9})? ?([KMGTP])(?:iB)?)?$/i;

/**
 * Bytes of `2G`, `500M`, `1.5T`, `64 KiB`, or of plain bytes. Units are of 1024, as everywhere in res.
 * Undefined for what is no size, or for more than can be counted.
 */
export function parseSize(text: string): number | undefined {
  const [, whole, fraction = '', unit] = SIZE.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const factor = unit === undefined ? 1 : 1024 ** (UNITS.indexOf(unit.toUpperCase()) + 1);
  const bytes = Math.round(Number(whole + fraction) * factor);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** `1,234,567`. Not with `toLocaleString`: what it wants to know of languages takes 10 ms to load. */
export function withCommas(count: number): string {
  return String(count).replace(/\B(?=(?:\d{3})+$)/g, ',');
}
