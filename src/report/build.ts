// What a build did, in one line.
import type { BuildResult } from '../model/event.js';
import { someOf } from './fold.js';
import { formatBytes, formatDuration } from './format.js';

/** Of those that failed: what was said of them may have scrolled away by now. */
const MOST_NAMES = 3;

/** `3 ran, 1 restored, 2 fresh, 1 failed (qcow2); 390 MiB downloaded; 14.2 s`, or `up to date`. */
export function resultText(result: BuildResult): string {
  const { ran, restored, fresh, failed, skipped } = result;
  if (result.ok && ran.length === 0 && restored.length === 0) return 'up to date';
  const counts = [
    `${ran.length} ran`,
    ...(restored.length === 0 ? [] : [`${restored.length} restored`]),
    ...(fresh.length === 0 ? [] : [`${fresh.length} fresh`]),
    ...(failed.length === 0 ? [] : [`${failed.length} failed (${someOf(failed, MOST_NAMES)})`]),
    ...(skipped.length === 0 ? [] : [`${skipped.length} skipped`]),
  ];
  const downloaded =
    result.downloaded_bytes > 0 ? [`${formatBytes(result.downloaded_bytes)} downloaded`] : [];
  return [counts.join(', '), ...downloaded, formatDuration(result.duration_ms)].join('; ');
}
