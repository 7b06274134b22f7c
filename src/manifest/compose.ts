// YAML text -> nodes of the yaml library, or what is wrong with its syntax, in words for who wrote it.
import { Composer, type CST, type Document, Lexer, Parser, type YAMLParseError } from 'yaml';
import type { Diagnostic, Location } from '../model/diagnostic.js';
import type { SourceText } from './text.js';

/** Levels of maps and lists in each other. Far more than a manifest has, and few enough to walk by recursion. */
export const MAX_DEPTH = 64;
/** Of one file; what comes after them is mostly their consequence. */
const MAX_SYNTAX_ERRORS = 20;

export interface Composed {
  readonly document: Document.Parsed;
  /** There is nothing in it that has to do with other parts of a text: tags, anchors, aliases, `? ` and the like. */
  readonly plain: boolean;
}

/** @param part what to read as if it were all, with the place in the source that its first code unit has */
export function compose(
  source: SourceText,
  part = { text: source.text, offset: 0 },
): Composed | { readonly problems: readonly Diagnostic[] } {
  const { locate } = source;
  const { text, offset } = part;
  const tokens: CST.Token[] = [];
  const parser = new Parser();
  parser.offset = offset;
  // Step by step, as depth must be known before the composer, which recurses, sees the tokens.
  let lastQuote = 0;
  let plain = true;
  let isText = false;
  for (const lexeme of new Lexer().lex(text)) {
    const first = lexeme.charAt(0);
    if (first === '"' || first === "'") lastQuote = parser.offset;
    if (!isText && NOT_PLAIN.has(first) && lexeme !== '-' && !(lexeme === '---' && parser.offset === 0))
      plain = false;
    isText = lexeme === TEXT_FOLLOWS;
    for (const token of parser.next(lexeme)) tokens.push(token);
    if (parser.stack.length > 2 * MAX_DEPTH) {
      return { problems: [tooDeep(locate(parser.offset - 1, parser.offset))] };
    }
  }
  for (const token of parser.end()) tokens.push(token);
  // `uniqueKeys` compares every key with every other; convert() does it in one pass.
  const composer = new Composer({
    version: '1.2',
    uniqueKeys: false,
    resolveKnownTags: false,
    prettyErrors: false,
  });
  const [document, second] = composer.compose(tokens, true, offset + text.length);
  if (!document) return { problems: [] };
  const faults = [...document.errors, ...document.warnings].sort((a, b) => a.pos[0] - b.pos[0]);
  if (faults.length > 0) return { problems: syntaxProblems(source, faults, lastQuote) };
  if (second) {
    const at = second.range[0];
    const problem = { message: 'the file has more than one YAML document', location: locate(at, at + 1) };
    return { problems: [{ ...problem, hint: 'take out the line `---` between them' }] };
  }
  return { document, plain };
}

/** The lexer's mark before a text without quotes, which may begin with anything. */
const TEXT_FOLLOWS = '\u001f';
/** What other lexemes begin with that are not plain: `---` within a text too, but not the `-` of a list. */
const NOT_PLAIN: ReadonlySet<string> = new Set(['&', '*', '!', '?', '%', '-', '.', '\ufeff']);

interface SyntaxFault {
  readonly pos: readonly [number, number];
  readonly code: YAMLParseError['code'];
  readonly message: string;
}

/** The first of each line: the others are its consequences. */
function syntaxProblems(source: SourceText, faults: readonly SyntaxFault[], lastQuote: number): Diagnostic[] {
  const byLine = new Map<number, Diagnostic>();
  for (const fault of faults) {
    if (byLine.size === MAX_SYNTAX_ERRORS) break;
    const location = locateFault(source, fault, lastQuote);
    if (byLine.has(location.line)) continue;
    const { message, hint } = syntaxMessage(fault, source.text);
    byLine.set(location.line, hint === undefined ? { message, location } : { message, location, hint });
  }
  return [...byLine.values()];
}

