// Compiles the JSON Schemas of the manifest, the lock and the user's configuration to plain code, so that a start does not pay for ajv, and
// assembles schemas/resources.schema.json, which editors read, from the same fragments: the base and one a kind.
//
//   node scripts/validators.mjs    writes both, after a change of a fragment
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const BASE = 'src/manifest/base.schema.json';
const LOCK = 'schemas/lock.schema.json';
const CONFIG = 'schemas/config.schema.json';
const RECORD = 'schemas/build-record.schema.json';
const MANIFEST = 'schemas/resources.schema.json';
const SECTIONS = { artifact: 'src/sources', target: 'src/kinds' };
const OUT = join(ROOT, 'src/manifest/validate.generated');
/** Apart from the others: few commands read records. */
const RECORD_OUT = join(ROOT, 'src/store/build-record.generated');

const DECLARATIONS = `import type { Validator } from './validator.js';

/** A kind key as the schema knows it. */
export interface KindSchema {
  readonly section: 'artifact' | 'target';
  /** The fields that are the kind's own; the others are common to all nodes. */
  readonly own: readonly string[];
  /** Checks a whole node of the kind, after interpolation. */
  readonly validate: Validator;
}
/** By kind key, artifacts first. */
export const kindSchemas: Readonly<Record<string, KindSchema>>;
/** Checks a manifest but for what is inside of its nodes. */
export const validateManifest: Validator;
export const validateLock: Validator;
export const validateConfig: Validator;
`;

const RECORD_DECLARATIONS = `import type { BuildRecord } from '../model/build-record.js';

export function isBuildRecord(value: unknown): value is BuildRecord;
`;

