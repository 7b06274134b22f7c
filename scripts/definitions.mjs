// What the program knows of its command line (src/cli: commands, flags, around), for the man page and for docs/cli.md.
import { mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as esbuild from 'esbuild';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * The commands, each with its flags as commander has them; the flags that all take; environment, exit statuses, files.
 * The sources are compiled into a module of their own: dist/ has them in chunks.
 */
export async function definitions() {
  const { createProgram, commands, shownArguments, ...around } = await compiled();
  const program = createProgram([], [], process, async () => undefined);
  const shownFlags = (command) => program.createHelp().visibleOptions(command);
  const isCommon = (option) => option.helpGroupHeading === 'Common flags:';
  return {
    description: program.description(),
    version: program.version(),
    ...around,
    commands: commands.map((spec) => {
      const flags = shownFlags(program.commands.find((command) => command.name() === spec.name));
      return {
        ...spec,
        shown: shownArguments(spec),
        flags: flags.filter((option) => !isCommon(option)),
        common: flags.filter(isCommon),
      };
    }),
    common: shownFlags(program).filter(isCommon),
  };
}

async function compiled() {
  const folder = mkdtempSync(join(root, 'dist', '.build-definitions-'));
  try {
    const outfile = join(folder, 'definitions.mjs');
    await esbuild.build({
      absWorkingDir: root,
      stdin: {
        contents: `export { createProgram } from './src/cli/program.js';
          export { commands, shownArguments } from './src/cli/commands.js';
          export * from './src/cli/around.js';`,
        resolveDir: root,
        loader: 'ts',
      },
      outfile,
      bundle: true,
      platform: 'node',
      format: 'esm',
      // What a command does is not needed.
      plugins: [
        {
          name: 'definitions only',
          setup(build) {
            build.onResolve({ filter: /\/commands\/[a-z-]+\.js$/ }, () => ({ path: '/', external: true }));
          },
        },
      ],
      banner: {
        js: "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);",
      },
      define: { RES_BUILD: 'undefined' },
      logLevel: 'error',
    });
    return await import(pathToFileURL(outfile).href);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** `bring nodes up to date` as `Bring nodes up to date.` */
export function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.?!]$/.test(text) ? '' : '.'}`;
}
