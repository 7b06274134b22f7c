// The README is run: every shell block of it, in its order, by one shell in a copy of the checkout, as a reader would.
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { vswarmRelease } from './rig/images.js';
import { REPO_ROOT } from './rig/places.js';
import { type ReleaseServer, startReleaseServer } from './rig/release-server.js';

const README = readFileSync(join(REPO_ROOT, 'README.md'), 'utf8');
const BLOCKS = [...README.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block ?? '');
/** It would run this test; the script behind it is what runs now. */
const TESTS = 'npm test\n';

const REPO = 'vhive-serverless/vSwarm-u';

describe('the README', () => {
  let server: ReleaseServer;
  let checkout: string;

  beforeAll(async () => {
    server = await startReleaseServer({});
    const size = { sizeMiB: 16, dataMiB: 2 };
    const assets: Record<string, Awaited<ReturnType<typeof vswarmRelease>>['assets']> = {};
    for (const arch of ['amd64', 'arm64'] as const) {
      for (const version of ['v0.2.0', 'v0.3.0']) {
        const made = await vswarmRelease({
          version,
          os: 'focal',
          arch,
          seed: `${version}-${arch}`,
          partSize: 1 << 20,
          size,
        });
        assets[version] = { ...assets[version], ...made.assets };
      }
    }
    for (const [version, files] of Object.entries(assets)) await server.release(REPO, version, files);
    checkout = mkdtempSync(join(tmpdir(), 'res-readme-'));
    const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'], {
      cwd: REPO_ROOT,
      encoding: 'utf8',
    });
    for (const file of files.split('\0').filter(Boolean)) {
      cpSync(join(REPO_ROOT, file), join(checkout, file), { preserveTimestamps: true });
    }
    cpSync(join(REPO_ROOT, 'dist'), join(checkout, 'dist'), { recursive: true, preserveTimestamps: true });
  });

  afterAll(async () => {
    await server.close();
    rmSync(checkout, { recursive: true, force: true });
  });

  it('has the two commands first', () => {
    expect(BLOCKS[0]).toBe('./res doctor --fix --offline && ./res -C examples/quickstart build raw-disk\n');
    expect(BLOCKS[1]).toBe(TESTS);
    const ci = readFileSync(join(REPO_ROOT, '.ci', 'run'), 'utf8');
    expect(ci).toMatch(/^tests npm test$/m);
  });

  it('says only what works, command by command', { timeout: 180_000 }, async () => {
    const script = BLOCKS.filter((block) => block !== TESTS).join('\n');
    const { status, output } = await shell(`set -eux\n${script}`, checkout, server.apiUrl);
    expect(output).toContain('up to date');
    expect(output).toContain('kept');
    expect(status, output).toBe(0);
  });

  it('links only to what is there', () => {
    const links = [...README.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, link]) => link ?? '');
    expect(links.length).toBeGreaterThan(5);
    for (const link of links) expect(readFileSync(join(REPO_ROOT, link)).length, link).toBeGreaterThan(0);
  });
});

function shell(
  script: string,
  cwd: string,
  apiUrl: string,
): Promise<{ status: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn('sh', ['-c', script], {
      cwd,
      env: { PATH: process.env.PATH, HOME: cwd, LANG: 'C.UTF-8', GITHUB_API_URL: apiUrl, CI: 'true' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (text) => {
      output += text;
    });
    child.stderr.on('data', (text) => {
      output += text;
    });
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, output }));
  });
}
