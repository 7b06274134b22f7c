import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { redactText, redactUrl } from '../../src/sources/redact.js';
import { backoffMs, pause } from '../../src/sources/retry.js';
import { retryAfterMs } from '../../src/sources/retry-after.js';
import { missingPart } from '../../src/sources/split-parts.js';
import { failure } from './harness.js';

describe('a URL that is shown', () => {
  it('has no user info, fragment or signed query, and keeps any other query', () => {
    expect(redactUrl('https://u:p@a.org/x?v=1#frag')).toBe('https://a.org/x?v=1');
    for (const name of ['X-Amz-Signature', 'X-Goog-Signature', 'sig', 'token', 'access_token', 'Signature']) {
      expect(redactUrl(`https://a.org/x?v=1&${name}=s`)).toBe('https://a.org/x');
    }
    expect(redactUrl('file:images/a b')).toBe('file:images/a b');
  });

  it('has no secret either when it cannot be read as a URL', () => {
    expect(redactUrl('http://u:p@a.org:99999/x?token=t')).toBe('http://a.org:99999/x');
    expect(redactUrl('http://u:p@[a.org')).toBe('http://[a.org');
  });

  it('is redacted inside other text too', () => {
    expect(redactText('failed: https://u:p@a.org/x?sig=1, then "http://b.org/?token=t"')).toBe(
      'failed: https://a.org/x then "http://b.org/"',
    );
  });

  it('never has the password', () => {
    const secret = fc.stringMatching(/^[A-Za-z0-9]{12,20}$/).map((text) => `SECRET${text}`);
    fc.assert(
      fc.property(secret, fc.webUrl({ withQueryParameters: true, withFragments: true }), (password, url) => {
        expect(redactUrl(url.replace('://', `://user:${password}@`))).not.toContain(password);
      }),
    );
  });
});

describe('the wait before a retry', () => {
  it('is somewhere below a bound that doubles up to 30 s', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (attempt, random) => {
          const wait = backoffMs(attempt, 500, () => random);
          expect(wait).toBeGreaterThanOrEqual(0);
          expect(wait).toBeLessThanOrEqual(Math.min(30_000, 500 * 2 ** (attempt - 1)));
        },
      ),
    );
    expect(backoffMs(3, 500, () => 1)).toBe(2000);
  });

  it('is what the server asks for, in seconds or by date', () => {
    const now = Date.UTC(2024, 0, 1);
    expect(retryAfterMs('7', now)).toBe(7000);
    expect(retryAfterMs('Mon, 01 Jan 2024 00:00:30 GMT', now)).toBe(30_000);
    expect(retryAfterMs('Sun, 31 Dec 2023 00:00:00 GMT', now)).toBe(0);
    expect(retryAfterMs('soon', now)).toBeUndefined();
    expect(retryAfterMs(undefined)).toBeUndefined();
  });

  it('ends with an interrupt', async () => {
    const controller = new AbortController();
    const waiting = failure(pause(60_000, controller.signal));
    controller.abort();
    expect((await waiting).code).toBe('interrupted');
  });
});

describe('parts of a split file', () => {
  for (const [names, missing] of [
    [['x.aa', 'x.ab', 'x.ac'], undefined],
    [['x.aa', 'x.ac'], 'x.ab'],
    [['x.ab', 'x.ac'], 'x.aa'],
    [['x.aa'], undefined],
    [['x.aaa', 'x.aac'], 'x.aab'],
    [['x.aa', 'y.aa', 'y.ac'], 'y.ab'],
    [['x.gz', 'x.xz'], undefined],
    [['x.img', 'x.sums'], undefined],
    [['x'], undefined],
    [[], undefined],
  ] as const) {
    it(`${names.join(' ') || 'none'}: ${missing ?? 'nothing'} is missing`, () => {
      expect(missingPart(names)).toBe(missing);
    });
  }

  const all = Array.from(
    { length: 60 },
    (_, i) => `x.${String.fromCharCode(97 + Math.floor(i / 26), 97 + (i % 26))}`,
  );
  it('without one in between always lack exactly that one', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 60 }), fc.nat(), (count, pick) => {
        const names = all.slice(0, count);
        const gap = pick % (count - 1);
        expect(missingPart(names)).toBeUndefined();
        if (count > 2) expect(missingPart(names.filter((_, i) => i !== gap))).toBe(names[gap]);
      }),
    );
  });
});
