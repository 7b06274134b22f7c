// Everything that a server, a proxy or a cable does wrong in these campaigns, and how a build may end then.
import type { ErrorCode } from '../../src/model/error.js';
import type { Fault } from '../rig/release-server.js';

/** What a fault is about: how big the content is (bytes), where in it (0 to `size`), and addresses where nobody is. */
export interface Aim {
  readonly size: number;
  readonly at: number;
  /** From 0 to 1. */
  readonly chance: number;
  readonly refusing: string;
}

/** `well`: with the right bytes. Codes: in one of these errors. */
export type Ending = readonly ('well' | ErrorCode)[];

export interface FaultKind {
  readonly name: string;
  /** Whether it happens in the body, at a place; else the place makes no difference. */
  readonly body: boolean;
  readonly fault: (aim: Aim) => Fault;
  /** When a few answers go like this. What is only a glimpse may meet it, and a build does without. */
  readonly few: Ending;
  /** When all of them do. */
  readonly always: Ending;
  /** Ended by the time-out only. */
  readonly stalls?: boolean;
  /** Not to be noticed without a sum. */
  readonly silent?: boolean;
  /** Does nothing to an answer that is only a redirect, or to one of the API. */
  readonly only?: 'content';
}

const WELL: Ending = ['well'];
const LOST: Ending = ['network'];
const SERVER: Ending = ['http-status'];
/** The content is known to be another; or, where the sum is not known, what is made of it is. */
const WRONG: Ending = ['lock-mismatch'];
const NOT_JSON: Ending = ['http-status'];

const LOGIN = '<!doctype html><title>Log in</title><form method="post"><input name="user"></form>';

const status = (code: number, few: Ending, always: Ending, more: Fault = {}): FaultKind => ({
  name: `status ${code}${more.retryAfter === undefined ? '' : ' with Retry-After'}`,
  body: false,
  fault: () => ({ status: code, ...more }),
  few,
  always,
});

const inHead: readonly FaultKind[] = [
  { name: 'hangs up', body: false, fault: () => ({ answer: 'hang-up' }), few: WELL, always: LOST },
  {
    name: 'never answers',
    stalls: true,
    body: false,
    fault: () => ({ answer: 'never' }),
    few: WELL,
    always: LOST,
  },
  {
    name: 'speaks no HTTP',
    body: false,
    fault: () => ({ answer: 'junk' }),
    few: ['well', 'network'],
    always: LOST,
  },
  {
    name: 'dies amidst the headers',
    body: false,
    fault: () => ({ answer: 'torn' }),
    few: WELL,
    always: LOST,
  },
  {
    name: 'shows a login page',
    body: false,
    fault: () => ({ instead: { type: 'text/html', body: LOGIN } }),
    few: ['well', ...WRONG, ...NOT_JSON],
    always: [...WRONG, ...NOT_JSON],
  },
  {
    name: 'answers with nothing',
    body: false,
    fault: () => ({ instead: { type: 'application/octet-stream', body: '' } }),
    few: ['well', ...WRONG, ...NOT_JSON],
    always: [...WRONG, ...NOT_JSON],
  },
  {
    name: 'answers with other JSON',
    body: false,
    fault: ({ chance }) => ({
      instead: {
        type: 'application/json',
        body: ['null', '[]', '{}', '{"tag_name":"v1","assets":[{}]}'][Math.floor(chance * 4)] ?? '',
      },
    }),
    few: ['well', ...WRONG, ...NOT_JSON],
    always: [...WRONG, ...NOT_JSON],
  },
  {
    name: 'sends endless headers',
    body: false,
    fault: () => ({ headers: { 'x-endless': 'e'.repeat(200_000) } }),
    few: WELL,
    always: LOST,
    only: 'content',
  },
  status(204, ['well', ...SERVER, ...LOST], [...SERVER, ...LOST]),
  status(302, ['well', ...SERVER], SERVER),
  status(304, ['well', ...SERVER, ...LOST], [...SERVER, ...LOST]),
  status(400, ['well', ...SERVER], SERVER),
  status(401, ['well', 'unauthorized', 'http-status'], ['unauthorized', 'http-status']),
  status(403, ['well', 'unauthorized', 'http-status'], ['unauthorized', 'http-status']),
  status(404, ['well', 'http-status', 'release-not-found'], ['http-status', 'release-not-found']),
  status(408, WELL, SERVER),
  status(410, ['well', ...SERVER], SERVER),
  status(416, ['well', 'http-status', 'network'], ['http-status', 'network']),
  status(429, WELL, ['rate-limited'], { retryAfter: 0 }),
  status(429, WELL, ['rate-limited'], { retryAfter: new Date(0) }),
  status(500, WELL, SERVER),
  status(501, ['well', ...SERVER], SERVER),
  status(502, WELL, SERVER),
  status(503, WELL, SERVER, { retryAfter: 0 }),
  status(504, WELL, SERVER),
  {
    name: 'redirects in a circle',
    body: false,
    fault: () => ({ redirect: 'loop' }),
    few: ['well', ...LOST],
    always: LOST,
  },
  {
    name: 'redirects to no http address',
    body: false,
    fault: () => ({ redirect: { url: 'ftp://127.0.0.1/x' } }),
    few: ['well', ...LOST],
    always: LOST,
  },
  {
    name: 'leads to a port where nobody listens',
    body: false,
    fault: ({ refusing }) => ({ redirect: { url: refusing } }),
    few: WELL,
    always: LOST,
  },
  {
    name: 'leads to a host that does not exist',
    body: false,
    fault: () => ({ redirect: { url: 'http://no-such-host.invalid/x' } }),
    // A name that is not known is asked for twice only.
    few: ['well', 'network'],
    always: LOST,
  },
];