/** The parser's place, moved to something that can be seen. */
function locateFault(
  { text, locate }: SourceText,
  { pos, message }: SyntaxFault,
  lastQuote: number,
): Location {
  const [start, end] = pos;
  if (isOpenQuote(message)) return locate(lastQuote, lastQuote + 1);
  const rest = text.slice(start, lineEnd(text, start));
  if (rest.trim() !== '')
    return locate(start + rest.search(/\S/), Math.max(end, start + rest.search(/\S/) + 1));
  // At the end of a line, or of the file: what stands before it.
  const before = text.slice(0, start).trimEnd().length;
  return locate(Math.max(0, before - 1), before);
}

function lineEnd(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end < 0 ? text.length : end;
}

function isOpenQuote(message: string): boolean {
  return /^Missing closing ['"]quote/.test(message);
}

const QUOTE_HOLES = 'within { } or [ ], text that has `{` in it must be quoted';

function syntaxMessage(
  { code, message, pos }: SyntaxFault,
  text: string,
): { message: string; hint?: string } {
  switch (code) {
    case 'TAB_AS_INDENT':
      return { message: 'a tab is used to indent', hint: 'indent with spaces' };
    case 'BAD_INDENT':
      if (message.startsWith('Flow')) {
        const list = message.startsWith('Flow sequence');
        return {
          message: list ? 'expected `]` to close a list' : 'expected `}` to close a map',
          hint: 'lines within brackets are indented more than their key',
        };
      }
      return {
        message: 'the indentation is wrong',
        hint: 'entries of one map or list start in the same column',
      };
    case 'MULTILINE_IMPLICIT_KEY':
      return {
        message: 'a key goes over several lines',
        hint: 'is a `:` missing after a key, or a closing quote?',
      };
    case 'BLOCK_AS_IMPLICIT_KEY':
      return text.slice(pos[0], lineEnd(text, pos[0])).includes(': ')
        ? { message: 'a second `: ` in one line', hint: 'text that has `: ` in it must be quoted' }
        : {
            message: 'expected the next entry in the same column',
            hint: 'is the line after it indented right?',
          };
    case 'BAD_SCALAR_START':
      return { message: plainSentence(message), hint: 'put the text in quotes' };
    case 'TAG_RESOLVE_FAILED':
      return {
        message: plainSentence(message),
        hint: 'a manifest has no use for tags; text that begins with `!` must be quoted',
      };
    case 'MISSING_CHAR':
      if (isOpenQuote(message)) return { message: 'a quote is not closed' };
      if (message.startsWith('Implicit map keys need')) {
        return { message: 'expected `:` after a key', hint: 'an entry of a map is `key: value`' };
      }
      return { message: plainSentence(message) };
    case 'UNEXPECTED_TOKEN':
      return text.slice(pos[0] - 1, pos[0] + 1) === '${'
        ? { message: plainSentence(message), hint: QUOTE_HOLES }
        : { message: plainSentence(message) };
    default:
      return { message: plainSentence(message) };
  }
}

const TOKENS: Readonly<Record<string, string>> = {
  'block-seq-ind': '`-`',
  'seq-item-ind': '`-`',
  'map-value-ind': '`:`',
  'explicit-key-ind': '`?`',
  'flow-map-start': '`{`',
  'flow-map-end': '`}`',
  'flow-seq-start': '`[`',
  'flow-seq-end': '`]`',
  scalar: 'text',
  'at node end': 'after the end of a value',
  'on same line with key': 'in the same line as a key',
};

/** The parser's own sentence, as the rest of a line, without the parser's own words. */
function plainSentence(message: string): string {
  let text = message.trim().replace(/( token)? in YAML (document|stream): .*$/s, ' here');
  for (const [term, plain] of Object.entries(TOKENS)) text = text.replace(term, plain);
  return `${text.charAt(0).toLowerCase()}${text.slice(1)}`;
}

export function tooDeep(location: Location): Diagnostic {
  return { message: `maps and lists are nested more than ${MAX_DEPTH} deep`, location };
}
