// The man page is what the definitions of the commands give, is in the package, and is read by roff without a complaint.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { commands } from '../src/cli/commands.js';
import { REPO_ROOT } from './rig/places.js';
import { has, tool } from './rig/tools.js';

const FILE = join(REPO_ROOT, 'man', 'res.1');
const TEXT = readFileSync(FILE, 'utf8');

/** The page as a terminal of so many columns shows it, without bold and underlined letters. */
function rendered(columns: number): { text: string; complaints: string } {
  const flags = ['-man', '-Tutf8', '-ww', `-rLL=${columns}n`, '-P-c'];
  const { stdout, stderr } = spawnSync('groff', [...flags, FILE], { encoding: 'utf8' });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: how a typewriter writes bold and underlined letters
  return { text: stdout.replace(/.\x08/g, ''), complaints: stderr };
}

describe('the man page', () => {
  it('is that of the definitions (`node scripts/man.mjs` renews it)', async () => {
    const page = await tool([process.execPath, join(REPO_ROOT, 'scripts/man.mjs'), '-']);
    expect(TEXT).toBe(page);
  });

  it('lies in the package, where npm and man find it', () => {
    const { man, files }: { man?: string; files: readonly string[] } = JSON.parse(
      readFileSync(join(REPO_ROOT, 'package.json'), 'utf8'),
    );
    expect(join(REPO_ROOT, man ?? '')).toBe(FILE);
    expect(files).toContain('man');
  });

  it.skipIf(!has('groff')).each([40, 80, 200])('is rendered without a warning at %i columns', (columns) => {
    const { text, complaints } = rendered(columns);
    expect(complaints).toBe('');
    expect(text.match(/^[A-Z].*/gm)).toEqual(
      expect.arrayContaining(['NAME', 'COMMANDS', 'EXIT STATUS', 'FILES']),
    );
    for (const { name } of commands) expect(text).toMatch(new RegExp(`^ +res ${name}\\b`, 'm'));
  });

  it.skipIf(!has('groff'))('shows signs as they are typed', () => {
    const { text } = rendered(200);
    expect(text).toContain('eval "$(res env)"');
    expect(text).toContain('--matrix NAME=VALUE,...');
    expect(text).toContain('~/.config/res/config.yaml');
  });
});