const inBody: readonly FaultKind[] = [
  {
    name: 'cuts',
    body: true,
    fault: ({ at }) => ({ cut: { after: at } }),
    few: WELL,
    always: ['well', ...LOST],
  },
  {
    name: 'resets',
    body: true,
    fault: ({ at }) => ({ cut: { after: at, by: 'reset' } }),
    few: WELL,
    always: ['well', ...LOST],
  },
  {
    name: 'stalls',
    stalls: true,
    body: true,
    fault: ({ at }) => ({ stall: { after: at } }),
    few: WELL,
    always: ['well', ...LOST],
  },
  {
    name: 'truncates, with a length that agrees',
    body: true,
    fault: ({ at }) => ({ truncate: { to: at, framing: 'length' } }),
    few: ['well', ...WRONG, ...NOT_JSON],
    always: ['well', ...WRONG, ...LOST, ...NOT_JSON],
  },
  {
    name: 'truncates, in chunks',
    body: true,
    fault: ({ at }) => ({ truncate: { to: at, framing: 'chunked' } }),
    few: ['well', ...NOT_JSON],
    always: ['well', ...LOST, ...NOT_JSON],
  },
  {
    name: 'breaks off without a length',
    body: true,
    fault: ({ at }) => ({ noLength: true, cut: { after: at } }),
    few: ['well', ...NOT_JSON],
    always: ['well', ...LOST, ...NOT_JSON],
  },
  {
    name: 'inverts bytes',
    body: true,
    fault: ({ at, size, chance }) => ({ corrupt: [Math.min(at, size - 1), Math.floor(chance * size)] }),
    few: ['well', ...WRONG, ...NOT_JSON],
    always: ['well', ...WRONG, ...NOT_JSON],
    silent: true,
    only: 'content',
  },
  {
    name: 'sends a stretch twice',
    body: true,
    fault: ({ at, size }) => ({ repeat: { at: Math.min(at, size - 1000), bytes: 1000 } }),
    few: ['well', ...WRONG, ...NOT_JSON],
    always: ['well', ...WRONG, ...LOST, ...NOT_JSON],
    silent: true,
    only: 'content',
  },
  {
    name: 'sends a stretch twice, without a length',
    body: true,
    fault: ({ at, size }) => ({ repeat: { at: Math.min(at, size - 1000), bytes: 1000 }, noLength: true }),
    few: ['well', ...WRONG],
    always: WRONG,
    only: 'content',
  },
  {
    name: 'has another file of the same size',
    body: false,
    fault: ({ size }) => ({ replace: Buffer.alloc(size, 'other') }),
    few: ['well', ...WRONG],
    always: WRONG,
    silent: true,
    only: 'content',
  },
  {
    name: 'has a shorter file',
    body: false,
    fault: ({ size, chance }) => ({ replace: Buffer.alloc(Math.floor(chance * size), 'other') }),
    few: ['well', ...WRONG],
    always: WRONG,
    only: 'content',
  },
  {
    name: 'has a longer file',
    body: false,
    fault: ({ size, chance }) => ({ replace: Buffer.alloc(size + 1 + Math.floor(chance * 1000), 'other') }),
    few: ['well', ...WRONG],
    always: WRONG,
    only: 'content',
  },
  {
    name: 'trickles',
    body: false,
    fault: ({ size }) => ({ bytesPerSecond: size * 4 }),
    few: WELL,
    always: WELL,
  },
  {
    name: 'gives no length',
    body: false,
    fault: () => ({ noLength: true }),
    few: WELL,
    always: WELL,
    only: 'content',
  },
  {
    name: 'compresses',
    body: false,
    fault: () => ({ gzip: true }),
    few: ['well', ...WRONG, ...NOT_JSON],
    // Nothing is left to be compressed when only a redirect is asked for.
    always: ['well', ...WRONG, ...NOT_JSON],
  },
  {
    name: 'says that it compresses, and does not',
    body: false,
    fault: () => ({ headers: { 'content-encoding': 'gzip' } }),
    few: WELL,
    always: WELL,
    only: 'content',
  },
];

/** Joined with a first answer that is cut: they are about how a download is resumed. */
/** About how a download is resumed: joined with a first answer that is cut. */
const inResuming: readonly FaultKind[] = [
  resuming('ignores Range', { ignoreRange: true }, WELL),
  resuming('answers with the range from the start', { wrongRange: true }, LOST),
  resuming('changes its ETag', { etag: 'wrong' }, WELL),
  resuming('has no ETag', { etag: 'none', headers: { 'last-modified': null } }, WELL),
  resuming('has a weak ETag', { etag: 'weak' }, WELL),
  resuming('lies about the range', { headers: { 'content-range': 'bytes 5-9/10' } }, LOST),
  resuming('lies about the whole', { headers: { 'content-range': 'bytes 0-9/*' } }, LOST),
  resuming('does not tell the range', { headers: { 'content-range': null } }, LOST),
];

function resuming(name: string, fault: Fault, always: Ending): FaultKind {
  return {
    name: `${name}, and breaks off`,
    body: true,
    fault: ({ at }) => ({ ...fault, cut: { after: at } }),
    few: WELL,
    always: ['well', ...LOST, ...always],
    only: 'content',
  };
}

export const KINDS: readonly FaultKind[] = [...inHead, ...inBody, ...inResuming];
