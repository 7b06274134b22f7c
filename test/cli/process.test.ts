// What only a process can show: signals, and a reader that goes away.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createOutput } from '../../src/cli/output.js';
import { reportError } from '../../src/cli/trouble.js';
import { ResError } from '../../src/model/error.js';
import { startRes } from '../rig/cli.js';
import { MAIN } from '../rig/places.js';
import { makeWorkspace, removeWorkspaces } from '../rig/workspace.js';
import { FakeTerminal } from './terminal.js';

afterEach(removeWorkspaces);

it.each([['log big | head -1'], ['list --json | :'], ['list 2>&1 | :']])(
  'a closed pipe ends quietly: res %s',
  (line) => {
    const space = makeWorkspace('res: 1\nartifacts: { big: { url: "file:///big" } }\n');
    space.write('.res/logs/big.log', 'a line\n'.repeat(1_000_000));
    // The status of res, and nothing on stderr.
    const script = `set -o pipefail; "$NODE" "$MAIN" ${line} >/dev/null; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', script], {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: space.dir,
      env: { PATH: process.env.PATH, NODE: process.execPath, MAIN },
      encoding: 'utf8',
    });
    expect({ stdout, stderr }).toEqual({ stdout: '0\n', stderr: '' });
  },
);

describe.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s', (signal) => {
  it('ends a build with status 130, and says that downloads are kept', async () => {
    // A server that takes the request and never answers it.
    const server = createServer();
    const asked = once(server, 'request');
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port }: Pick<AddressInfo, 'port'> = addressOf(server.address());
    try {
      const space = makeWorkspace(
        `res: 1\nartifacts: { a: { url: "http://127.0.0.1:${port}/a", output: a } }\n`,
      );
      const run = startRes(['build'], { cwd: space.dir });
      await asked;
      run.signal(signal);
      const { status, stderr } = await run.result;
      expect({ status, stderr }).toMatchObject({
        status: 130,
        stderr: expect.stringContaining('interrupted'),
      });
      expect(stderr).not.toMatch(/^ {4}at /m);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

function addressOf(address: AddressInfo | string | null): AddressInfo {
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address;
}

describe('an error', () => {
  const report = (error: unknown) => {
    const terminal = new FakeTerminal({ isTTY: false });
    const status = reportError(error, createOutput(terminal, { color: 'auto', env: {}, cwd: '/' }));
    return { status, text: terminal.text };
  };

  it('of the user is told with what to do, and has its status', () => {
    expect(report(new ResError('usage', 'no such thing', { hint: 'try another' }))).toEqual({
      status: 2,
      text: 'error: no such thing\n  hint: try another\n',
    });
    expect(report(new ResError('network', 'down')).status).toBe(1);
    expect(report(new ResError('interrupted', 'stopped')).status).toBe(130);
  });

  it('of res itself says so, with the stack and the version', () => {
    const { status, text } = report(new TypeError('x is not a function'));
    expect(status).toBe(1);
    expect(text).toMatch(/^error: this is a bug of res/);
    expect(text).toMatch(/^TypeError: x is not a function\n {4}at /m);
    expect(text).toMatch(/^res \d+\.\d+\.\d+, Node\.js v\d+/m);
  });
});
