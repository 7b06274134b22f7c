// A GitHub Actions workflow, run on this machine as runners run it: every push on a new one, with nothing but what is committed
// and what the cache action kept. It has the actions and expressions that the guide has, and throws at any other.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { REPO_ROOT } from './places.js';

const runFile = promisify(execFile);

type Env = Readonly<Record<string, string>>;

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Job {
  readonly 'runs-on': string;
  readonly steps: readonly Step[];
}

export interface Runners {
  /** Runs the one job of a workflow on what the repository has committed, and resolves with its log. */
  push(repository: string, workflow: string): Promise<string>;
}

interface Run {
  readonly repository: string;
  readonly workspace: string;
  readonly env: Env & { readonly GITHUB_PATH: string };
  /** What is done when all steps are. */
  readonly after: (() => Promise<void>)[];
  tell(line: string): void;
}

/** @param folder where the runners' files lie, and the caches in between */
export function startRunners(folder: string, env: Env): Runners {
  const caches = join(folder, 'caches');
  mkdirSync(caches, { recursive: true });
  return {
    async push(repository, workflow) {
      const machine = join(folder, 'runner');
      rmSync(machine, { recursive: true, force: true });
      const workspace = join(machine, 'work');
      mkdirSync(join(machine, 'home'), { recursive: true });
      let log = '';
      const run: Run = {
        repository,
        workspace,
        env: {
          ...env,
          CI: 'true',
          HOME: join(machine, 'home'),
          GITHUB_WORKSPACE: workspace,
          GITHUB_PATH: join(machine, 'path'),
        },
        after: [],
        tell: (line) => {
          log += `${line}\n`;
        },
      };
      const job = onlyJob(readFileSync(workflow, 'utf8'));
      for (const step of job.steps) await perform(step, run, caches);
      for (const after of run.after) await after();
      return log;
    },
  };
}

function onlyJob(text: string): Job {
  const jobs: readonly Job[] = Object.values(parse(text).jobs);
  const [job] = jobs;
  if (job === undefined || jobs.length > 1) throw new Error('a workflow of one job is expected');
  if (!job['runs-on'].startsWith('ubuntu-')) throw new Error(`no runner is called ${job['runs-on']}`);
  return job;
}

async function perform(step: Step, run: Run, caches: string): Promise<void> {
  const action = step.uses?.replace(/@v\d+$/, '');
  if (step.run !== undefined) await runScript(step.run, run);
  else if (action === 'actions/checkout') await checkout(step.with ?? {}, run);
  else if (action === 'actions/cache') await cache(step.with ?? {}, run, caches);
  // Node.js is the one that the tests run on.
  else if (action !== 'actions/setup-node') throw new Error(`no action is called ${step.uses}`);
}

/** Rejects with what was printed when the step fails. */
async function runScript(script: string, { env, workspace, tell }: Run): Promise<void> {
  const added = existsSync(env.GITHUB_PATH) ? readFileSync(env.GITHUB_PATH, 'utf8').trim().split('\n') : [];
  tell(`Run ${script.trim()}`);
  const { stdout } = await runFile('bash', ['-e', '-c', `{ ${script}\n} 2>&1`], {
    cwd: workspace,
    env: { ...env, PATH: [...added.reverse(), env.PATH].join(':') },
    timeout: 60_000,
  }).catch(({ message, stdout }) => Promise.reject(new Error(`${message}\n${stdout}`)));
  if (stdout !== '') tell(stdout.trimEnd());
}

async function checkout(options: Readonly<Record<string, unknown>>, run: Run): Promise<void> {
  // The only other repository that a workflow of the guide takes is this one.
  if (typeof options.path === 'string') {
    const place = join(run.workspace, options.path);
    mkdirSync(dirname(place), { recursive: true });
    symlinkSync(REPO_ROOT, place);
  } else await runFile('git', ['clone', '-q', run.repository, run.workspace], { env: run.env });
}

/** A cache is never written again under its key; another one whose key begins with a restore key stands in for it. */
async function cache(options: Readonly<Record<string, unknown>>, run: Run, caches: string): Promise<void> {
  const { workspace, tell, env } = run;
  const key = fill(String(options.key), workspace);
  const prefixes = fill(String(options['restore-keys'] ?? ''), workspace)
    .split('\n')
    .filter(Boolean);
  const newest = readdirSync(caches).sort(
    (a, b) => statSync(join(caches, b)).mtimeMs - statSync(join(caches, a)).mtimeMs,
  );
  const hit = [key, ...prefixes].flatMap((start) =>
    newest.filter((name) => (start === key ? name === key : name.startsWith(start))),
  )[0];
  tell('Run actions/cache');
  if (hit === undefined) tell(`Cache not found for key: ${key}`);
  else {
    await runFile('tar', ['-xzf', join(caches, hit), '-C', workspace], { env });
    tell(`Cache restored from key: ${hit}`);
  }
  if (hit === key) return;
  run.after.push(async () => {
    const paths = String(options.path)
      .split('\n')
      .filter((path) => path !== '' && existsSync(join(workspace, path)));
    await runFile('tar', ['--posix', '-czf', join(caches, key), '-C', workspace, ...paths], { env });
    tell(`Cache saved with key: ${key}`);
  });
}

function fill(text: string, workspace: string): string {
  return text.replace(/\$\{\{\s*(.*?)\s*\}\}/g, (_, expression: string) => {
    if (expression === 'runner.os') return 'Linux';
    const files = /^hashFiles\((.*)\)$/.exec(expression)?.[1];
    if (files === undefined) throw new Error(`what is ${expression}?`);
    const total = createHash('sha256');
    for (const [, name = ''] of files.matchAll(/'([^'*?]+)'/g))
      if (existsSync(join(workspace, name)))
        total.update(
          createHash('sha256')
            .update(readFileSync(join(workspace, name)))
            .digest(),
        );
    return total.digest('hex');
  });
}
