// The documents in docs/ as data: their fenced blocks, links and headings; and console sessions, run as they stand there.
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { MAIN, REPO_ROOT } from './places.js';

const runFile = promisify(execFile);

export const DOCS = join(REPO_ROOT, 'docs');

export interface Block {
  readonly file: string;
  /** Of its fence, from 1. */
  readonly line: number;
  /** What stands behind the fence: `yaml`, `yaml wrong`, `console`, … */
  readonly info: string;
  readonly text: string;
}

export interface Document {
  /** Below docs/. */
  readonly file: string;
  readonly text: string;
  readonly blocks: readonly Block[];
}

/** Those of a folder below docs/, by default docs/ itself. */
export function readDocuments(folder = '.'): readonly Document[] {
  return readdirSync(join(DOCS, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => readDocument(join(folder, name)));
}

/** Where relative links of the prose lead. */
export function linksOf(document: Document): readonly string[] {
  return [...proseOf(document).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].map(([, link = '']) => link);
}

/** The text with one of its fenced blocks in another wording. */
export function replaceBlock(document: string, { info, text }: Block, now: string): string {
  const fence = `\`\`\`${info}\n`;
  return document.replace(`${fence}${text}\`\`\``, () => `${fence}${now}\`\`\``);
}

export function readDocument(file: string): Document {
  const text = readFileSync(join(DOCS, file), 'utf8');
  const blocks = [...text.matchAll(/^```([^\n]*)\n(.*?)^```$/gms)].map(
    ({ 1: info = '', 2: body = '', index }) => ({
      file,
      line: text.slice(0, index).split('\n').length,
      info,
      text: body,
    }),
  );
  return { file, text, blocks };
}

/** Without fenced blocks. */
export function proseOf({ text }: Document): string {
  return text.replace(/^```[^\n]*\n.*?^```$/gms, '');
}

/** The fragments that lead to the headings of a text, as GitHub makes them. */
export function anchorsOf(text: string): ReadonlySet<string> {
  const prose = text.replace(/^```[^\n]*\n.*?^```$/gms, '');
  return new Set(
    [...prose.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
      title
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

/** The text between a heading and the next one of the same or a higher level. A table may begin with `#` and two spaces. */
export function sectionOf({ text }: Document, title: string): string {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => line.replace(/^#+ /, '') === title && line.startsWith('#'));
  if (start < 0) throw new Error(`there is no section ${title}`);
  const level = /^#+/.exec(lines[start] ?? '')?.[0].length ?? 1;
  const length = lines.slice(start + 1).findIndex((line) => {
    const hashes = /^(#+) \S/.exec(line)?.[1];
    return hashes !== undefined && hashes.length <= level;
  });
  return lines.slice(start, length < 0 ? undefined : start + 1 + length).join('\n');
}

/** The commands of a console block, each as typed behind its `$ `. What a log says of qemu-img's looks the same. */
export function commandsOf({ text }: Block): readonly string[] {
  return text.split('\n').flatMap((line) => (/^\$ (?!qemu-img )/.test(line) ? [line.slice(2)] : []));
}

/**
 * Runs commands in a folder, one after the other, with `res` on hand, and resolves with the session as a console shows it.
 * A server of this process can be reached meanwhile.
 */
export async function runSession(
  commands: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  let session = '';
  for (const command of commands) {
    const script = `res() { '${process.execPath}' '${MAIN}' "$@"; }\n{ ${command}\n} 2>&1 || true`;
    const { stdout } = await runFile('sh', ['-c', script], {
      cwd,
      env: { PATH: process.env.PATH, HOME: cwd, LANG: 'C.UTF-8', ...env },
      timeout: 60_000,
      maxBuffer: 1 << 24,
    });
    session += `$ ${command}\n${stdout}`;
  }
  return session;
}

/**
 * What differs from machine to machine and run to run, made equal: durations (a column of them is as wide as its widest),
 * digests, versions, what files take on disk, dates.
 */
export function normalise(session: string): string {
  return session
    .replace(/\b\d+(?:\.\d+)? (?:ms|s)\b/g, 'TIME')
    .replace(/ {2,}TIME\b/g, '  TIME')
    .replace(/"(duration_ms|done|total|at)":\d+/g, '"$1":N')
    .replace(/\b[0-9a-f]{64}\b/g, 'HEX')
    .replace(/\b[0-9a-f]{8}…/g, 'HEX…')
    .replace(/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, 'UUID')
    .replace(/\d+(?:\.\d+)? [KMGT]iB (free|freed|would be freed)\b/g, 'SPACE $1')
    .replace(/(in the store +\d+ +)\d+(?:\.\d+)? [KMGT]iB/g, '$1SPACE')
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/g, 'DATE')
    .replace(/\b\d{8}-\d{6}-\d{3}-[0-9a-f]{4}\b/g, 'BUILD')
    .replace(/qemu-img version .*/g, 'qemu-img version N');
}
