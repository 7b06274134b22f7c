import { it } from 'vitest';
import { load, folder, loadIn } from './workspace.js';
import { readLock, writeLock, lockPath, formatLock } from '../../src/manifest/lockfile.js';
import { loadManifest } from '../../src/manifest/load.js';
import { join } from 'node:path';
const t = (n: string, f: () => unknown) => { const s = performance.now(); f(); console.log(n, (performance.now() - s).toFixed(0)); };
it('x', async () => {
  for (const N of [10000, 100000]) {
  let s='res: 1\nparams: { v: { default: x } }\nartifacts:\n  n0: { path: x }\ntargets:\n';
  for(let i=1;i<=N;i++) s+= i%2? `  n${i}: { convert: n${i-1}, to: raw, output: "o/\${v}/${i}.raw" }\n`:`  n${i}:\n    merge: n${i-1}\n    output: o/${i}.bin\n`;
  const dir = folder({ 'resources.yaml': s });
  t(`load ${N}`, () => loadIn(dir));
  t(`again ${N} (parsed)`, () => loadIn(dir));
  const bad = folder({ 'resources.yaml': s.replaceAll('merge: n', 'merge: m') });
  t(`bad ${N}`, () => { try { loadIn(bad); } catch (e: any) { console.log(e.message); } });
  if (N>10000) break;
  const sources: any = {};
  for (let i = 0; i < N; i++) sources[`github:o/r@v1/asset-${i}`] = { tag: 'v1', files: [{ name: `asset-${i}`, url: `https://github.com/o/r/releases/download/v1/asset-${i}`, sha256: 'ab'.repeat(32), size: i }] };
  const file = lockPath(join(dir, 'resources.yaml'));
  await writeLock(file, { sources });
  t('readLock', () => readLock(file));
  t('readLock', () => readLock(file));
  const s2 = performance.now(); await writeLock(file, { sources }); console.log('write noop', performance.now() - s2);
  }
}, 100000);
