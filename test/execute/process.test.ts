// Programs: what they print is kept, they are stopped with all that they started, and their end is told as it was.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import {
  commandLine,
  NodeLog,
  type ProcessContext,
  pipeProgram,
  runProgram,
} from '../../src/execute/process.js';
import { isRunning } from '../rig/cli.js';
import { has } from '../rig/tools.js';
import { makeWorkspace, removeWorkspaces } from '../rig/workspace.js';

afterEach(removeWorkspaces);

interface Place extends ProcessContext {
  readonly log: NodeLog;
  readonly dir: string;
  readonly lines: string[];
  text(name: string): string;
}

function place(
  options: { readonly signal?: AbortSignal; readonly env?: Record<string, string> } = {},
): Place {
  const { dir, path, exists, text } = makeWorkspace();
  const lines: string[] = [];
  return {
    dir,
    lines,
    text: (name) => (exists(name) ? text(name) : ''),
    env: { PATH: process.env.PATH, HOME: dir, ...options.env },
    cwd: dir,
    log: new NodeLog(path('node.log'), (line) => lines.push(line)),
    signal: options.signal ?? new AbortController().signal,
  };
}

async function until(holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 8000; !holds(); ) {
    if (Date.now() > end) throw new Error('waited in vain');
    await sleep(10);
  }
}

/** Whether the process whose number stands in the file is gone; it is killed if not. */
async function isGone(pid: number): Promise<boolean> {
  for (let i = 0; i < 100 && isRunning(pid); i++) await sleep(10);
  if (!isRunning(pid)) return true;
  process.kill(pid, 'SIGKILL');
  return false;
}

async function* bytes(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  let text = '';
  for await (const piece of pieces) text += Buffer.from(piece).toString();
  return text;
}

describe('a program', () => {
  it('gets no shell, no standard input, and an environment with nothing of the caller’s in it', async () => {
    const context = place({ env: { SECRET: 'token', TMPDIR: '/tmp', LANG: 'C' } });
    const { stdout } = await runProgram(context, [
      'sh',
      '-c',
      'cat; env | cut -d= -f1 | sort; echo "$1"',
      'x',
      '$HOME; *',
    ]);
    const names = stdout.trim().split('\n');
    expect(names.at(-1)).toBe('$HOME; *');
    const given = new Set(names.slice(0, -1));
    for (const own of ['PWD', 'SHLVL', '_', 'OLDPWD']) given.delete(own);
    expect([...given].sort()).toEqual(['HOME', 'LANG', 'PATH', 'TMPDIR']);
  });

  it('that fails is told with its command line, status and last lines, from both of its outputs', async () => {
    const context = place();
    const failing = runProgram(context, [
      'sh',
      '-c',
      'for i in $(seq 30); do echo "line $i"; done; echo oops >&2; exit 7',
    ]);
    await expect(failing).rejects.toMatchObject({ code: 'command-failed', command: { exitCode: 7 } });
    const { command } = await failing.catch((error) => error);
    expect(command.tail).toHaveLength(20);
    expect(command.tail).toContain('oops');
    expect(command.argv[0]).toBe('sh');
    await context.log.close();
    const log = context.text('node.log');
    expect(log).toContain('line 1\n');
    expect(log.startsWith(`$ ${commandLine(command.argv)}\n`)).toBe(true);
  });

  it('that is not there is told as such, with a way to get it', async () => {
    const failing = runProgram(place(), ['no-such-program']);
    await expect(failing).rejects.toMatchObject({
      code: 'tool-missing',
      hint: expect.stringContaining('doctor --fix'),
    });
  });

  it('that was ended by a signal is told with it', async () => {
    const failing = runProgram(place(), ['sh', '-c', 'kill -SEGV $$']);
    await expect(failing).rejects.toMatchObject({ code: 'command-failed', command: { signal: 'SIGSEGV' } });
  });

  it('takes nothing that it left running in its group beyond its end', async () => {
    const context = place();
    await runProgram(context, ['sh', '-c', 'sleep 60 & echo $! > pid']);
    expect(await isGone(Number(context.text('pid')))).toBe(true);
  });
});

describe('the watch over a program', () => {
  it.skipIf(!has('perl'))('is none of its children: one that waits for all of them ends', async () => {
    const waits = `my $n = 0; $n++ while wait() != -1; print "children: $n";`;
    const { stdout } = await runProgram(place(), ['perl', '-e', waits]);
    expect(stdout).toBe('children: 0');
  });

  it('is not seen by it: neither in its open files nor in its arguments', async () => {
    const script = '(: <&3) 2>/dev/null && echo open; echo "$# $0 $1"';
    const { stdout } = await runProgram(place(), ['sh', '-c', script, 'zero', 'a b']);
    expect(stdout).toBe('1 zero a b\n');
  });
});

