// The same through the command line, with its real waits: what a user sees of a network that is not there.
import { describe, expect, it } from 'vitest';
import { expectDone, expectFailed, openSite, partialSizes } from '../cli-runs/site.js';
import { unusedPort } from '../sources/harness.js';

const STALL = { RES_STALL_TIMEOUT: '0.5' };

describe.concurrent('from the command line', () => {
  it('a server that is down for a moment is waited for', async () => {
    const site = await openSite();
    site.server.fault(site.part(), { stall: { after: 500_000 } });
    const run = site.start('build');
    await site.server.until(({ path, state }) => path === site.part().contentPath && state === 'stalled');
    await site.server.refuse();
    await run.printed(/refused the connection; again in/);
    await site.server.accept();
    expectDone(await run.result);
    expect(site.work.read('resources/data.bin').equals(site.data)).toBe(true);
    // No byte that had arrived was sent again.
    expect(site.server.bytesSent(site.part())).toBeLessThanOrEqual(1_000_000 + 10);
  });

  it('an API that is down is told of, with its address', async () => {
    const url = `http://127.0.0.1:${await unusedPort()}`;
    const site = await openSite();
    // The waits between attempts are the real ones: about 8 s.
    const run = await site.res('build', { GITHUB_API_URL: url });
    expectFailed(run, [/refused the connection/, /Check the port/, /retry 5 of 5/]);
    expectDone(await site.res('build'));
  });

  it('a host that does not exist is told of', async () => {
    const site = await openSite();
    const run = await site.res('build', { GITHUB_API_URL: 'http://no-such-host.invalid' });
    expectFailed(run, [/could not resolve host no-such-host\.invalid/, /online/]);
    expectDone(await site.res('build'));
  });

  it.each([
    ['no HTTP', { answer: 'junk' }, /not HTTP/],
    [
      'a login page',
      { instead: { type: 'text/html', body: '<title>Log in</title>' } },
      /not JSON.*login page/s,
    ],
    ['half an answer', { truncate: { to: 100, framing: 'length' } }, /not JSON/],
  ] as const)('%s from the API is told of', async (_name, fault, says) => {
    const site = await openSite();
    const api = '/repos/lab/images/releases/tags/v1';
    site.server.faultAlways(api, fault);
    expectFailed(await site.res('build'), [says, /hint: /]);
    site.server.heal(api);
    expectDone(await site.res('build'));
  });

  it('a slow server is given the time it needs, however short the time-out', async () => {
    const site = await openSite({ storage: 'none' });
    site.server.faultAlways(site.part(), { bytesPerSecond: 600_000 });
    const run = await site.res('build', STALL);
    expectDone(run);
    expect(run.durationMs).toBeGreaterThan(1500);
    expect(site.server.requests(site.part())).toHaveLength(1);
    expect(partialSizes(site.work)).toEqual([]);
  });

  it.each([
    ['compressed', { gzip: true }],
    ['with a stretch that comes twice', { repeat: { at: 1000, bytes: 5000 } }],
    ['with an empty body', { instead: { type: 'application/octet-stream', body: '' } }],
  ] as const)('a part that always arrives %s is an error that names it', async (_name, fault) => {
    const site = await openSite({ storage: 'none' });
    site.server.faultAlways(site.part(), fault);
    expectFailed(await site.res('build'), [/failed: parts: .*data\.bin\.ab/, /res update parts/]);
    expect(site.work.exists('resources/data.bin')).toBe(false);
    site.server.heal(site.part());
    expectDone(await site.res('build'));
    expect(site.work.read('resources/data.bin').equals(site.data)).toBe(true);
  });
});
