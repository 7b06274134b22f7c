// The user's configuration: where it lies, what it may say, and what is said of one that is wrong.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { formatDiagnostic } from '../../src/manifest/diagnostics.js';
import type { Env } from '../../src/model/env.js';
import { ResError } from '../../src/model/error.js';
import { storePlace, workspacePaths } from '../../src/store/paths.js';
import { readUserConfig, type UserConfig, userConfigFile } from '../../src/store/user-config.js';
import { validator } from '../rig/schemas.js';
import { tempDir } from './temp.js';

interface Home {
  readonly dir: string;
  readonly env: Env;
}

function home(config?: string): Home {
  const dir = tempDir();
  if (config !== undefined) {
    mkdirSync(join(dir, '.config', 'res'), { recursive: true });
    writeFileSync(join(dir, '.config', 'res', 'config.yaml'), config);
  }
  return { dir, env: { HOME: dir } };
}

function read(config: string): UserConfig {
  const { dir, env } = home(config);
  return readUserConfig(env, join(dir, '.config', 'res'));
}

/** As they are printed, with paths from the folder of the file. */
function complaints(config: string): string {
  try {
    read(config);
  } catch (error) {
    if (!(error instanceof ResError)) throw error;
    expect(error).toMatchObject({ code: 'config-invalid', exitStatus: 2 });
    return error.diagnostics.map(formatDiagnostic).join('\n');
  }
  throw new Error('nothing was found wrong');
}

