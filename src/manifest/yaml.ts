// YAML text -> plain values, with the way back from any value to its place in the text.
import { type Alias, isAlias, isMap, isScalar, isSeq, type Node, type YAMLMap } from 'yaml';
import type { Diagnostic, Location } from '../model/diagnostic.js';
import { isJsonObject, type Json } from '../model/json.js';
import { compose, MAX_DEPTH, tooDeep } from './compose.js';
import { cut, type Piece } from './pieces.js';
import type { SourceText } from './text.js';

/** Values that aliases may stand for, together: an alias bomb stands for billions. */
const MAX_ALIASED = 100_000;
/** Code units of a long text that are read at a time, and again for a place in them. */
const PIECE_SIZE = 4 * 1024;
/** A text that is no longer than that many pieces is read whole. */
const MIN_PIECES = 16;

export type Path = readonly (string | number)[];

/** A place in the tree: a value with the key it stands under. */
export interface Place {
  readonly key?: Node | undefined;
  readonly value: Node | null;
  /** Of a map that may stand in several pieces of the text: all its entries, of which `value` has the first. */
  readonly entries?: ReadonlyMap<string, Place> | undefined;
  /** All numbers, true and false in it are known to be written as `String` gives them: nobody need look. */
  readonly literal?: boolean;
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

type Aliased = Pick<YamlTree, 'aliases'>;

/**
 * Never throws: what is wrong is in `problems`. Keys are taken as text; duplicate keys, tags and cycles are problems.
 * @param pieceSize code units
 */
export function parseYaml(source: SourceText, pieceSize = PIECE_SIZE): YamlTree {
  const isLong = source.text.length > MIN_PIECES * pieceSize;
  const pieces = isLong ? cut(source.text, pieceSize) : [];
  return (pieces.length > 1 ? readPieces(source, pieces) : undefined) ?? readWhole(source);
}

function readWhole(source: SourceText): YamlTree {
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
export function findPlace(tree: Aliased, start: Place, path: Path): Place | undefined {
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
  if (place.entries) return [...place.entries];
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

/** A map at the top, as far as it has been read. */
interface Section {
  readonly name: string;
  /** In which its entries begin; undefined where they cannot stand in several pieces. */
  readonly column: number | undefined;
  readonly fields: Record<string, Json>;
  readonly places: Map<string, Place>;
}

/**
 * Of each piece only the values are kept; for a place in it, it is read again, once. Undefined for a text that has something wrong
 * in it or is not plain: what is wrong and what it means may depend on the whole.
 */
function readPieces(source: SourceText, pieces: readonly Piece[]): YamlTree | undefined {
  const value: Record<string, Json> = {};
  const places = new Map<string, Place>();
  const readers = pieces.map((piece) => onceOnly(() => composePiece(source, piece)));
  const root = new PiecePlace(readers[0], [], false, places);
  const tree = { source, value, root, problems: [], broken: false, aliases: NO_ALIASES };
  let section: Section | undefined;
  for (const [i, piece] of pieces.entries()) {
    const map = composePiece(source, piece);
    if (!map || (i === 0 && columnOf(source, map) !== 0)) return undefined;
    const converted = convert(source, map);
    if (converted.problems.length > 0 || !isJsonObject(converted.value)) return undefined;
    let goesOn = piece.under !== undefined;
    for (const [name, place] of entriesOf(tree, { value: map })) {
      const content = converted.value[name] ?? null;
      const column = columnOf(source, place.value);
      if (goesOn) {
        if (section?.name !== piece.under || column === undefined || column !== section?.column)
          return undefined;
        goesOn = false;
      } else {
        if (places.has(name)) return undefined;
        section = { name, column, fields: {}, places: new Map() };
        const isSection = isJsonObject(content);
        value[name] = isSection ? section.fields : content;
        places.set(name, new PiecePlace(readers[i], [name], false, isSection ? section.places : undefined));
      }
      if (!isJsonObject(content)) continue;
      for (const [entry] of entriesOf(tree, place)) {
        if (section.places.has(entry)) return undefined;
        section.fields[entry] = content[entry] ?? null;
        section.places.set(entry, new PiecePlace(readers[i], [name, entry], converted.literal));
      }
    }
  }
  return tree;
}

/** The column in which the entries of a block map begin, from 0; undefined for what is no such map. */
function columnOf({ text }: SourceText, node: Node | null): number | undefined {
  const first = isMap(node) && !node.flow ? node.items[0]?.key : undefined;
  const at = isNode(first) ? first.range?.[0] : undefined;
  return at === undefined ? undefined : at - text.lastIndexOf('\n', at - 1) - 1;
}

const NO_ALIASES: YamlTree['aliases'] = new Map();

/** The map that a piece is, with the key that it belongs under; undefined when it is no map, has an error, or is not plain. */
function composePiece(source: SourceText, { start, end, under }: Piece): YAMLMap | undefined {
  const head = under === undefined ? '' : `${under}:\n`;
  const text = head + source.text.slice(start, end);
  const composed = compose(source, { text, offset: start - head.length });
  if (!('document' in composed) || !composed.plain) return undefined;
  const { contents } = composed.document;
  return isMap(contents) ? contents : undefined;
}

function onceOnly<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** A place that is looked up in its piece when it is asked for. */
class PiecePlace implements Place {
  readonly #read: (() => YAMLMap | undefined) | undefined;
  readonly #path: Path;
  readonly literal: boolean;
  readonly entries: ReadonlyMap<string, Place> | undefined;

  /** @param read the piece */
  constructor(
    read: (() => YAMLMap | undefined) | undefined,
    path: Path,
    literal: boolean,
    entries?: ReadonlyMap<string, Place>,
  ) {
    this.#read = read;
    this.#path = path;
    this.literal = literal;
    this.entries = entries;
  }

  get key(): Node | undefined {
    return this.#find()?.key;
  }

  get value(): Node | null {
    return this.#find()?.value ?? null;
  }

  #find(): Place | undefined {
    const value = this.#read?.() ?? null;
    return findPlace({ aliases: NO_ALIASES }, { value }, this.#path);
  }
}

interface Converted {
  readonly value: Json;
  readonly problems: readonly Diagnostic[];
  readonly aliases: ReadonlyMap<Alias, Node>;
  /** As of a place. */
  readonly literal: boolean;
  /** Too large or too deep to go on with. */
  readonly bomb: boolean;
}

/** One pass in the order of the text, so that an alias finds the anchor last set before it. */
function convert(source: SourceText, contents: Node | null): Converted {
  const problems: Diagnostic[] = [];
  const aliases = new Map<Alias, Node>();
  /** `value` is undefined while the anchored node is under way: an alias in it would be itself. */
  const anchors = new Map<string, { readonly node: Node; value: Json | undefined; count: number }>();
  let count = 0;
  let aliased = 0;
  let deep = false;
  let literal = true;

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
    if (isScalar(node)) {
      const { value, source: written } = node;
      if (typeof value !== 'string' && value !== null && written !== String(value)) literal = false;
      return visitScalar(node, value);
    }
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
  return { value, problems, aliases, literal, bomb: aliased > MAX_ALIASED || deep };
}

/** A key as it is written: `1.10` is no number here. */
function keyText(key: Node | null): string | undefined {
  if (!isScalar(key)) return undefined;
  if (typeof key.value === 'string') return key.value;
  return typeof key.source === 'string' && key.source !== '' ? key.source : undefined;
}

function childOf(tree: Aliased, place: Place, step: string | number): Place | undefined {
  if (place.entries) return typeof step === 'string' ? place.entries.get(step) : undefined;
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

function resolveAlias(tree: Aliased, node: Node | null): Node | null {
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
