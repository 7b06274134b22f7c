import { afterEach, describe, expect, it } from 'vitest';
import { isRunning, runRes, startRes } from './cli.js';
import { fakeTool } from './fake-tool.js';
import { BUILD_FAILURE } from './places.js';
import { has } from './tools.js';
import { withWitness } from './witness.js';
import { makeWorkspace, removeWorkspaces } from './workspace.js';

afterEach(removeWorkspaces);

/** A workspace with this program in it, and options to run it as if it were the built one. */
function program(source: string) {
  const workspace = makeWorkspace({ 'main.mjs': source });
  return { workspace, options: { cwd: workspace.dir, main: workspace.path('main.mjs') } };
}

describe('a run', () => {
  it('gives status and both outputs', async () => {
    const { options, workspace } = program(
      'console.log(process.argv.slice(2).join("|"), process.cwd()); console.error("oops"); process.exitCode = 3;',
    );
    const result = await runRes(['build', '--x', 'a b'], options);
    expect(result).toMatchObject({
      status: 3,
      signal: null,
      stdout: `build|--x|a b ${workspace.dir}\n`,
      stderr: 'oops\n',
    });
    expect(result.durationMs).toBeGreaterThan(1);
  });

  it('has a clean environment', async () => {
    const { options } = program('console.log(JSON.stringify(process.env))');
    process.env.RIG_LEAK = 'leak';
    try {
      const { stdout } = await runRes([], { ...options, env: { EXTRA: 'yes', NO_COLOR: undefined } });
      const env: unknown = JSON.parse(stdout);
      expect(env).toMatchObject({ EXTRA: 'yes', LANG: 'C.UTF-8', PATH: process.env.PATH });
      expect(env).not.toHaveProperty('RIG_LEAK');
      expect(env).not.toHaveProperty('NO_COLOR');
      expect(env).toHaveProperty('HOME', expect.stringContaining('home-'));
    } finally {
      delete process.env.RIG_LEAK;
    }
  });

  it('can be waited for by what it prints, and killed with its children', async () => {
    const { options } = program(`
      import { spawn } from 'node:child_process';
      const child = spawn('sleep', ['60'], { stdio: 'ignore' });
      process.stderr.write('started '); setTimeout(() => process.stderr.write(child.pid + ' ready'), 20);
      setInterval(() => {}, 1000);
    `);
    const run = startRes([], options);
    await run.printed('ready');
    const pid = Number(/started (\d+) ready/.exec(run.stderr)?.[1]);
    expect(await run.kill()).toMatchObject({ status: null, signal: 'SIGKILL' });
    await expect.poll(() => isRunning(pid)).toBe(false);
  });

  it('does not start when the program could not be built', () => {
    const before = process.env[BUILD_FAILURE];
    process.env[BUILD_FAILURE] = 'syntax error in main.ts';
    try {
      expect(() => startRes([], { cwd: '/' })).toThrow('syntax error in main.ts');
    } finally {
      if (before === undefined) delete process.env[BUILD_FAILURE];
      else process.env[BUILD_FAILURE] = before;
    }
  });

  it('takes signals', async () => {
    const { options } = program(`
      process.on('SIGINT', () => process.exit(130));
      console.log('up'); setInterval(() => {}, 1000);
    `);
    const run = startRes([], options);
    await run.printed(/up/, { on: 'stdout' });
    run.signal('SIGINT');
    expect((await run.result).status).toBe(130);
  });

  it('fails with all it printed when it is late, ends early or is aborted', async () => {
    const { options } = program('console.error("hanging"); setInterval(() => {}, 1000)');
    await expect(runRes(['x'], { ...options, timeoutMs: 1200 })).rejects.toThrow(
      /still running after 1200 ms[\s\S]*hanging/,
    );
    const controller = new AbortController();
    const run = startRes([], { ...options, signal: controller.signal });
    await run.printed('hanging');
    controller.abort();
    await expect(run.printed('never')).rejects.toThrow(/the run has ended[\s\S]*hanging/);
    expect((await run.result).signal).toBe('SIGKILL');
  });
});

describe('a workspace', () => {
  it('is a folder with the files given, and goes', () => {
    const workspace = makeWorkspace('res: 1\n');
    workspace.write('a/b.bin', Buffer.from([1, 2]));
    expect(workspace.text('resources.yaml')).toBe('res: 1\n');
    expect(workspace.read('a/b.bin')).toEqual(Buffer.from([1, 2]));
    expect(workspace.exists('a')).toBe(true);
    workspace.remove();
    expect(workspace.exists('resources.yaml')).toBe(false);
  });
});

