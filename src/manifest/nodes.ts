// Nodes as written -> nodes as declared: kind found, interpolated, checked against the kind's schema.
import type { Diagnostic } from '../model/diagnostic.js';
import { isJsonArray, isJsonObject, type Json, type JsonObject } from '../model/json.js';
import type { NamedOutput, NodeDeclaration, NodeSection, Variant, Verify } from '../model/node.js';
import { complaints, pointerPath } from './complaints.js';
import { fillValue, type LaterHoles, readAsTyped } from './fill.js';
import type { Scope } from './interpolate.js';
import { nearest, oneOf, suggest } from './nearest.js';
import { normaliseOutput } from './outputs.js';
import { clash, type Declared, type DeclaredParam } from './params.js';
import { type KindSchema, kindSchemas } from './validate.generated.js';
import { locateKey, locateValue, placeAt, sectionEntries, textOf, type YamlTree } from './yaml.js';

const KINDS: ReadonlyMap<string, KindSchema & { readonly ownFields: ReadonlySet<string> }> = new Map(
  Object.entries(kindSchemas).map(([name, schema]) => [name, { ...schema, ownFields: new Set(schema.own) }]),
);
const SECTIONS = { artifacts: 'artifact', targets: 'target' } as const;

export interface DeclaredNodes {
  /** Of a node with something wrong, what is right of it, so that its references are checked too. */
  readonly nodes: readonly NodeDeclaration[];
  /** Every name that is declared, also of nodes that are too wrong to be in `nodes`. */
  readonly names: ReadonlySet<string>;
  /** Those of `nodes` that lack something, because it is wrong. */
  readonly flawed: ReadonlySet<string>;
}

interface Context {
  readonly scope: Scope;
  readonly params: ReadonlyMap<string, DeclaredParam>;
  readonly complain: (problem: Diagnostic) => void;
}

interface Written extends Declared {
  readonly name: string;
  readonly section: NodeSection;
}

export function readNodes(trees: readonly YamlTree[], context: Context): DeclaredNodes {
  const nodes: NodeDeclaration[] = [];
  const declared = new Map<string, Declared>();
  const flawed = new Set<string>();
  for (const tree of trees) {
    const top = isJsonObject(tree.value) ? tree.value : {};
    for (const [key, section] of Object.entries(SECTIONS)) {
      const values = top[key];
      if (!isJsonObject(values)) continue;
      for (const [name, place] of sectionEntries(tree, key)) {
        const first = declared.get(name);
        if (first) {
          context.complain(clash('node', name, { tree, place }, first));
          continue;
        }
        declared.set(name, { tree, place });
        const complain = (problem: Diagnostic) => {
          flawed.add(name);
          context.complain(problem);
        };
        const written = { name, section, tree, place };
        const node = readNode(written, values[name] ?? null, { ...context, complain });
        if (node) nodes.push(node);
      }
    }
  }
  return { nodes, names: new Set(declared.keys()), flawed };
}

function readNode(written: Written, raw: Json, context: Context): NodeDeclaration | undefined {
  const { tree, place } = written;
  if (!isJsonObject(raw)) {
    const message =
      raw === null
        ? `the node \`${written.name}\` is empty`
        : 'expected a node: a map that says where it comes from';
    context.complain({ message, location: locateValue(tree, place), hint: kindsHint(written.section) });
    return undefined;
  }
  const kind = findKind(written, raw, context);
  if (kind === undefined) return undefined;
  const schema = KINDS.get(kind);
  if (!schema) return undefined;
  const filled = fillValue(raw, context.scope, tree, place, context.complain, LATER[kind]);
  const checked = check(written, kind, schema, filled, context);
  return declare(written, kind, schema.ownFields, checked, context);
}

