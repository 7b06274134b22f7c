// YAML text -> plain values, with the way back from any value to its place in the text.
import {
  type Alias,
  Composer,
  type CST,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  type Node,
  type ParsedNode,
  Parser,
  type YAMLParseError,
} from 'yaml';
import type { Diagnostic, Location } from '../model/diagnostic.js';
import type { Json } from '../model/json.js';
import type { SourceText } from './text.js';

/** Levels of maps and lists in each other. Far more than a manifest has, and few enough to walk by recursion. */
const MAX_DEPTH = 64;
/** Values that aliases may stand for, together: an alias bomb stands for billions. */
const MAX_ALIASED = 100_000;
/** Of one file; what comes after them is mostly their consequence. */
const MAX_SYNTAX_ERRORS = 20;

export type Path = readonly (string | number)[];

/** A place in the tree: a value with the key it stands under. */
export interface Place {
  readonly key?: Node;
  readonly value: Node | null;
}

export interface YamlTree {
  readonly source: SourceText;
  readonly value: Json;
  readonly root: Place;
  readonly problems: readonly Diagnostic[];
  /** The text is not YAML: `value` is of no use. */
  readonly broken: boolean;
  /** What aliases stand for. */
  readonly aliases: ReadonlyMap<Alias, Node>;
}

/** Never throws: what is wrong is in `problems`. Keys are taken as text; duplicate keys, tags and cycles are problems. */
export function parseYaml(source: SourceText): YamlTree {
  const nothing = { source, value: null, root: { value: null }, broken: true, aliases: new Map() };
  const composed = compose(source);
  if (!('document' in composed)) return { ...nothing, problems: composed.problems };
  const contents = composed.document.contents;
  const { value, problems, aliases, bomb } = convert(source, contents);
  return { source, value, root: { value: contents }, problems, broken: bomb, aliases };
}

/** The place of what `path` names below `start`; of a path that leads nowhere, the nearest above it. */
export function placeAt(tree: YamlTree, start: Place, path: Path): Place {
  let place = start;
  for (const step of path) {
    const next = childOf(tree, place, step);
    if (!next) return place;
    place = next;
  }
  return place;
}

/** The place of what `path` names below `start`, if there is such a value. */
export function findPlace(tree: YamlTree, start: Place, path: Path): Place | undefined {
  let place: Place | undefined = start;
  for (const step of path) place = place && childOf(tree, place, step);
  return place;
}

/** The items of a list; undefined for what is no list. */
export function itemsOf(tree: YamlTree, place: Place): Place[] | undefined {
  const node = resolveAlias(tree, place.value);
  if (!isSeq(node)) return undefined;
  return node.items.map((item) => ({ value: isNode(item) ? item : null }));
}

/** The entries of a map in their order, each name once. Empty for what is no map. */
export function entriesOf(tree: YamlTree, place: Place): [name: string, place: Place][] {
  const node = resolveAlias(tree, place.value);
  if (!isMap(node)) return [];
  const entries = new Map<string, Place>();
  for (const { key, value } of node.items) {
    const name = isNode(key) ? keyText(key) : undefined;
    if (name === undefined || !isNode(key) || entries.has(name)) continue;
    entries.set(name, { key, value: isNode(value) ? value : null });
  }
  return [...entries];
}

/** The entries of a map at the top of the file; none when there is no such map. */
export function sectionEntries(tree: YamlTree, section: string): [name: string, place: Place][] {
  const place = findPlace(tree, tree.root, [section]);
  return place ? entriesOf(tree, place) : [];
}

/** Of a value that is written on its own, the value; of a map or list, the key it stands under. */
export function locateValue({ source }: YamlTree, { key, value }: Place): Location {
  const inPlace = isScalar(value) ? value.source !== '' || value.type !== 'PLAIN' : isAlias(value);
  const node = inPlace || !key ? value : key;
  return locateNode(source, node);
}

export function locateKey(tree: YamlTree, place: Place): Location {
  return place.key ? locateNode(tree.source, place.key) : locateValue(tree, place);
}

/** The first occurrence of `fragment` in a value as written; the value when it is written in another way. */
export function locateFragment(tree: YamlTree, place: Place, fragment: string): Location {
  const range = resolveAlias(tree, place.value)?.range;
  if (range) {
    const at = tree.source.text.slice(range[0], range[1]).indexOf(fragment);
    if (at >= 0) return tree.source.locate(range[0] + at, range[0] + at + fragment.length);
  }
  return locateValue(tree, place);
}

/** A scalar as text; of a number, as it is written (`1.10`, not 1.1). Undefined for what is no scalar, or nothing. */
export function textOf(tree: YamlTree, place: Place): string | undefined {
  const node = resolveAlias(tree, place.value);
  if (!isScalar(node)) return undefined;
  if (typeof node.value === 'string') return node.value;
  if (typeof node.value !== 'number' && typeof node.value !== 'boolean') return undefined;
  return node.source ?? String(node.value);
}

