// `Retry-After`: how long a server asks to be left alone.

/** A server may ask for this much patience; more is cut to it. */
export const MAX_RETRY_AFTER_MS = 60_000;

/** `Retry-After`, seconds or a date, as ms from now, not cut; undefined when absent or unreadable. */
export function retryAfterMs(header: string | undefined, now: number = Date.now()): number | undefined {
  if (header === undefined) return undefined;
  if (/^\s*\d+\s*$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