/** The kind key of a node; undefined after complaining when it has none or several. */
function findKind(
  { name, section, tree, place }: Written,
  raw: JsonObject,
  { complain }: Context,
): string | undefined {
  const keys = Object.keys(raw);
  const kinds = keys.filter((key) => KINDS.has(key));
  const [kind, second] = kinds;
  const at = (key: string) => locateKey(tree, placeAt(tree, place, [key]));
  if (kind === undefined) {
    const misspelt = keys
      .map((key) => [key, nearest(key, KINDS.keys())] as const)
      .find(([, meant]) => meant !== undefined);
    if (misspelt) {
      complain({
        message: `unknown key \`${misspelt[0]}\``,
        location: at(misspelt[0]),
        hint: `did you mean \`${misspelt[1]}\`?`,
      });
    } else {
      const message = `the node \`${name}\` does not say ${section === 'artifact' ? 'where it comes from' : 'what it is made of'}`;
      complain({ message, location: locateKey(tree, place), hint: kindsHint(section) });
    }
    return undefined;
  }
  if (second !== undefined) {
    const message = `the node \`${name}\` has more than one kind: ${oneOf(kinds, 'and')}`;
    complain({ message, location: at(second), hint: 'a node has exactly one; make two nodes of it' });
    return undefined;
  }
  const proper = KINDS.get(kind)?.section;
  if (proper !== undefined && proper !== section) {
    complain({
      message: `\`${kind}\` is a kind of ${proper}`,
      location: at(kind),
      hint: `move \`${name}\` to \`${proper}s\``,
    });
  }
  return kind;
}

function kindsHint(section: NodeSection): string {
  const names = [...KINDS].filter(([, schema]) => schema.section === section).map(([name]) => name);
  return `${section === 'artifact' ? 'an artifact' : 'a target'} has one of ${oneOf(names)}`;
}

/** By kind and field: how what the field is wanted for can be had. */
const INSTEAD: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  git: {
    executable: 'each file of a tree has a mode of its own',
    verify: 'a full commit id as `ref` says just what is in it',
  },
  path: {
    output: 'the file stays where it is; a target puts a copy of it there: `copy: NAME`, with this `output`',
    executable: 'a target makes a copy of it that is: `copy: NAME`, with `output` and `executable`',
    keep: 'files of the workspace are never copied into the store: there is nothing to keep or to drop',
  },
};

/** By kind: fields in which some holes are filled by the kind itself, when it runs. */
const LATER: Readonly<Record<string, LaterHoles>> = {
  run: { fields: new Set(['run', 'env']), holes: /^(?:in|out)(?:\.|$)/ },
};

/** Checks values after interpolation; gives the node without the fields that something is wrong with. */
function check(
  { tree, place }: Written,
  kind: string,
  { validate }: KindSchema,
  { value, filled, failed }: ReturnType<typeof fillValue>,
  { complain }: Context,
): JsonObject {
  let node = value;
  let errors = validate(node) ? [] : (validate.errors ?? []);
  const typed = errors.length > 0 && filled.size > 0 ? readAsTyped(node, errors, filled) : undefined;
  if (typed !== undefined) {
    node = typed;
    errors = validate(node) ? [] : (validate.errors ?? []);
  }
  const fields = isJsonObject(node) ? node : {};
  if (errors.length === 0 && failed.size === 0) return fields;
  const checked = {
    tree,
    place,
    subject: `\`${kind}\``,
    skip: (pointer: string) => failed.has(pointer),
    instead: (key: string) => INSTEAD[kind]?.[key],
  };
  for (const problem of complaints(errors, checked)) complain(problem);
  const wrong = new Set<string | undefined>(
    [...failed, ...errors.map((error) => error.instancePath)].map((at) => pointerPath(at)[0]),
  );
  // Of `variants`, what is right is worth a look: they can be long, and mistakes in them many.
  wrong.delete('variants');
  return Object.fromEntries(Object.entries(fields).filter(([field]) => !wrong.has(field)));
}

function declare(
  written: Written,
  kind: string,
  own: ReadonlySet<string>,
  fields: JsonObject,
  context: Context,
): NodeDeclaration | undefined {
  // Without it there is nothing to say about the node's references.
  if (fields[kind] === undefined) return undefined;
  const { name, section, tree, place } = written;
  const recipe: Record<string, Json> = {};
  for (const field in fields) if (own.has(field)) recipe[field] = fields[field] ?? null;
  const output = readOutput(written, fields.output, ['output'], context);
  const outputs = own.has('outputs') ? readOutputs(written, fields, context) : undefined;
  const verify = readVerify(fields.verify);
  return {
    name,
    section,
    kind,
    recipe,
    executable: fields.executable === true,
    keep: KEEPS.find((keep) => keep === fields.keep) ?? 'auto',
    variants: fields.variants === undefined ? NO_VARIANTS : readVariants(written, fields.variants, context),
    locate: (path) =>
      path.length === 0 ? locateKey(tree, place) : locateValue(tree, placeAt(tree, place, path)),
    ...(typeof fields.description === 'string' ? { description: fields.description } : {}),
    ...(output === undefined ? {} : { output }),
    ...(outputs === undefined ? {} : { outputs }),
    ...(verify === undefined ? {} : { verify }),
  };
}