describe('the configuration', () => {
  it('lies below XDG_CONFIG_HOME, else in ~/.config; a relative one counts as none', () => {
    expect(userConfigFile({ HOME: '/home/ada' })).toBe('/home/ada/.config/res/config.yaml');
    expect(userConfigFile({ HOME: '/home/ada', XDG_CONFIG_HOME: '/etc/ada' })).toBe(
      '/etc/ada/res/config.yaml',
    );
    expect(userConfigFile({ HOME: '/home/ada', XDG_CONFIG_HOME: 'here' })).toBe(
      '/home/ada/.config/res/config.yaml',
    );
    expect(userConfigFile({ XDG_CONFIG_HOME: '', HOME: '' })).toBeUndefined();
  });

  it('need not be there', () => {
    expect(readUserConfig({})).toEqual({});
    expect(readUserConfig(home().env)).toEqual({});
    // As of users that are no people.
    expect(readUserConfig({ HOME: '/dev/null' })).toEqual({});
  });

  it.each(['', '# nothing yet\n', '{}', 'gc:\n', 'gc: {}\n'])('may say nothing: %j', (text) => {
    const { gc = {}, ...rest } = read(text);
    expect([gc, rest]).toEqual([{}, {}]);
  });

  it('says where the store lies: absolute, in the home folder, or from its own folder', () => {
    const { dir, env } = home('store: ~/big/store\n');
    expect(readUserConfig(env).store).toBe(join(dir, 'big/store'));
    expect(read('store: /srv/res\n')).toEqual({ store: '/srv/res' });
    const near = home('store: ../../near\n');
    expect(readUserConfig(near.env).store).toBe(join(near.dir, 'near'));
    const own = home('store: "~"\n');
    expect(readUserConfig(own.env).store).toBe(own.dir);
  });

  it.each([
    ['{ keep-days: 30, max-size: 2G }', { keepDays: 30, maxSize: 2 * 1024 ** 3 }],
    ['{ keep-days: 0, max-size: 0 }', { keepDays: 0, maxSize: 0 }],
    ['{ max-size: 1.5T }', { maxSize: 1.5 * 1024 ** 4 }],
    ['{ max-size: 500 MiB }', { maxSize: 500 * 1024 ** 2 }],
    ['{ max-size: "1048576" }', { maxSize: 1024 ** 2 }],
  ])('says what gc keeps: %s', (gc, limits) => {
    expect(read(`gc: ${gc}\n`)).toEqual({ gc: limits });
  });

  it('points at what is wrong, all of it at once', () => {
    expect(complaints('stor: /srv/res\ngc:\n  keep-days: soon\n  max-size: 5 apples\n  max: 3\n')).toBe(
      `config.yaml:1:1: error: unknown key \`stor\`
  stor: /srv/res
  ^~~~
  hint: did you mean \`store\`?
config.yaml:3:14: error: expected a number of days, found \`soon\`
    keep-days: soon
               ^~~~
config.yaml:4:13: error: expected a size: 500M, 2G, 1.5T, or bytes, found \`5 apples\`
    max-size: 5 apples
              ^~~~~~~~
  hint: what the store may take on disk; units are of 1024
config.yaml:5:3: error: unknown key \`max\`
    max: 3
    ^~~
  hint: did you mean \`max-size\`?`,
    );
  });

  it.each([
    ['store: [a]', /^config\.yaml:1:1: error: expected a path: \S+, or \S+, found a list\n/],
    ['store:', /^config\.yaml:1:1: error: expected a path: .*, found nothing\n/],
    ['store: ""', /expected a path: .*, found empty text\n/],
    ['store: ~bob/res', /^config\.yaml:1:8: error: expected a path: .*, found `~bob\/res`\n/],
    ['store: "a\\0b"', /expected a path/],
    ['gc: { keep-days: -1 }', /^config\.yaml:1:18: error: expected a number of days, found the number -1\n/],
    ['gc: { max-size: 2.5 }', /expected a size: .*, found the number 2\.5\n/],
    ['gc: { max-size: 999999999999999P }', /^config\.yaml:1:17: error: there are no disks of that size\n/],
    ['gc: 30', /expected a map: \{ keep-days\?, max-size\? \}, found the number 30\n/],
    ['- store', /expected a configuration/],
    ['store: a: b', /^config\.yaml:1:/],
    ['store: /a\nstore: /b', /^config\.yaml:2:1: error: /],
  ])('says what is wrong with %j', (text, words) => {
    expect(complaints(text)).toMatch(words);
  });

  it('does not guess a home folder', () => {
    const { dir } = home();
    mkdirSync(join(dir, 'res'));
    writeFileSync(join(dir, 'res', 'config.yaml'), 'store: ~/x\n');
    expect(() => readUserConfig({ XDG_CONFIG_HOME: dir })).toThrow(
      expect.objectContaining({ code: 'config-invalid' }),
    );
  });

  it('that is a folder, or may not be read, is no configuration', () => {
    const { dir, env } = home('');
    const unreadable = home('store: /srv/res');
    chmodSync(join(unreadable.dir, '.config/res/config.yaml'), 0);
    mkdirSync(join(dir, 'x/res/config.yaml'), { recursive: true });
    const folder = { ...env, XDG_CONFIG_HOME: join(dir, 'x') };
    for (const [where, words] of [
      [folder, /cannot read .*config\.yaml: it is a folder/],
      ...(process.getuid?.() === 0 ? [] : ([[unreadable.env, /no permission/]] as const)),
    ] as const) {
      expect(() => readUserConfig(where)).toThrow(
        expect.objectContaining({
          code: 'config-invalid',
          diagnostics: [expect.objectContaining({ message: expect.stringMatching(words) })],
        }),
      );
    }
  });

  it('moves the store of every workspace; RES_STORE wins', () => {
    const { dir, env } = home('store: ~/store\n');
    const path = join(dir, 'store');
    expect(storePlace('/m', env)).toEqual({ path, by: 'config' });
    expect(workspacePaths('/m', env)).toMatchObject({ root: '/m/.res', store: path });
    expect(storePlace('/m', { ...env, RES_STORE: '../own' })).toEqual({ path: '/own', by: 'RES_STORE' });
    expect(storePlace('/m', home().env)).toEqual({ path: '/m/.res/store', by: 'default' });
  });
});

describe('schemas/config.schema.json', () => {
  it.each([
    ['store: /srv/res\ngc: { keep-days: 30, max-size: 50G }', true],
    ['gc: { max-size: 1024 }', true],
    ['gc: { max-size: 1 GB }', false],
    ['sotre: x', false],
  ])('thinks of %j as res does', (text, good) => {
    expect(validator('config')(parse(text)).length === 0).toBe(good);
    if (good) read(text);
    else complaints(text);
  });
});