describe('a program that is stopped', () => {
  it('gets TERM, and time to clean up', async () => {
    const stop = new AbortController();
    const context = place({ signal: stop.signal });
    const running = runProgram(context, [
      'sh',
      '-c',
      'trap "echo tidy > tidied; exit 0" TERM; echo > ready; while :; do sleep 0.05; done',
    ]);
    running.catch(() => undefined);
    await until(() => existsSync(join(context.dir, 'ready')));
    stop.abort();
    await expect(running).rejects.toMatchObject({ code: 'interrupted' });
    expect(context.text('tidied')).toBe('tidy\n');
  });

  it('and does not listen is killed after a grace', async () => {
    const stop = new AbortController();
    const context = place({ signal: stop.signal });
    const running = runProgram(context, [
      'sh',
      '-c',
      'trap "" TERM; echo $$ > pid; while :; do sleep 0.05; done',
    ]);
    running.catch(() => undefined);
    await until(() => context.text('pid').endsWith('\n'));
    const began = performance.now();
    stop.abort();
    await expect(running).rejects.toMatchObject({ code: 'interrupted' });
    expect(performance.now() - began).toBeGreaterThan(1000);
    expect(await isGone(Number(context.text('pid')))).toBe(true);
  }, 15_000);

  it('takes along those that it started and that do not listen', async () => {
    const stop = new AbortController();
    const context = place({ signal: stop.signal });
    const stubborn = `sh -c 'trap "" TERM; echo $$ > pid; while :; do sleep 0.05; done'`;
    const running = runProgram(context, ['sh', '-c', `${stubborn} & sleep 60`]);
    running.catch(() => undefined);
    await until(() => context.text('pid').endsWith('\n'));
    stop.abort();
    await expect(running).rejects.toMatchObject({ code: 'interrupted' });
    expect(await isGone(Number(context.text('pid')))).toBe(true);
  }, 15_000);

  it('before it was started is not started', async () => {
    const context = place({ signal: AbortSignal.abort() });
    await expect(runProgram(context, ['sh', '-c', 'echo > started'])).rejects.toThrow();
    expect(existsSync(join(context.dir, 'started'))).toBe(false);
  });
});

describe('a pipe through a program', () => {
  it('gives what it prints, and ends when it ended well', async () => {
    expect(await collect(pipeProgram(place(), ['tr', 'a-z', 'A-Z'], bytes('one ', 'two')))).toBe('ONE TWO');
  });

  it('fails when the program fails, though all that it printed was read', async () => {
    const piped = collect(pipeProgram(place(), ['sh', '-c', 'cat; echo broken >&2; exit 3'], bytes('x')));
    await expect(piped).rejects.toMatchObject({ code: 'command-failed', command: { exitCode: 3 } });
  });

  it('of which the program reads only the beginning is no failure', async () => {
    const big = bytes(...Array.from({ length: 64 }, () => 'x'.repeat(1 << 16)));
    expect(await collect(pipeProgram(place(), ['head', '-c', '3'], big))).toBe('xxx');
  });

  it.each([
    [
      'a pipe',
      (context: ProcessContext, source: AsyncIterable<Uint8Array>) =>
        collect(pipeProgram(context, ['cat'], source)),
    ],
    [
      'standard input',
      (context: ProcessContext, source: AsyncIterable<Uint8Array>) =>
        runProgram(context, ['cat'], { stdin: source }),
    ],
  ])('%s whose source breaks fails with what broke it', async (_, run) => {
    async function* broken() {
      yield Buffer.from('a');
      throw new Error('the source broke');
    }
    await expect(run(place(), broken())).rejects.toThrow('the source broke');
  });

  it('that is left early stops the program, and hears it out before its log is closed', async () => {
    const context = place();
    const script =
      'trap "sleep 0.1; echo last words >&2; exit 1" TERM; echo $$ > pid; echo hi; while :; do sleep 0.05; done';
    async function* endless() {
      for (;;) {
        yield Buffer.alloc(64);
        await sleep(5);
      }
    }
    for await (const piece of pipeProgram(context, ['sh', '-c', script], endless())) {
      expect(Buffer.from(piece).toString()).toBe('hi\n');
      break;
    }
    await context.log.close();
    expect(context.text('node.log')).toContain('last words');
    expect(await isGone(Number(context.text('pid')))).toBe(true);
  });
});

describe('a log', () => {
  it('makes lines of text however it is cut, and keeps the last twenty', async () => {
    const { log, lines, dir } = place();
    log.write('one\ntw');
    log.write('o\r\nthree');
    expect(lines).toEqual(['one', 'two']);
    expect(log.tail()).toEqual(['one', 'two', 'three']);
    for (let i = 0; i < 30; i++) log.line(`${i}`);
    expect(log.tail()).toHaveLength(20);
    expect(log.tail().at(-1)).toBe('29');
    await log.close();
    expect(readFileSync(join(dir, 'node.log'), 'utf8')).toMatch(/^one\ntwo\r\nthree0\n1\n/);
  });

  it('that nothing is written to makes no file', async () => {
    const { log, dir } = place();
    await log.close();
    expect(log.written).toBe(false);
    expect(existsSync(join(dir, 'node.log'))).toBe(false);
  });

  it('that cannot be written is an error when it is closed, and does not end the process before', async () => {
    const log = new NodeLog(join(makeWorkspace().dir, 'gone', 'node.log'), () => undefined);
    log.line('x');
    await sleep(50);
    log.line('y');
    await expect(log.close()).rejects.toMatchObject({
      code: 'io',
      message: expect.stringContaining('cannot write the log'),
    });
  });
});

describe('a command line', () => {
  it('is as a person would type it', () => {
    expect(commandLine(['qemu-img', 'convert', '-o', 'a=b', '/x y', "it's", ''])).toBe(
      `qemu-img convert -o a=b '/x y' 'it'\\''s' ''`,
    );
  });
});
