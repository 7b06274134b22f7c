// Makes a checkout ready to run: packages installed as package-lock.json says, dist/ compiled from the sources as they
// are. Does nothing when that holds. Runs before any package is there, so it uses Node's own modules only.
//   node scripts/ensure.mjs              with the development tools (npm test)
//   node scripts/ensure.mjs --omit=dev   without them, unless they are there already (./res)
import { accessSync, constants, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withLock } from './lock.mjs';
import { hasDevPackages, installPackages, packagesInstalled } from './packages.mjs';
import { beginStamp, isCurrent } from './stamp.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
const forTests = process.argv[2] !== '--omit=dev';
const say = (text) => process.stderr.write(`res: ${text}\n`);

/** To run res, dist/ is enough; to test it, the packages must be there as well. */
function isReady() {
  return isCurrent(root) && (!forTests || packagesInstalled(root, { dev: true }));
}

async function prepare() {
  if (isReady()) return;
  const compile = !isCurrent(root);
  const dev = forTests || hasDevPackages(root);
  const install = !packagesInstalled(root, { dev });
  const steps = [...(install ? ['installing packages (npm ci)'] : []), ...(compile ? ['compiling'] : [])];
  say(`${steps.join(' and ')} in ${root}`);
  if (install) await installPackages(root, { dev });
  // Imported only now: it needs the packages.
  if (compile) await (await import('./build.mjs')).build(root);
}

/** The launcher came here for new times with the same content: with a newer stamp it need not the next time. */
function renewStamp() {
  const stamp = beginStamp(root);
  if (isCurrent(root)) stamp.commit();
  else stamp.drop();
}

function isWritable() {
  try {
    mkdirSync(dist, { recursive: true });
    accessSync(dist, constants.W_OK);
    return true;
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS'].includes(error.code)) return false;
    throw error;
  }
}

process.on('SIGINT', () => process.exit(130));
process.on('SIGTERM', () => process.exit(143));
try {
  const ready = isReady();
  const writable = isWritable();
  if (ready && writable) renewStamp();
  if (!ready && !writable) {
    throw new Error(
      `${dist} is missing or older than the sources, and ${root} cannot be written.\n` +
        'Run ./res there once as a user who may write.',
    );
  }
  if (!ready) {
    await withLock(join(dist, '.lock'), prepare, (pid) =>
      say(`waiting for process ${pid}, which is installing or compiling`),
    );
  }
  // Tests and the type checker read src/, where dist/ being current is not enough.
  if (forTests) {
    await (await import('./validators.mjs')).generateValidators();
    await (await import('./web.mjs')).generateWebAssets();
  }
} catch (error) {
  say(error.message);
  process.exit(1);
}