/** Writes src/manifest/validate.generated.{js,d.ts} and src/store/build-record.generated.{js,d.ts}, unless they were made from the same schemas. Rejects when a schema is wrong. */
export async function generateValidators() {
  const stamp = `// Made by scripts/validators.mjs from ${inputsDigest()}.\n`;
  if (isCurrent(stamp)) return;
  const code = await compile();
  const recordCode = await compileRecord();
  const staging = mkdtempSync(`${OUT}.`);
  try {
    // The code last: the stamp in it says that all are there.
    for (const [path, text] of [
      [`${RECORD_OUT}.d.ts`, RECORD_DECLARATIONS],
      [`${RECORD_OUT}.js`, recordCode],
      [`${OUT}.d.ts`, DECLARATIONS],
      [`${OUT}.js`, code],
    ]) {
      const temp = join(staging, basename(path));
      writeFileSync(temp, `${stamp}${text}`);
      renameSync(temp, path);
    }
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/** The manifest's schema for editors: what may be written, so that any value may also be text with \${...} in it. */
export function assembleSchema() {
  const base = readJson(BASE);
  const kinds = readKinds();
  const nodes = (section, title) => ({
    title,
    oneOf: kinds.filter((kind) => kind.section === section).map((kind) => nodeSchema(base, kind)),
  });
  const schema = {
    ...base,
    $defs: {
      ...base.$defs,
      artifact: nodes('artifact', 'an artifact'),
      target: nodes('target', 'a target'),
    },
  };
  return withInterpolation(schema);
}

async function compile() {
  // Imported here: a checkout whose validators are current does not wait for it.
  const [{ Ajv2020 }, { default: standalone }, esbuild] = await Promise.all([
    import('ajv/dist/2020.js'),
    import('ajv/dist/standalone/index.js'),
    import('esbuild'),
  ]);
  const base = readJson(BASE);
  const kinds = readKinds();
  const $defs = { ...base.$defs, artifact: true, target: true };
  // The definitions once, not once a kind: that is half of the code.
  const shared = (schema) => JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', '"defs#/$defs/'));
  const { $schema, $defs: _, ...manifest } = base;
  const ajv = new Ajv2020({
    allErrors: true,
    verbose: true,
    messages: false,
    allowUnionTypes: true,
    inlineRefs: false,
    code: { source: true, esm: true },
    schemas: [
      { $id: 'defs', $schema, $defs },
      { $id: 'validateManifest', ...shared(manifest) },
      { $id: 'validateLock', ...readJson(LOCK) },
      { $id: 'validateConfig', ...readJson(CONFIG) },
      ...kinds.map((kind) => ({ $id: `kind-${kind.name}`, ...shared(nodeSchema(base, kind)) })),
    ],
  });
  const names = Object.fromEntries(
    ['validateManifest', 'validateLock', 'validateConfig'].map((name) => [name, name]),
  );
  for (const [i, kind] of kinds.entries()) names[`kind${i}`] = `kind-${kind.name}`;
  const table = kinds.map(
    (kind, i) =>
      `  ${JSON.stringify(kind.name)}: { section: '${kind.section}', own: ${JSON.stringify(ownFields(kind))}, validate: kind${i} },\n`,
  );
  const contents = `${standalone.default(ajv, names)}\nexport const kindSchemas = {\n${table.join('')}};\n`;
  return bundled(contents, esbuild);
}

async function compileRecord() {
  const [{ Ajv2020 }, { default: standalone }, esbuild] = await Promise.all([
    import('ajv/dist/2020.js'),
    import('ajv/dist/standalone/index.js'),
    import('esbuild'),
  ]);
  const ajv = new Ajv2020({
    messages: false,
    allowUnionTypes: true,
    inlineRefs: false,
    code: { source: true, esm: true },
    schemas: [{ $id: 'record', ...readJson(RECORD) }],
  });
  return bundled(standalone.default(ajv, { isBuildRecord: 'record' }), esbuild);
}

/** The code calls small helpers of ajv, with require(). */
async function bundled(contents, esbuild) {
  const result = await esbuild.build({
    stdin: { contents, resolveDir: ROOT, sourcefile: 'validators.js' },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'silent',
  });
  return result.outputFiles[0].text;
}

function readKinds() {
  return Object.entries(SECTIONS).flatMap(([section, folder]) =>
    fragmentsIn(folder).map((file) => ({
      section,
      name: file.slice(0, -'.schema.json'.length),
      fragment: readJson(`${folder}/${file}`),
    })),
  );
}

function fragmentsIn(folder) {
  return readdirSync(join(ROOT, folder))
    .filter((file) => file.endsWith('.schema.json'))
    .sort();
}

/** A node of a kind: its fragment with what is common to all. A fragment takes a common field away with `false`. */
function nodeSchema(base, { fragment }) {
  const common = Object.fromEntries(
    Object.keys(base.$defs.common.properties).map((field) => [
      field,
      { $ref: `#/$defs/common/properties/${field}` },
    ]),
  );
  return {
    title: 'a node',
    description: fragment.description,
    type: 'object',
    required: fragment.required,
    additionalProperties: false,
    properties: { ...common, ...fragment.properties },
  };
}

function ownFields({ fragment }) {
  return Object.keys(fragment.properties).filter((field) => fragment.properties[field] !== false);
}

/**
 * The same schema for a manifest as written: where a value must have a form, text with \${...} in it does as well, as
 * the value is checked after interpolation. Keys are not interpolated, nor is what is read before the params are known.
 */
function withInterpolation(schema) {
  const walk = (value) => {
    if (typeof value !== 'object') return value;
    const inner = { ...value };
    for (const key of ['items', 'additionalProperties']) if (key in inner) inner[key] = written(inner[key]);
    for (const key of ['properties', '$defs']) if (key in inner) inner[key] = mapValues(inner[key], written);
    for (const key of ['anyOf', 'oneOf']) if (key in inner) inner[key] = inner[key].map(walk);
    if (inner.propertyNames?.$ref)
      inner.propertyNames = schema.$defs[inner.propertyNames.$ref.slice('#/$defs/'.length)];
    return inner;
  };
  const written = (value, key) => {
    if (['res', 'include', 'interpolated', 'select'].includes(key)) return value;
    const inner = walk(value);
    if (inner.anyOf?.some(isNarrow))
      return { ...inner, anyOf: [...inner.anyOf, { $ref: '#/$defs/interpolated' }] };
    if (!isNarrow(inner)) return inner;
    const { title, description, ...rest } = inner;
    return { title, description, anyOf: [rest, { $ref: '#/$defs/interpolated' }] };
  };
  return walk(schema);
}

function isNarrow({ type, enum: values, pattern }) {
  return type === 'integer' || type === 'boolean' || values !== undefined || pattern !== undefined;
}

function mapValues(object, change) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value, key)]));
}

function isCurrent(stamp) {
  return (
    existsSync(`${OUT}.d.ts`) &&
    existsSync(`${OUT}.js`) &&
    existsSync(`${RECORD_OUT}.d.ts`) &&
    existsSync(`${RECORD_OUT}.js`) &&
    readFileSync(`${OUT}.js`, 'utf8').startsWith(stamp)
  );
}

function inputsDigest() {
  const hash = createHash('sha256');
  const fragments = Object.values(SECTIONS).flatMap((folder) =>
    fragmentsIn(folder).map((file) => `${folder}/${file}`),
  );
  const own = ['scripts/validators.mjs', 'node_modules/ajv/package.json'];
  for (const file of [...own, BASE, LOCK, CONFIG, RECORD, ...fragments]) {
    const content = readFileSync(join(ROOT, file));
    hash.update(`${file}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(join(ROOT, file), 'utf8'));
  } catch (error) {
    throw new Error(`${file}: ${error.message}`, { cause: error });
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  writeFileSync(join(ROOT, MANIFEST), `${JSON.stringify(assembleSchema(), null, 2)}\n`);
  await generateValidators();
}
