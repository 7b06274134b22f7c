// Takes the pictures of the documentation anew: docs/images/{graph,report,ui}.png. Builds a small set of images from a
// server on this machine that is slow enough to be looked at, and opens the pages in the system's Chromium.
//
//   node scripts/screenshots.mjs
import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { chromium } from 'playwright-core';
import { build } from './build.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const RES = join(ROOT, 'dist/cli/main.js');
const IMAGES = join(ROOT, 'docs/images');
const BROWSERS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const MIB = 1024 ** 2;
/** Of the slow server, bytes at a time and ms between them. */
const PIECE = 64 * 1024;
const PAUSE_MS = 20;
const LONG_PAUSE_MS = 150;

/** Half noise, half zeros, as an image is. */
function imageBytes(size) {
  return Buffer.concat([randomBytes(size / 2), Buffer.alloc(size / 2)]);
}

const packed = gzipSync(imageBytes(8 * MIB));
const third = Math.ceil(packed.length / 3);
const files = new Map([
  ['vmlinux-focal-amd64', imageBytes(2 * MIB)],
  ['test-client-amd64', imageBytes(MIB)],
  ...[0, 1, 2].map((i) => [`disk-image-amd64.gz.a${'abc'[i]}`, packed.subarray(i * third, (i + 1) * third)]),
]);
const sums = [...files].map(
  ([name, bytes]) => `${createHash('sha256').update(bytes).digest('hex')}  ${name}\n`,
);
files.set('sums.txt', Buffer.from(sums.join('')));

const server = createServer(async (request, response) => {
  const bytes = files.get(request.url?.slice(1) ?? '');
  if (!bytes) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { 'content-length': bytes.length });
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  for (let at = 0; at < bytes.length && !response.destroyed; at += PIECE) {
    response.write(bytes.subarray(at, at + PIECE));
    await sleep(request.url?.includes('disk') ? LONG_PAUSE_MS : PAUSE_MS);
  }
  response.end();
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
const url = (name) => `http://127.0.0.1:${server.address().port}/${name}`;

const manifest = `res: 1
name: vSwarm-u images
params:
  arch: { default: amd64 }
artifacts:
  kernel-file: { url: "${url('vmlinux-focal-amd64')}", verify: { sums: sums } }
  client-file: { url: "${url('test-client-amd64')}", verify: { sums: sums } }
  disk-parts: { parts: [${[...'abc'].map((letter) => `{ url: "${url(`disk-image-amd64.gz.a${letter}`)}" }`).join(', ')}] }
  sums: { url: "${url('sums.txt')}" }
targets:
  kernel: { copy: kernel-file, output: kernel, description: Linux 5.4.84 }
  client: { copy: client-file, output: client, executable: true }
  merged: { merge: disk-parts }
  disk: { decompress: merged, output: disk-image.raw }
  everything: { merge: [kernel, client, disk], output: everything.img }
default: [everything]
`;

const folder = mkdtempSync(join(tmpdir(), 'res-screenshots-'));
const work = join(folder, 'images');
let browser;
let ui;
try {
  await build(ROOT);
  const executablePath = BROWSERS.find((path) => existsSync(path));
  if (executablePath === undefined) throw new Error('there is no Chromium: apt-get install chromium');
  mkdirSync(IMAGES, { recursive: true });
  mkdirSync(work);
  writeFileSync(join(work, 'resources.yaml'), manifest);
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });

  ui = spawn(process.execPath, [RES, '-C', work, 'ui', '-q'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const address = await new Promise((resolve, reject) => {
    ui.stdout.once('data', (text) => resolve(String(text).trim()));
    ui.once('exit', () => reject(new Error('res ui has ended')));
  });
  const live = await open(address, { height: 960 });
  await live.locator('#build').click();
  await live.locator('g.box.s-running', { hasText: 'disk-parts' }).waitFor();
  await live.locator('#log', { hasText: 'client' }).waitFor();
  await live.locator('g.box', { hasText: 'merged' }).click();
  await live.locator('.details pre', { hasText: 'never built' }).waitFor();
  await shoot(live, 'ui');
  await live.locator('#status', { hasText: /^done/ }).waitFor({ timeout: 60_000 });

  // A second build, with something to say of what has changed.
  rmSync(join(work, 'resources/everything.img'));
  writeFileSync(
    join(work, 'resources.yaml'),
    manifest.replace('[kernel, client, disk]', '[client, kernel, disk]'),
  );
  await shoot(await open(write('graph.html', ['graph', '--format', 'html']), { height: 470 }), 'graph');
  const [first] = JSON.parse(res(['history', '--json'])).builds;
  const report = await open(write('report.html', ['report', first.id]), { height: 860, colorScheme: 'dark' });
  await shoot(report, 'report');
} finally {
  ui?.kill('SIGINT');
  await browser?.close();
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
}

function res(args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [RES, '-C', work, ...args], {
    encoding: 'utf8',
    maxBuffer: 64 * MIB,
  });
  if (status !== 0) throw new Error(`res ${args.join(' ')}: ${stderr}`);
  return stdout;
}

function write(name, args) {
  const path = join(folder, name);
  writeFileSync(path, res(args));
  return pathToFileURL(path).href;
}

async function open(address, { height, colorScheme = 'light' }) {
  const page = await browser.newPage({ viewport: { width: 1100, height }, colorScheme });
  await page.goto(address);
  return page;
}

async function shoot(page, name) {
  await page.screenshot({ path: join(IMAGES, `${name}.png`) });
  console.log(`docs/images/${name}.png`);
}
