// Holds src/ to its layers: imports go downwards only, siblings that must not know of each other do not, and no files
// import each other in a circle. `import type` counts too: knowing a type is knowing. `import()` counts but for circles:
// a table of what is loaded on demand may be read by what is in it.
//   node scripts/layers.mjs [SRC]    one line for each offence; exit status 1 if there are any
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** From top to bottom. Folders in one row do not import each other. */
const LAYERS = [
  ['cli'],
  ['library'],
  ['report', 'execute'],
  ['plan'],
  ['kinds', 'sources'],
  ['store'],
  ['graph'],
  ['manifest'],
  // What runs in a browser knows the data of its pages, and nothing else.
  ['web'],
  ['model'],
];
/** Here each file that the registry lists stands alone; what it does not list is a helper that they may share. */
const REGISTERED = ['kinds', 'sources'];
/** The library: on top of everything but the command line, and nothing is on top of it. */
const LIBRARY = 'index.ts';

/** All offences of the tree at `src`, each as one line of text. */
export function layerOffences(src) {
  const files = typescriptFiles(src, '');
  const imports = new Map(files.map((file) => [file, importsOf(src, file, [STATEMENT, CALL])]));
  const loading = new Map(files.map((file) => [file, importsOf(src, file, [STATEMENT])]));
  const registries = REGISTERED.map((folder) => `${folder}/registry.ts`).filter((file) => imports.has(file));
  const registered = new Set(registries.flatMap((file) => importsOf(src, file, [VALUE])));
  return [
    ...files.flatMap((file) => strangers(file)),
    ...[...imports].flatMap(([from, targets]) =>
      targets.flatMap((to) => offence(from, to, { imports, registered })),
    ),
    ...circles(loading).map((circle) => `circle: ${[...circle, circle[0]].join(' -> ')}`),
  ];
}

function strangers(file) {
  if (file === LIBRARY || rank(file) !== undefined) return [];
  return [`${file}: is in no known layer`];
}

function offence(from, to, { imports, registered }) {
  if (!imports.has(to)) return [`${from}: imports ${to}, which does not exist in src`];
  if (to === LIBRARY) return [`${from}: imports ${to}, which is above all layers`];
  if (from === LIBRARY)
    return layerOf(to) === 'cli' ? [`${from}: the library imports the command line (${to})`] : [];
  const [above, below] = [rank(from), rank(to)];
  if (above === undefined || below === undefined) return [];
  if (below < above) return [`${from}: imports ${to}, which is in a higher layer`];
  if (below === above && layerOf(from) !== layerOf(to)) return [`${from}: imports ${to}, which is beside it`];
  if (registered.has(from) && registered.has(to) && layerOf(from) === layerOf(to)) {
    return [`${from}: imports its sibling ${to}`];
  }
  return [];
}

/** One circle for each group of files that reach each other, by depth-first search. */
function circles(imports) {
  const found = [];
  const done = new Set();
  const path = [];
  const visit = (file) => {
    if (path.includes(file)) {
      found.push(path.slice(path.indexOf(file)));
      return;
    }
    if (done.has(file)) return;
    path.push(file);
    for (const target of imports.get(file) ?? []) visit(target);
    path.pop();
    done.add(file);
  };
  for (const file of imports.keys()) visit(file);
  return found;
}

function layerOf(file) {
  return file.split('/')[0];
}

/** 0 is the top; undefined for what is in no layer. */
function rank(file) {
  const row = LAYERS.findIndex((folders) => file.includes('/') && folders.includes(layerOf(file)));
  return row < 0 ? undefined : row;
}

/** Statements stand at the start of a line (the formatter sees to it); `import()` may stand anywhere. */
const STATEMENT = /^(?:import|export)\b(?:[^'"`;]*?\bfrom)?\s*['"]([^'"]+)['"]/gm;
const VALUE = /^import\s+(?!type\b)(?:[^'"`;]*?\bfrom)?\s*['"]([^'"]+)['"]/gm;
const CALL = /\bimport\(\s*['"]([^'"]+)['"]/g;

/** The files of src that a file imports, as paths relative to src. */
function importsOf(src, file, patterns) {
  const text = readFileSync(join(src, file), 'utf8');
  const specifiers = patterns.flatMap((pattern) => [...text.matchAll(pattern)].map((match) => match[1]));
  const targets = specifiers
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => relative(src, join(src, dirname(file), specifier)).replace(/\.js$/, '.ts'))
    // Data, and what the build writes, have no imports of their own.
    .filter((target) => target.endsWith('.ts') && !target.includes('.generated.'));
  return [...new Set(targets)];
}

function typescriptFiles(src, folder) {
  return readdirSync(join(src, folder))
    .sort()
    .map((entry) => (folder === '' ? entry : `${folder}/${entry}`))
    .flatMap((path) => (statSync(join(src, path)).isDirectory() ? typescriptFiles(src, path) : [path]))
    .filter((path) => path.endsWith('.ts') && !path.includes('.generated.'));
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const src = resolve(process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), '../src'));
  if (!existsSync(src)) throw new Error(`${src} does not exist`);
  const offences = layerOffences(src);
  for (const line of offences) console.log(line);
  process.exitCode = offences.length === 0 ? 0 : 1;
}
