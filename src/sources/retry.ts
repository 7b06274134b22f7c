// When to ask again: exponential backoff with full jitter, or the time that the server asked for.
import { setTimeout as delay } from 'node:timers/promises';
import { ResError } from '../model/error.js';
import { unlessAborted } from '../store/unless-aborted.js';
import type { Failure } from './failure.js';

export interface RetryPolicy {
  /** Attempts after the first one, counted anew after each progress. */
  readonly retries: number;
  /** Upper end of the first wait, ms; each one after it is twice as long. */
  readonly baseDelayMs: number;
}

/** All that was wanted is there. */
export interface Complete {
  readonly kind: 'complete';
}

export const COMPLETE: Complete = { kind: 'complete' };

export const DEFAULT_RETRY: RetryPolicy = { retries: 5, baseDelayMs: 500 };

const MAX_DELAY_MS = 30_000;

/** The wait before attempt `attempt` (1 is the first retry), ms: uniform below the exponential bound, so that clients spread. */
export function backoffMs(attempt: number, baseDelayMs: number, random: () => number = Math.random): number {
  return Math.round(random() * Math.min(MAX_DELAY_MS, baseDelayMs * 2 ** (attempt - 1)));
}

export interface Retrying {
  readonly policy: RetryPolicy;
  readonly signal?: AbortSignal;
  /** Asked after each failure: whether things have moved on since the last one; the count then starts anew. */
  readonly progressed?: () => boolean;
  /** Asked before each wait: whether to leave it at this failure. */
  readonly giveUp?: (failure: Failure) => boolean;
  readonly onRetry?: (text: string) => void;
}

/** Repeats an attempt while its failures are worth it. Rejects with ResError `interrupted`. */
export async function retrying<T extends { readonly kind: string }>(
  attempt: () => Promise<T | Failure>,
  o: Retrying,
): Promise<T | Failure> {
  let failures = 0;
  let insisted = false;
  for (;;) {
    const result = await attempt();
    if (!isFailure(result)) return result;
    if (o.progressed?.() === true) failures = 0;
    const worth = result.retry === 'yes' || (result.retry === 'once' && !insisted);
    if (!worth || failures >= o.policy.retries || o.giveUp?.(result) === true) return result;
    failures += 1;
    insisted ||= result.retry === 'once';
    const waitMs = result.waitMs ?? backoffMs(failures, o.policy.baseDelayMs);
    o.onRetry?.(
      `${result.error.message}; again in ${waitText(waitMs)} (retry ${failures} of ${o.policy.retries})`,
    );
    await pause(waitMs, o.signal);
  }
}

export function isFailure(result: { readonly kind: string }): result is Failure {
  return result.kind === 'failed';
}

/** Waits. Rejects with ResError `interrupted` when the signal is raised. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    if (signal?.aborted === true) throw interrupted();
    throw error;
  }
}

/** Waits for work until the signal is raised. Rejects with ResError `interrupted` then, or as the work does. */
export async function orInterrupted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await unlessAborted(work, signal);
  } catch (error) {
    if (signal.aborted) throw interrupted();
    throw error;
  }
}

export function interrupted(): ResError {
  return new ResError('interrupted', 'interrupted', {
    hint: 'What has arrived is kept; the next build goes on from there.',
  });
}

/** `350 ms`, `12 s`, `5 min`. */
export function waitText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  return `${Math.round(ms / 60_000)} min`;
}
