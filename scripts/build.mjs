// Compiles src/ to dist/: bundles with all packages inside, so that a start reads few files and an installed package
// has no dependencies to resolve.
//
// Start-up, measured on Node 20.20 where `node -e 0` takes 71 ms and an empty ES module 80 ms: bundled, commander and
// the rest of what every command needs add 7 ms. Loading undici costs 53 ms, execa 29 ms, yaml and listr2 12 ms each:
// what is imported with `import()` gets a chunk of its own and is read only where it is needed. Taking white space
// out gains 2 ms at most and makes stack traces useless, so it stays in.
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as esbuild from 'esbuild';
import { beginStamp, sourcesDigest } from './stamp.mjs';

/** Chunks of former builds stay this long: a process that was started before may still load them. */
const KEEP_CHUNKS_MS = 24 * 60 * 60 * 1000;

/** CommonJS packages in an ES module still call `require` for Node's own modules. */
const REQUIRE =
  "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);";

/**
 * Compiles the checkout at `root`. Every file is put in place by rename, entry points after what they import, and the
 * stamp last: at no moment is there a dist/ that does not run. Rejects when a source does not compile.
 */
export async function build(root) {
  const dist = join(root, 'dist');
  mkdirSync(dist, { recursive: true });
  const stamp = beginStamp(root);
  const staging = mkdtempSync(join(dist, '.build-'));
  try {
    await (await import('./validators.mjs')).generateValidators();
    await (await import('./web.mjs')).generateWebAssets().catch(explain);
    await bundle(root, staging).catch(explain);
    install(staging, dist);
    stamp.commit();
  } finally {
    stamp.drop();
    rmSync(staging, { recursive: true, force: true });
  }
  removeOldFiles(dist);
}

async function bundle(root, outdir) {
  await esbuild.build({
    absWorkingDir: root,
    entryPoints: {
      'cli/app': 'src/cli/main.ts',
      index: 'src/index.ts',
      'hash-worker': 'src/store/hash-worker.ts',
    },
    chunkNames: 'chunks/[name]-[hash]',
    outdir,
    bundle: true,
    splitting: true,
    packages: 'bundle',
    // Its build for Node asks for an environment variable, a system call of sorts, at each of the text's tokens; and as CommonJS,
    // all of it would be bundled.
    alias: { yaml: join(root, 'node_modules/yaml/browser/dist/index.js') },
    platform: 'node',
    target: 'node20',
    format: 'esm',
    banner: { js: REQUIRE },
    // What is kept between runs holds for one build of the program (src/cli/build-id.ts).
    define: {
      RES_BUILD: JSON.stringify(sourcesDigest(root)),
      RES_VERSION: JSON.stringify(
        JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version ?? null,
      ),
    },
    // For `node --enable-source-maps`; without it they cost nothing.
    sourcemap: 'linked',
    sourcesContent: false,
    logLevel: 'silent',
  });
  // What else the program reads (resources.yaml, schemas/) lies beside package.json, in a package as in a checkout.
  copyFileSync(join(root, 'scripts/boot.mjs'), join(outdir, 'cli/main.js'));
  chmodSync(join(outdir, 'cli/main.js'), 0o755);
}

/**
 * With the lines that are wrong: the message of esbuild's own error leaves out all but the first five.
 * Not with formatMessagesSync, which waits for a worker thread, for ever when that does not come up.
 */
async function explain(error) {
  if (error.errors === undefined) throw error;
  const lines = await esbuild.formatMessages(error.errors, { kind: 'error', color: false });
  throw new Error(`the sources do not compile:\n${lines.join('').trimEnd()}`);
}

/** Chunks first: their names hold their digest, so nothing that runs is replaced; then what imports them. */
function install(staging, dist) {
  for (const folder of ['chunks', 'cli', '.']) {
    mkdirSync(join(dist, folder), { recursive: true });
    for (const entry of readdirSync(join(staging, folder), { withFileTypes: true })) {
      if (entry.isFile()) renameSync(join(staging, folder, entry.name), join(dist, folder, entry.name));
    }
  }
}

function removeOldFiles(dist) {
  const former = [
    ...readdirSync(join(dist, 'chunks')).map((name) => join(dist, 'chunks', name)),
    // Left by a build that was killed.
    ...readdirSync(dist)
      .filter((name) => /^\.(build-|stamp\.)/.test(name))
      .map((name) => join(dist, name)),
  ];
  const limit = Date.now() - KEEP_CHUNKS_MS;
  for (const path of former) {
    if (existsSync(path) && statSync(path).mtimeMs < limit) rmSync(path, { recursive: true, force: true });
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await build(dirname(dirname(fileURLToPath(import.meta.url)))).catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
