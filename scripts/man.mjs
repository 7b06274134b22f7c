// Writes the man page from what the program knows of itself: its commands, their flags, the environment, exit statuses, files.
//   node scripts/man.mjs        man/res.1
//   node scripts/man.mjs -      to stdout
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as esbuild from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The definitions, compiled into a module of their own: dist/ has them in chunks. */
async function definitions() {
  const folder = mkdtempSync(join(root, 'dist', '.build-man-'));
  try {
    const outfile = join(folder, 'definitions.mjs');
    await esbuild.build({
      absWorkingDir: root,
      stdin: {
        contents: `export { createProgram } from './src/cli/program.js';
          export { commands } from './src/cli/commands.js';
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

/** The text of man/res.1. */
export async function manPage() {
  const { createProgram, commands, environment, exitStatuses, files } = await definitions();
  const program = createProgram([], [], process, async () => undefined);
  const common = (option) => option.helpGroupHeading === 'Common flags:';
  const commandNamed = (name) => program.commands.find((command) => command.name() === name);
  const lines = [
    `.\\" Written by scripts/man.mjs.`,
    `.TH RES 1 "" "${roff(program.version())}" "User Commands"`,
    '.SH NAME',
    'res \\- a make for disk images and experiment resources',
    '.SH SYNOPSIS',
    `.B res\n.I COMMAND\n.RI [ NODE ...]\n.RI [ flags ]`,
    '.SH DESCRIPTION',
    prose(program.description()),
    '.PP',
    prose(
      'The manifest is resources.yaml in the current folder or the nearest one above. Without a node, a command is about the nodes ' +
        'that the manifest names as its default ones; a group stands for its members. Each param of the manifest is a flag of the ' +
        'commands that are about a manifest, and stands in their --help.',
    ),
    '.SH COMMANDS',
    ...commands.flatMap(({ name, args, summary }) => [
      `.SS "${roff(['res', name, args.replace(/[<>]/g, '')].filter(Boolean).join(' '))}"`,
      prose(sentence(summary)),
      ...commandNamed(name)
        .options.filter((option) => !option.hidden && !common(option))
        .flatMap(flag),
    ]),
    '.SS "res help [COMMAND]"',
    'This help, or that of a command.',
    '.SH COMMON FLAGS',
    'Before the command or after it.',
    ...program.options
      .filter((option) => !option.hidden && common(option))
      .concat(commonOfCommands(program, common))
      .flatMap(flag),
    '.SH ENVIRONMENT',
    ...environment.flatMap(({ names, what }) =>
      item(names.map(bold).join(', '), what || 'As for other programs.'),
    ),
    '.SH EXIT STATUS',
    ...exitStatuses.flatMap(({ status, what }) => item(bold(String(status)), sentence(what))),
    '.SH FILES',
    ...files.flatMap(({ path, what }) => item(italic(path), sentence(what))),
    ...item(italic('~/.config/res/config.yaml'), 'What you want in all workspaces.'),
    '.SH EXAMPLES',
    ...item('res build', 'Bring the default nodes up to date.'),
    ...item(roff('res plan raw-disk'), 'What a build of one node would do, and why.'),
    ...item(roff('res build --arch arm64'), 'Build with another value of a param.'),
    ...item(roff('eval "$(res env)"'), 'Tell the shell where the outputs are.'),
    ...item(
      roff('source <(res completion bash)'),
      'Complete commands, flags, nodes and params in this shell.',
    ),
    '.SH SEE ALSO',
    '.BR qemu\\-img (1),\n.BR make (1)',
  ];
  return `${lines.join('\n')}\n`;
}

/** Common flags that only commands take, such as --matrix. */
function commonOfCommands(program, common) {
  const known = new Set(program.options.map(({ flags }) => flags));
  const found = new Map();
  for (const { options } of program.commands)
    for (const option of options)
      if (common(option) && !option.hidden && !known.has(option.flags)) found.set(option.flags, option);
  return [...found.values()];
}

function flag({ flags, description, argChoices }) {
  const term = flags
    .split(/(<[^>]*>)/)
    .map((part) => (part.startsWith('<') ? italic(part.slice(1, -1)) : bold(part)))
    .join('');
  const choices = argChoices ? ` One of ${argChoices.join(', ')}.` : '';
  return item(term, `${sentence(description)}${choices}`);
}

function item(term, text) {
  return ['.TP', term, prose(text)];
}

/** Words of the program in backquotes are bold. */
function prose(text) {
  const parts = text.split('`').map((part, i) => (i % 2 === 1 ? bold(part) : roff(part)));
  return safe(parts.join(''));
}

function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.?!]$/.test(text) ? '' : '.'}`;
}

function bold(text) {
  return text === '' ? '' : `\\fB${roff(text)}\\fR`;
}

function italic(text) {
  return `\\fI${roff(text)}\\fR`;
}

/** What roff reads in a text in its own way; signs beyond ASCII by their number. */
function roff(text) {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('"', '\\(dq')
    .replaceAll('~', '\\(ti')
    .replaceAll('^', '\\(ha')
    .replace(/[^ -~]/gu, (sign) => `\\[u${sign.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}]`);
}

/** A line must not begin like a request. */
function safe(line) {
  return /^[.']/.test(line) ? `\\&${line}` : line;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const page = await manPage();
  if (process.argv[2] === '-') process.stdout.write(page);
  else writeFileSync(join(root, 'man', 'res.1'), page);
}
