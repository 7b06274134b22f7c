// `res doctor`: what res needs, how it is, what to do about it. A broken manifest, lock or state is a finding here.
import { constants, existsSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import { execa } from 'execa';
import { findSandbox, SANDBOX_HINT, sandboxMode } from '../../execute/sandbox.js';
import { ResError } from '../../model/error.js';
import type { Graph } from '../../model/graph.js';
import { makerOf } from '../../plan/registry.js';
import { findProgram } from '../../plan/tools.js';
import { openWorkspace, type Workspace } from '../../plan/workspace.js';
import { type Check, doctorJson, doctorText } from '../../report/doctor.js';
import { count } from '../../report/format.js';
import { ownsStore, storePlace, workspacePaths } from '../../store/paths.js';
import { registrations } from '../../store/registry.js';
import { userConfigFile } from '../../store/user-config.js';
import type { Context } from '../context.js';
import { checkFileSystem } from '../doctor/file-system.js';
import { apiUrl, checkNetwork, checkProxy, checkToken } from '../doctor/network.js';
import { installQemuImg, missingQemuImg, type System } from '../doctor/packages.js';
import { loadContextGraph } from '../load.js';

export async function run(context: Context): Promise<number> {
  const { flags, out, err } = context;
  const system = systemOf(context);
  if (flags.fix && system.which('qemu-img') === undefined)
    await installQemuImg(system, (line) => err.line(line));
  const checks = await examine(context, system);
  if (flags.json) out.json(doctorJson(checks));
  else out.lines(doctorText(checks, out.page));
  return doctorJson(checks).ok ? 0 : 1;
}

async function examine(context: Context, system: System): Promise<readonly Check[]> {
  const { graph, check: manifest } = await examineManifest(context);
  const dir = graph ? dirname(graph.manifest.file) : context.dir;
  return [
    { name: 'node', state: 'ok', detail: `${process.version}, ${process.execPath}`, hint: null },
    await examineQemuImg(context, system, graph),
    ...(graph ? await Promise.all(examineSourcePrograms(context, system, graph)) : []),
    await examineSandbox(context),
    ...(await checkFileSystem(dir)),
    ...(await examineNetwork(context)),
    manifest,
    await examineStore(context, dir),
    ...(graph ? examineRecords(context, graph) : []),
  ];
}

async function examineManifest(context: Context): Promise<{ graph: Graph | undefined; check: Check }> {
  const name = 'manifest';
  try {
    const graph = await loadContextGraph(context);
    const { file } = graph.manifest;
    const detail = `${context.out.page.path(file)}, ${count(graph.nodes.size, 'node')}`;
    return { graph, check: { name, state: 'ok', detail, hint: null } };
  } catch (error) {
    if (!(error instanceof ResError)) throw error;
    const missing = error.code === 'manifest-not-found';
    const [first] = error.diagnostics;
    const where = first?.location ? `${first.location.file}:${first.location.line}: ` : '';
    const detail = first ? `${error.message}: ${where}${first.message}` : error.message;
    const hint = missing
      ? (error.hint ?? null)
      : (first?.hint ?? error.hint ?? '`res list` shows all errors.');
    return { graph: undefined, check: { name, state: missing ? 'warn' : 'fail', detail, hint } };
  }
}

async function examineQemuImg({ env }: Context, system: System, graph: Graph | undefined): Promise<Check> {
  const path = system.which('qemu-img');
  if (path === undefined) return missingQemuImg(system, graph === undefined || needsQemuImg(graph));
  return examineProgram(env, 'qemu-img', path);
}

/** Programs by which the manifest's sources fetch. */
function examineSourcePrograms(
  { env }: Context,
  system: System,
  { nodes }: Graph,
): readonly Promise<Check>[] {
  const programs = [...nodes.values()].flatMap((node) => {
    const maker = makerOf(node);
    return maker.is === 'source' ? (maker.source.programs ?? []) : [];
  });
  return [...new Set(programs)].map(async (name): Promise<Check> => {
    const path = system.which(name);
    if (path !== undefined) return examineProgram(env, name, path);
    const hint = "Install it with the system's package manager.";
    return {
      name,
      state: 'fail',
      detail: 'not on PATH; the manifest has artifacts that are fetched by it',
      hint,
    };
  });
}

async function examineProgram(env: Context['env'], name: string, path: string): Promise<Check> {
  const result = await execa(path, ['--version'], {
    stdin: 'ignore',
    reject: false,
    timeout: 10_000,
    extendEnv: false,
    env: { PATH: env.PATH, HOME: env.HOME, LANG: 'C.UTF-8' },
  });
  const { failed, stdout, stderr } = result;
  const [said = ''] = (failed ? stderr || stdout || howItEnded(result) : stdout).split('\n', 1);
  return {
    name,
    state: failed ? 'fail' : 'ok',
    detail: failed
      ? `${path} does not run: ${said}`
      : `${said.replace(new RegExp(`^${name} version `), '')}, ${path}`,
    hint: failed ? "Install it anew with the system's package manager." : null,
  };
}

/** Which one programs of `run` are confined by here. */
async function examineSandbox({ env }: Context): Promise<Check> {
  const name = 'sandbox';
  try {
    const mode = sandboxMode(env);
    const found = await findSandbox(env);
    if (mode === 'off')
      return {
        name,
        state: 'warn',
        detail: 'switched off by RES_SANDBOX',
        hint: found ? `${found.name} works here.` : null,
      };
    if (found) return { name, state: 'ok', detail: found.name, hint: null };
    const detail =
      'none works here: what `run` reads undeclared is not noticed, `network: false` not enforced';
    return { name, state: mode === 'require' ? 'fail' : 'warn', detail, hint: SANDBOX_HINT };
  } catch (error) {
    if (!(error instanceof ResError)) throw error;
    return { name, state: 'fail', detail: error.message, hint: error.hint ?? null };
  }
}

function howItEnded({ exitCode, signal }: { readonly exitCode?: number; readonly signal?: string }): string {
  return exitCode === undefined ? `stopped by ${signal ?? 'the system'}` : `exit status ${exitCode}`;
}

function needsQemuImg({ nodes }: Graph): boolean {
  return [...nodes.values()].some((node) => {
    const maker = makerOf(node);
    return maker.is === 'kind' && maker.kind.tools(node.recipe).includes('qemu-img');
  });
}

async function examineNetwork({ env, flags }: Context): Promise<readonly Check[]> {
  try {
    const url = apiUrl(env);
    const proxy = checkProxy(env, url);
    const network: Check =
      flags.offline || proxy.state === 'fail'
        ? { name: 'network', state: 'ok', detail: `not asked (${url.host})`, hint: null }
        : await checkNetwork(env, url);
    return [network, proxy, checkToken(env)];
  } catch (error) {
    if (!(error instanceof ResError)) throw error;
    return [
      { name: 'network', state: 'fail', detail: error.message, hint: error.hint ?? null },
      checkToken(env),
    ];
  }
}

async function examineStore({ env, out }: Context, dir: string): Promise<Check> {
  const name = 'store';
  try {
    const { path, by } = storePlace(dir, env);
    const config = userConfigFile(env) ?? '';
    const says = { RES_STORE: 'RES_STORE', config: out.page.path(config), default: 'the default' }[by];
    const users = ownsStore(workspacePaths(dir, env)) ? 0 : (await registrations(path)).length;
    const detail = `${out.page.path(path)} (${says})${users < 2 ? '' : `, used by ${users} workspaces`}`;
    if (existsSync(path)) await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
    return { name, state: 'ok', detail, hint: null };
  } catch (error) {
    if (error instanceof ResError) return { name, state: 'fail', ...firstProblem(error) };
    const why = error instanceof Error ? error.message : String(error);
    const hint = 'Make it writable for you, or set RES_STORE to another folder.';
    return { name, state: 'fail', detail: `cannot be used: ${why}`, hint };
  }
}

/** Of a file with something wrong, or of anything else. */
function firstProblem(error: ResError): Pick<Check, 'detail' | 'hint'> {
  const [first] = error.diagnostics;
  const detail = first?.location
    ? `${first.location.file}:${first.location.line}: ${first.message}`
    : error.message;
  return { detail, hint: first?.hint ?? error.hint ?? null };
}

function examineRecords({ env, out }: Context, graph: Graph): readonly Check[] {
  try {
    const workspace = openWorkspace({ graph, env });
    const remote = [...graph.nodes.values()].flatMap((node) => {
      const maker = makerOf(node);
      return maker.is === 'source' && maker.source.place === 'remote'
        ? [maker.source.identity(node.recipe)]
        : [];
    });
    const unlocked = new Set(remote.filter((identity) => !workspace.lock.has(identity)));
    const lock = lockCheck(workspace, unlocked.size, out.page.path(workspace.lockFile));
    const { damage } = workspace.state;
    const state: Check = {
      name: 'state',
      state: damage.length === 0 ? 'ok' : 'warn',
      detail:
        damage.length === 0 ? `${count(workspace.state.traces.size, 'result')} known` : damage.join('; '),
      hint: damage.length === 0 ? null : 'What was lost is found out again by the next build.',
    };
    return [lock, state];
  } catch (error) {
    if (!(error instanceof ResError)) throw error;
    // A bad configuration has been told of the store, which it is about.
    return error.code === 'config-invalid' ? [] : [{ name: 'lock', state: 'fail', ...firstProblem(error) }];
  }
}

function lockCheck({ lock, lockFile }: Workspace, unlocked: number, shown: string): Check {
  const there = existsSync(lockFile);
  const missing = unlocked === 0 ? '' : `, ${unlocked} of this variant not locked yet`;
  const none = unlocked === 0 ? 'none, and none is needed' : `there is no ${shown} yet`;
  return {
    name: 'lock',
    state: 'ok',
    detail: there ? `${count(lock.size, 'source')} in ${shown}${missing}` : none,
    hint:
      unlocked === 0
        ? null
        : `The next build ${there ? 'locks them' : 'writes it'}: keep the file in version control.`,
  };
}

function systemOf({ env }: Context): System {
  return {
    isRoot: process.getuid?.() === 0,
    which: (program) => findProgram(program, env),
    async run([program, ...args]) {
      // stdout carries the answer of doctor: what the package manager says goes to stderr.
      const { exitCode } = await execa(program, args, {
        stdin: 'inherit',
        stdout: process.stderr,
        stderr: 'inherit',
        reject: false,
        extendEnv: false,
        env: { ...env },
      });
      return exitCode ?? null;
    },
  };
}