describe('the witness', () => {
  const testify = async (source: string) => {
    const { options } = program(source);
    const witness = withWitness({ EXTRA: 'yes' });
    try {
      const { stderr, status } = await runRes([], { ...options, env: witness.env });
      expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
      return witness.testimony();
    } finally {
      witness.remove();
    }
  };

  it('has nothing to say of a run that does nothing', async () => {
    expect(await testify("import { readFileSync } from 'node:fs'; readFileSync('main.mjs');")).toEqual({
      processes: [],
      connections: [],
      lookups: [],
      workers: 0,
      hashedBytes: 0,
      largestHash: 0,
      hashes: 0,
    });
  });

  it('sees processes, however they are started', async () => {
    const { processes } = await testify(`
      import { spawn, exec, execFile, execFileSync, spawnSync, execSync, fork } from 'node:child_process';
      await Promise.all([
        new Promise((done) => spawn('true', ['spawn']).on('close', done)),
        new Promise((done) => exec('true exec', done)),
        new Promise((done) => execFile('true', ['execFile'], done)),
      ]);
      execFileSync('true', ['execFileSync']); spawnSync('true', ['spawnSync']); execSync('true execSync');
      if (process.argv[2] !== 'child') await new Promise((done) => fork(process.argv[1], ['child'], { env: {} }).on('close', done));
    `);
    const seen = processes.map((argv) => argv.join(' '));
    for (const how of ['spawn', 'exec', 'execFile', 'execFileSync', 'spawnSync', 'execSync', 'child']) {
      expect(seen.some((line) => line.endsWith(how))).toBe(true);
    }
    expect(seen).toHaveLength(7);
  });

  it('sees connections and look-ups', async () => {
    const { connections, lookups } = await testify(`
      import { createServer, connect } from 'node:net';
      import { lookup } from 'node:dns/promises';
      import { get } from 'node:http';
      const server = createServer((socket) => socket.end('HTTP/1.1 204 No\\r\\nConnection: close\\r\\n\\r\\n'));
      await new Promise((done) => server.listen(0, '127.0.0.1', done));
      const { port } = server.address();
      await fetch('http://127.0.0.1:' + port);
      await new Promise((done) => get('http://127.0.0.1:' + port, (r) => r.resume().on('close', done)));
      await new Promise((done) => connect(port, '127.0.0.1').on('close', done).resume());
      await lookup('localhost');
      server.close();
    `);
    expect(connections).toHaveLength(3);
    expect(connections.every((to) => /^127\.0\.0\.1:\d+$/.test(to))).toBe(true);
    expect(lookups).toContain('localhost');
  });

  it('sees what is hashed, in worker threads too', async () => {
    const { hashedBytes, largestHash, hashes, workers } = await testify(`
      import { createHash, webcrypto } from 'node:crypto';
      import { writeFileSync } from 'node:fs';
      import { Worker } from 'node:worker_threads';
      import { pipeline } from 'node:stream/promises';
      import { Readable } from 'node:stream';
      createHash('sha256').update('12345').update(Buffer.alloc(1000)).digest();
      await pipeline(Readable.from([Buffer.alloc(200)]), createHash('sha256'));
      await webcrypto.subtle.digest('SHA-256', new Uint8Array(30));
      const code = "require('node:crypto').createHash('sha256').update(Buffer.alloc(7000)); setInterval(() => {}, 1000); require('node:worker_threads').parentPort.postMessage(1)";
      writeFileSync('worker.cjs', code);
      writeFileSync('worker.mjs', 'import { createHash } from "node:crypto"; import { parentPort } from "node:worker_threads"; createHash("sha256").update(Buffer.alloc(1)); parentPort.postMessage(1);');
      for (const [file, options] of [[code, { eval: true }], ['./worker.cjs'], ['./worker.mjs']]) {
        const worker = new Worker(file, options);
        await new Promise((done) => worker.on('message', done));
        await worker.terminate();
      }
    `);
    expect({ hashedBytes, largestHash, hashes, workers }).toEqual({
      hashedBytes: 5 + 1000 + 200 + 30 + 7000 + 7000 + 1,
      largestHash: 7000,
      hashes: 7,
      workers: 3,
    });
  });

  it('does not pass for one when it was not there', async () => {
    const { options } = program('');
    const witness = withWitness();
    await runRes([], { ...options, env: { ...witness.env, NODE_OPTIONS: undefined } });
    expect(() => witness.testimony()).toThrow();
    witness.remove();
  });
});

describe.skipIf(!has('qemu-img'))('a fake tool', () => {
  it('says another version, notes its calls and does the real work', async () => {
    const fake = fakeTool({ version: '8.0.0' });
    const { workspace, options } = program(`
      import { execFileSync } from 'node:child_process';
      const run = (...args) => execFileSync('qemu-img', args, { encoding: 'utf8' });
      console.log(run('--version').split('\\n')[0]);
      run('create', '-q', '-f', 'raw', 'a b.raw', '1M');
    `);
    try {
      const { stdout } = await runRes([], { ...options, env: { PATH: fake.path } });
      expect(stdout).toMatch(/^qemu-img version 8\.0\.0\b/);
      expect(fake.calls()).toEqual([['--version'], ['create', '-q', '-f', 'raw', 'a b.raw', '1M']]);
      expect(workspace.read('a b.raw').length).toBe(1024 * 1024);
      fake.setVersion('8.1.0');
      expect((await runRes([], { ...options, env: { PATH: fake.path } })).stdout).toMatch(
        /version 8\.1\.0\b/,
      );
    } finally {
      fake.remove();
    }
  });

  it('may misbehave', async () => {
    const fake = fakeTool({ before: 'echo "no space left" >&2; exit 7' });
    const { options } = program(`
      import { spawnSync } from 'node:child_process';
      const { status, stderr } = spawnSync('qemu-img', ['info', 'x'], { encoding: 'utf8' });
      console.log(status, stderr.trim());
    `);
    try {
      expect((await runRes([], { ...options, env: { PATH: fake.path } })).stdout).toBe('7 no space left\n');
    } finally {
      fake.remove();
    }
  });
});
