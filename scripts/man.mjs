// Writes the man page from what the program knows of itself: its commands, their flags, the environment, exit statuses, files.
//   node scripts/man.mjs        man/res.1
//   node scripts/man.mjs -      to stdout
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { definitions, root, sentence } from './definitions.mjs';

/** The text of man/res.1. */
async function manPage() {
  const { description, version, commands, common, environment, exitStatuses, files } = await definitions();
  const lines = [
    `.\\" Written by scripts/man.mjs.`,
    `.TH RES 1 "" "${roff(version)}" "User Commands"`,
    '.SH NAME',
    'res \\- a make for disk images and experiment resources',
    '.SH SYNOPSIS',
    `.B res\n.I COMMAND\n.RI [ NODE ...]\n.RI [ flags ]`,
    '.SH DESCRIPTION',
    prose(description),
    '.PP',
    prose(
      'The manifest is resources.yaml in the current folder or the nearest one above. Without a node, a command is about the nodes ' +
        'that the manifest names as its default ones; a group stands for its members. Each param of the manifest is a flag of the ' +
        'commands that are about a manifest, and stands in their --help.',
    ),
    '.SH COMMANDS',
    ...commands.flatMap(commandText),
    '.SS "res help [COMMAND]"',
    'This help, or that of a command.',
    '.SH COMMON FLAGS',
    'Before the command or after it.',
    ...[...common, ...commonOfCommands(commands, common)].flatMap(flag),
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

function commandText({ name, shown, args, summary, flags, exits = [], examples }) {
  return [
    `.SS "${roff(['res', name, ...shown].join(' '))}"`,
    prose(sentence(summary)),
    ...args.flatMap(({ about }, i) => item(italic(shown[i].replace(/[[\]]/g, '')), sentence(about))),
    ...flags.flatMap(flag),
    ...exits.flatMap(({ status, what }) => item(`Exit status ${bold(String(status))}`, sentence(what))),
    ...examples.flatMap(({ line, what }) => item(`Example: ${bold(line)}`, sentence(what))),
  ];
}

/** Common flags that only commands take, such as --matrix. */
function commonOfCommands(commands, common) {
  const known = new Set(common.map(({ flags }) => flags));
  const found = new Map();
  for (const command of commands)
    for (const option of command.common) if (!known.has(option.flags)) found.set(option.flags, option);
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

const page = await manPage();
if (process.argv[2] === '-') process.stdout.write(page);
else writeFileSync(join(root, 'man', 'res.1'), page);