const KEEPS = ['never', 'auto', 'always'] as const;

const NO_VARIANTS: readonly Variant[] = [];

function readOutput(
  { tree, place }: Written,
  output: Json | undefined,
  at: readonly string[],
  { complain }: Context,
): string | undefined {
  if (typeof output !== 'string') return undefined;
  const normal = normaliseOutput(output);
  if ('path' in normal) return normal.path;
  complain({ message: normal.problem, location: locateValue(tree, placeAt(tree, place, at)) });
  return undefined;
}

/** Outputs by name, in the order of the manifest; each says where it appears, and so nothing else may. */
function readOutputs(
  written: Written,
  { outputs, output, verify }: JsonObject,
  context: Context,
): readonly NamedOutput[] | undefined {
  if (!isJsonObject(outputs)) return undefined;
  const { tree, place } = written;
  const named = Object.entries(outputs).flatMap(([name, text]) => {
    const path = readOutput(written, text, ['outputs', name], context);
    return path === undefined ? [] : [{ name, path }];
  });
  if (output !== undefined) {
    context.complain({
      message: '`output` and `outputs` do not go together',
      location: locateKey(tree, placeAt(tree, place, ['output'])),
      hint: 'each of `outputs` says itself where it appears; leave `output` out',
    });
  }
  if (named.length > 1 && isJsonObject(verify) && verify.sha256 !== undefined) {
    context.complain({
      message: 'one `sha256` cannot be that of several outputs',
      location: locateValue(tree, placeAt(tree, place, ['verify', 'sha256'])),
      hint: 'use `sums`, which has a line for each',
    });
  }
  return named;
}

function readVerify(verify: Json | undefined): Verify | undefined {
  if (!isJsonObject(verify)) return undefined;
  if (typeof verify.sha256 === 'string') return { sha256: verify.sha256.toLowerCase() };
  return typeof verify.sums === 'string' ? { sums: verify.sums } : undefined;
}

function readVariants(written: Written, variants: Json, context: Context): readonly Variant[] {
  if (!isJsonArray(variants)) return NO_VARIANTS;
  return variants.flatMap((row, i) => {
    if (!isJsonObject(row)) return [];
    const when = readWhen(written, row.when, i, context);
    const label = row.label === undefined ? undefined : textAt(written, row.label, ['variants', i, 'label']);
    const state = VARIANT_STATES.find((state) => state === row.state);
    const worksWith = isJsonArray(row['works-with']) ? row['works-with'].map(String) : undefined;
    const variant: Variant = {
      when,
      ...(label === undefined ? {} : { label }),
      ...(state === undefined ? {} : { state }),
      ...(worksWith === undefined ? {} : { worksWith }),
    };
    return [variant];
  });
}

const VARIANT_STATES = ['stable', 'experimental', 'deprecated'] as const;

function readWhen(
  written: Written,
  when: Json | undefined,
  row: number,
  { params, complain }: Context,
): Record<string, string> {
  const result: Record<string, string> = {};
  if (!isJsonObject(when)) return result;
  const { tree, place } = written;
  for (const [name, value] of Object.entries(when)) {
    const path = ['variants', row, 'when', name];
    const at = () => placeAt(tree, place, path);
    const text = textAt(written, value, path);
    const param = params.get(name);
    const allowed = param?.declaration.enum;
    if (!param) {
      const hint = suggest(name, params.keys(), 'params');
      const problem = { message: `there is no param \`${name}\``, location: locateKey(tree, at()) };
      complain(hint === undefined ? problem : { ...problem, hint });
    } else if (allowed && !allowed.includes(text)) {
      const hint = suggest(text, allowed) ?? `it can be ${oneOf(allowed)}`;
      complain({
        message: `\`${text}\` is not one of the values of \`${name}\``,
        location: locateValue(tree, at()),
        hint,
      });
    }
    result[name] = text;
  }
  return result;
}

/** A value that is text whatever YAML takes it for: `1.10` as it is written. */
function textAt({ tree, place }: Written, value: Json, path: readonly (string | number)[]): string {
  if (typeof value === 'string' || place.literal) return String(value);
  return textOf(tree, placeAt(tree, place, path)) ?? String(value);
}
