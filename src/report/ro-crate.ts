// The description of an exported folder as a Research Object Crate: ro-crate-metadata.json of RO-Crate 1.1. Of the layers below
// it knows only what an export is; paths become ids that are valid URI references.
import type { Json, JsonObject } from '../model/json.js';
import type { Provenance, ProvenanceSource } from '../model/report.js';

export const CRATE_FILE = 'ro-crate-metadata.json';

export interface CratePart {
  readonly path: string;
  readonly type: 'file' | 'directory';
  readonly size: number;
  readonly sha256: string | undefined;
}

export interface CrateContent {
  readonly manifest: readonly CratePart[];
  readonly nodes: readonly {
    readonly provenance: Provenance;
    readonly description: string | undefined;
    readonly statement: string;
    readonly outputs: readonly CratePart[];
  }[];
}

export interface CrateAbout {
  readonly name: string;
  /** A URL, or words. */
  readonly license: string | undefined;
  /** ms since 1970, UTC. */
  readonly published: number;
  /** Of res. */
  readonly version: string;
}

export interface Crate {
  readonly '@context': readonly Json[];
  readonly '@graph': readonly JsonObject[];
}

export function roCrate({ manifest, nodes }: CrateContent, about: CrateAbout): Crate {
  const statements = nodes.map(({ statement }) =>
    part(
      { path: statement, type: 'file', size: 0, sha256: undefined },
      {
        encodingFormat: 'application/vnd.in-toto+json',
      },
    ),
  );
  const sources = uniqueById(nodes.flatMap(({ provenance }) => provenance.sources.map(sourceEntity)));
  const web = sources.filter((entity) => entity['@type'] === 'File');
  const outputs = nodes.flatMap(({ outputs, description }) =>
    outputs.map((output) => part(output, description === undefined ? {} : { description })),
  );
  const parts = uniqueById([
    ...manifest.map((file) => part(file, { encodingFormat: 'application/yaml' })),
    ...statements,
    ...outputs,
    ...web,
  ]);
  const tools = uniqueById(nodes.flatMap(({ provenance }) => toolEntities(provenance)));
  const res = {
    '@id': '#res',
    '@type': 'SoftwareApplication',
    name: 'res',
    softwareVersion: about.version,
    description: 'a make for disk images: it made what is in this crate from the manifest',
  };
  const license = licenseEntity(about.license);
  return {
    // The terms of RO-Crate 1.1 have no sum in them.
    '@context': ['https://w3id.org/ro/crate/1.1/context', { sha256: 'https://schema.org/sha256' }],
    '@graph': [
      {
        '@id': CRATE_FILE,
        '@type': 'CreativeWork',
        conformsTo: { '@id': 'https://w3id.org/ro/crate/1.1' },
        about: { '@id': './' },
      },
      {
        '@id': './',
        '@type': 'Dataset',
        name: about.name,
        description: `Made by res from ${manifest[0]?.path ?? 'a manifest'}: ${nodes.map(({ provenance }) => provenance.node).join(', ')}.`,
        datePublished: new Date(about.published).toISOString(),
        license: license
          ? { '@id': String(license['@id']) }
          : (about.license ?? 'No licence is stated: ask the authors.'),
        hasPart: parts.map(reference),
        mentions: nodes.map(({ provenance }) => ({ '@id': actionId(provenance) })),
      },
      ...parts,
      ...sources.filter((entity) => entity['@type'] !== 'File'),
      ...nodes.map((node) => action(node, manifest)),
      res,
      ...tools,
      ...(license ? [license] : []),
    ],
  };
}

function part({ path, type, size, sha256 }: CratePart, more: JsonObject): JsonObject {
  const id = type === 'directory' ? `${uriPath(path)}/` : uriPath(path);
  return {
    '@id': id,
    '@type': type === 'directory' ? 'Dataset' : 'File',
    name: path,
    ...(size > 0 ? { contentSize: String(size) } : {}),
    ...(sha256 === undefined ? {} : { sha256 }),
    ...more,
  };
}

/** What is on the web is a data entity that can be had there; a file of the author's is only named. */
function sourceEntity({ name, path, url, sha256, size, release }: ProvenanceSource): JsonObject {
  const isWeb = url !== null && /^https?:/.test(url) && URL.canParse(url);
  const own = url ?? path ?? name;
  return {
    '@id': isWeb ? new URL(url).href : `#source-${uriPath(own)}`,
    '@type': isWeb ? 'File' : 'CreativeWork',
    name: path ?? name,
    ...(release === null ? {} : { version: release }),
    ...(size === null ? {} : { contentSize: String(size) }),
    ...(sha256 === null ? {} : { sha256 }),
  };
}

function toolEntities({ steps }: Provenance): readonly JsonObject[] {
  return steps.flatMap(({ tools }) =>
    Object.entries(tools).map(([tool, version]) => ({
      '@id': `#tool-${uriPath(tool)}`,
      '@type': 'SoftwareApplication',
      name: tool,
      softwareVersion: version,
    })),
  );
}

function action(
  { provenance, outputs, statement }: CrateContent['nodes'][number],
  manifest: CrateContent['manifest'],
): JsonObject {
  const { node, sources, startedAt, finishedAt } = provenance;
  const params = Object.entries(provenance.params).map(([name, value]) => `${name}=${value}`);
  return {
    '@id': actionId(provenance),
    '@type': 'CreateAction',
    name: `res build ${node}`,
    ...(params.length === 0 ? {} : { description: `with ${params.join(' ')}` }),
    instrument: [{ '@id': '#res' }, ...uniqueById(toolEntities(provenance)).map(reference)],
    object: uniqueById([...manifest.map((file) => part(file, {})), ...sources.map(sourceEntity)]).map(
      reference,
    ),
    result: outputs.map((output) => reference(part(output, {}))),
    subjectOf: { '@id': uriPath(statement) },
    ...(startedAt === null ? {} : { startTime: new Date(startedAt).toISOString() }),
    ...(finishedAt === null ? {} : { endTime: new Date(finishedAt).toISOString() }),
  };
}

function actionId({ node }: Provenance): string {
  return `#build-${uriPath(node)}`;
}

function licenseEntity(license: string | undefined): JsonObject | undefined {
  if (license === undefined || !/^https?:/.test(license) || !URL.canParse(license)) return undefined;
  const { href } = new URL(license);
  return { '@id': href, '@type': 'CreativeWork', name: href, description: 'the licence of this crate' };
}

function reference(entity: JsonObject): JsonObject {
  return { '@id': entity['@id'] ?? '' };
}

function uniqueById(entities: readonly JsonObject[]): readonly JsonObject[] {
  return [...new Map(entities.map((entity) => [entity['@id'], entity])).values()];
}

/** Letters of all languages may stand in an id; what means something in a URI may not. */
function uriPath(path: string): string {
  return path
    .split('/')
    .map((segment) =>
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is escaped
      segment.replace(/[\u0000-\u0020"#%<>?[\\\]^`{|}\u007f]/g, (character) => encodeURIComponent(character)),
    )
    .join('/');
}
