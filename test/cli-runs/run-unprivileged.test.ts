// The kind `run` for a user without rights: folders that may not be written to, and a sandbox by a namespace of users where the
// system gives one.
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { MAIN } from '../rig/places.js';

const NOBODY = 65534;

/** Whether others may read the program: a checkout may lie in somebody's home. */
function isForAll(path: string): boolean {
  if ((statSync(path).mode & 0o5) === 0) return false;
  return dirname(path) === path || isForAll(dirname(path));
}

async function asNobody(dir: string, args: readonly string[]) {
  const env = { PATH: process.env.PATH, HOME: dir, NO_COLOR: '1' };
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: dir, env, uid: NOBODY, gid: NOBODY });
  let printed = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
  const status = await new Promise((resolve) => child.on('close', resolve));
  return { status, printed };
}

it.skipIf(process.getuid?.() !== 0 || !isForAll(MAIN) || !isForAll(process.execPath))(
  'a user without rights runs programs, and gets rid of what they leave',
  async () => {
    const dir = mkdtempSync(join(tmpdir(), 'res-nobody-'));
    try {
      chownSync(dir, NOBODY, NOBODY);
      chmodSync(dir, 0o755);
      writeFileSync(join(dir, 'secret'), 'secret\n');
      writeFileSync(join(dir, 'input'), 'input\n');
      writeFileSync(
        join(dir, 'resources.yaml'),
        `res: 1
targets:
  good:
    run: |
      mkdir -p \${out}/ro keep; id -u > \${out}/uid; chmod 555 \${out}/ro keep
      cp \${in.i} \${out}/copy; ! echo x >> \${in.i}; cat ${dir}/secret > \${out}/secret || rm \${out}/secret
    inputs: { i: ./input }
    output: good
  bad: { run: "mkdir -p a/b; touch a/b/c; chmod -R 555 a; exit 1" }
`,
      );
      const built = await asNobody(dir, ['build', 'good']);
      expect(built.status, built.printed).toBe(0);
      expect(readFileSync(join(dir, 'resources/good/uid'), 'utf8')).toBe(`${NOBODY}\n`);
      expect(readFileSync(join(dir, 'resources/good/copy'), 'utf8')).toBe('input\n');
      const doctor = await asNobody(dir, ['doctor', '--offline']);
      const isConfined = /^ok\s+sandbox/m.test(doctor.printed);
      expect(statSync(join(dir, 'resources/good/secret'), { throwIfNoEntry: false }) === undefined).toBe(
        isConfined,
      );
      expect((await asNobody(dir, ['build', 'bad'])).status).toBe(1);
      const again = await asNobody(dir, ['build', 'bad']);
      expect(again.printed).toContain('bad: sh failed with exit status 1');
      expect((await asNobody(dir, ['gc'])).status).toBe(0);
      expect(statSync(join(dir, '.res/run/bad'), { throwIfNoEntry: false })).toBeUndefined();
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
  60_000,
);
