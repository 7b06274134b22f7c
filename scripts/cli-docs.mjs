// Writes the reference into docs/cli.md: what stands there between two marks comes from the definitions of the commands.
// Samples of output are renewed by the tests (`npx vitest run test/docs.test.ts -u`).
//   node scripts/cli-docs.mjs      docs/cli.md
//   node scripts/cli-docs.mjs -    to stdout
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { definitions, root, sentence } from './definitions.mjs';

const BEGIN = (name) => `<!-- from the definitions: ${name} -->`;
const END = '<!-- end -->';

/** The text of docs/cli.md with what is between its marks as it is now. Throws where a mark leads to nothing, or is missing. */
function renewed(text, parts) {
  const seen = new Set();
  const result = text.replace(/<!-- from the definitions: (.*?) -->\n.*?<!-- end -->/gs, (_, name) => {
    const part = parts.get(name);
    if (part === undefined) throw new Error(`docs/cli.md: nothing is known of ${name}`);
    seen.add(name);
    return `${BEGIN(name)}\n\n${part}\n\n${END}`;
  });
  for (const name of parts.keys())
    if (!seen.has(name)) throw new Error(`docs/cli.md lacks ${BEGIN(name)} … ${END}`);
  return result;
}

/** What stands between the marks, by their names. */
async function referenceParts() {
  const { commands, common, exitStatuses } = await definitions();
  return new Map([
    ...commands.map((command) => [command.name, commandPart(command)]),
    ['common flags', table('flag', common.map(flagRow))],
    [
      'exit status',
      table(
        'status',
        exitStatuses.map(({ status, what }) => [String(status), what]),
      ),
    ],
    ['json', jsonPart(commands)],
  ]);
}

function commandPart(command) {
  const { name, summary, args, shown, flags, schema, exits = [], examples } = command;
  const rows = [
    ...args.map(({ about }, i) => [code(shown[i].replace(/[[\]]/g, '')), about]),
    ...flags.map((flag) => (flag.long === '--json' ? jsonRow(flag, schema) : flagRow(flag))),
  ];
  const heads = [args.length > 0 ? 'argument' : '', flags.length > 0 ? 'flag' : ''].filter(Boolean);
  return [
    fence('text', [['res', name, ...shown, ...(command.common.length > 0 ? ['[flags]'] : [])].join(' ')]),
    sentence(summary),
    ...(rows.length > 0 ? [table(heads.join(', '), rows)] : []),
    ...(exits.length > 0
      ? [`Exit status: ${exits.map(({ status, what }) => `${status}: ${what}`).join('; ')}.`]
      : []),
    fence('sh', exampleLines(examples)),
  ].join('\n\n');
}

function exampleLines(examples) {
  const width = Math.max(...examples.map(({ line }) => line.length));
  return examples.map(({ line, what }) => `${line.padEnd(width)}  # ${what}`);
}

function jsonPart(commands) {
  const withSchema = commands.filter(({ schema }) => schema !== undefined);
  return table(
    'command',
    [
      ...withSchema.map(({ name, flags, schema }) => [
        code(flags.some(({ long }) => long === '--json') ? `${name} --json` : name),
        schemaLink(schema),
      ]),
      [code('--progress json'), `${schemaLink('events')}, one a line`],
      ['each, for an error', schemaLink('error')],
    ],
    'shape',
  );
}

function flagRow({ flags, description, argChoices }) {
  const choices = argChoices ? `; one of ${argChoices.map(code).join(', ')}` : '';
  return [flags.replace(/[<>]/g, '').split(', ').map(code).join(', '), description + choices];
}

function jsonRow(flag, schema) {
  const [term] = flagRow(flag);
  return [term, `print one JSON object: ${schemaLink(schema)}`];
}

function schemaLink(schema) {
  return `[${schema}.schema.json](../schemas/${schema}.schema.json)`;
}

function table(head, rows, second = '') {
  const cell = (text) => text.replaceAll('|', '\\|');
  return [
    `| ${head} | ${second === '' ? '' : `${second} `}|`,
    '|---|---|',
    ...rows.map((row) => `| ${row.map(cell).join(' | ')} |`),
  ].join('\n');
}

function code(text) {
  return `\`${text}\``;
}

function fence(info, lines) {
  return [`\`\`\`${info}`, ...lines, '```'].join('\n');
}

const file = join(root, 'docs', 'cli.md');
const text = renewed(readFileSync(file, 'utf8'), await referenceParts());
if (process.argv[2] === '-') process.stdout.write(text);
else writeFileSync(file, text);