function compose(source: SourceText): { document: Document.Parsed } | { problems: readonly Diagnostic[] } {
  const { text, locate } = source;
  const tokens: CST.Token[] = [];
  const parser = new Parser();
  // Step by step, as depth must be known before the composer, which recurses, sees the tokens.
  let lastQuote = 0;
  for (const lexeme of new Lexer().lex(text)) {
    if (lexeme.startsWith('"') || lexeme.startsWith("'")) lastQuote = parser.offset;
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
  const [document, second] = composer.compose(tokens, true, text.length);
  if (!document) return { problems: [] };
  const faults = [...document.errors, ...document.warnings].sort((a, b) => a.pos[0] - b.pos[0]);
  if (faults.length > 0) return { problems: syntaxProblems(source, faults, lastQuote) };
  if (second) {
    const at = second.range[0];
    const problem = { message: 'the file has more than one YAML document', location: locate(at, at + 1) };
    return { problems: [{ ...problem, hint: 'take out the line `---` between them' }] };
  }
  return { document };
}

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

interface Converted {
  readonly value: Json;
  readonly problems: readonly Diagnostic[];
  readonly aliases: ReadonlyMap<Alias, Node>;
  /** Too large or too deep to go on with. */
  readonly bomb: boolean;
}

/** One pass in the order of the text, so that an alias finds the anchor last set before it. */
function convert(source: SourceText, contents: ParsedNode | null): Converted {
  const problems: Diagnostic[] = [];
  const aliases = new Map<Alias, Node>();
  /** `value` is undefined while the anchored node is under way: an alias in it would be itself. */
  const anchors = new Map<string, { readonly node: Node; value: Json | undefined; count: number }>();
  let count = 0;
  let aliased = 0;
  let deep = false;

  const complain = (node: Node | null, message: string, hint?: string) => {
    const location = locateNode(source, node);
    problems.push(hint === undefined ? { message, location } : { message, location, hint });
  };

  const visit = (node: Node | null, depth: number): Json => {
    count += 1;
    if (node === null) return null;
    if (isAlias(node)) return visitAlias(node);
    if (depth > MAX_DEPTH) {
      if (!deep) problems.push(tooDeep(locateNode(source, node)));
      deep = true;
      return null;
    }
    const anchor = (isScalar(node) || isMap(node) || isSeq(node)) && node.anchor ? node.anchor : undefined;
    if (anchor === undefined) return visitContent(node, depth);
    const entry: { node: Node; value: Json | undefined; count: number } = { node, value: undefined, count };
    anchors.set(anchor, entry);
    entry.value = visitContent(node, depth);
    entry.count = count - entry.count + 1;
    return entry.value;
  };

  const visitAlias = (alias: Alias): Json => {
    const target = anchors.get(alias.source);
    if (!target) {
      complain(alias, `no anchor \`&${alias.source}\` comes before this alias`);
      return null;
    }
    if (target.value === undefined) {
      complain(alias, `the alias \`*${alias.source}\` stands for something that it is part of`);
      return null;
    }
    aliases.set(alias, target.node);
    count += target.count;
    const before = aliased;
    aliased += target.count;
    if (aliased <= MAX_ALIASED) return target.value;
    if (before <= MAX_ALIASED) {
      complain(
        alias,
        `aliases stand for more than ${MAX_ALIASED} values here`,
        'write the values out, or use fewer aliases',
      );
    }
    return null;
  };

  const visitContent = (node: Node, depth: number): Json => {
    if (isScalar(node)) return visitScalar(node, node.value);
    if (isSeq(node)) return node.items.map((item) => visit(isNode(item) ? item : null, depth + 1));
    if (!isMap(node)) return null;
    const fields: Record<string, Json> = {};
    const keys = new Map<string, Node>();
    for (const { key, value } of node.items) {
      const keyNode = isNode(key) ? key : null;
      const name = keyText(keyNode);
      const content = visit(isNode(value) ? value : null, depth + 1);
      if (name === undefined || keyNode === null) {
        complain(keyNode ?? node, 'a key must be plain text');
        continue;
      }
      if (name === '__proto__') {
        complain(keyNode, 'the key `__proto__` is not allowed');
        continue;
      }
      const first = keys.get(name);
      if (first) {
        const { line, column } = locateNode(source, first);
        complain(
          keyNode,
          `the key \`${name}\` stands here a second time`,
          `the first one is at ${source.shown}:${line}:${column}`,
        );
        continue;
      }
      keys.set(name, keyNode);
      fields[name] = content;
    }
    return fields;
  };

  const visitScalar = (node: Node, value: unknown): Json => {
    if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
    if (typeof value === 'number') {
      if (Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))) return value;
      complain(node, 'the number is too large', 'put it in quotes if it is text');
      return null;
    }
    return null;
  };

  const value = visit(contents, 0);
  return { value, problems, aliases, bomb: aliased > MAX_ALIASED || deep };
}

/** A key as it is written: `1.10` is no number here. */
function keyText(key: Node | null): string | undefined {
  if (!isScalar(key)) return undefined;
  if (typeof key.value === 'string') return key.value;
  return typeof key.source === 'string' && key.source !== '' ? key.source : undefined;
}

function childOf(tree: YamlTree, place: Place, step: string | number): Place | undefined {
  const node = resolveAlias(tree, place.value);
  if (isSeq(node)) {
    const item = node.items[Number(step)];
    return isNode(item) ? { value: item } : undefined;
  }
  if (!isMap(node)) return undefined;
  for (const { key, value } of node.items) {
    if (isNode(key) && keyText(key) === step) return { key, value: isNode(value) ? value : null };
  }
  return undefined;
}

function resolveAlias(tree: YamlTree, node: Node | null): Node | null {
  return isAlias(node) ? (tree.aliases.get(node) ?? null) : node;
}

function isNode(value: unknown): value is Node {
  return isScalar(value) || isMap(value) || isSeq(value) || isAlias(value);
}

function locateNode(source: SourceText, node: Node | null): Location {
  const range = node?.range;
  if (!range) return source.locate(0, 1);
  // A map's own text goes over many lines: point at where it starts.
  return source.locate(range[0], isMap(node) || isSeq(node) ? range[0] + 1 : range[1]);
}

function tooDeep(location: Location): Diagnostic {
  return { message: `maps and lists are nested more than ${MAX_DEPTH} deep`, location };
}
