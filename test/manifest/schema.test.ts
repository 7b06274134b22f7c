// The JSON Schema that editors read: made of the same fragments as the validators, and of one mind with them.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: manifests have holes
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { kindSchemas } from '../../src/manifest/validate.generated.js';
import { REPO_ROOT } from '../rig/places.js';
import { errorOf, load } from './workspace.js';

const read = (file: string): unknown => JSON.parse(readFileSync(join(REPO_ROOT, file), 'utf8'));

describe('schemas/resources.schema.json', () => {
  it('is up to date: `node scripts/validators.mjs` writes it', async () => {
    const { assembleSchema }: { assembleSchema(): unknown } = await import(
      join(REPO_ROOT, 'scripts/validators.mjs')
    );
    expect(read('schemas/resources.schema.json')).toEqual(JSON.parse(JSON.stringify(assembleSchema())));
  });

  const schema: object = Object(read('schemas/resources.schema.json'));
  const validate = new Ajv2020({ allErrors: true, allowUnionTypes: true }).compile(schema);
  const accepts = (text: string) => validate(parse(text));

  it('accepts the manifests of this repository', () => {
    const examples = readdirSync(join(REPO_ROOT, 'examples'), { recursive: true, encoding: 'utf8' });
    const manifests = [
      'resources.yaml',
      ...examples.filter((name) => /(^|\/)resources\.yaml$/.test(name)).map((name) => `examples/${name}`),
    ];
    for (const file of manifests.filter((name) => existsSync(join(REPO_ROOT, name)))) {
      accepts(readFileSync(join(REPO_ROOT, file), 'utf8'));
      expect([file, validate.errors]).toEqual([file, null]);
    }
  });

  const A =
    'res: 1\nparams: { p: { default: raw }, n: { default: 1 } }\nartifacts:\n  a: { path: x }\ntargets:\n  b: ';
  it.each([
    ['{ convert: a, to: raw }', true],
    ['{ convert: a, to: "${p}" }', true],
    ['{ extract: a, strip: "${n}" }', true],
    ['{ convert: a, to: raw, size: 10G, options: { cluster_size: 64k } }', true],
    ['{ group: [a] }', true],
    ['{ convert: a, to: rwa }', false],
    ['{ extract: a, strip: "1" }', false],
    ['{ group: [a], output: x }', false],
    ['{ copy: a, merge: a }', false],
    ['{ copy: a, ouput: x }', false],
    ['{ copy: a, verify: {} }', false],
    ['{ copy: A }', false],
    ['{ output: x }', false],
  ])('thinks of %s as res does', (node, good) => {
    expect(accepts(A + node)).toBe(good);
    if (good) load(A + node);
    else expect(errorOf(() => load(A + node)).code).toBe('manifest-invalid');
  });

  it('says what everything is for', () => {
    const undescribed: string[] = [];
    const visit = (value: unknown, path: string) => {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
      for (const [key, child] of Object.entries(value)) {
        if (key === 'properties') {
          for (const [name, property] of Object.entries(Object(child))) {
            const { description, $ref } = Object(property);
            const common = typeof $ref === 'string' && $ref.startsWith('#/$defs/common');
            if (property !== false && description === undefined && !common)
              undescribed.push(`${path}/${name}`);
          }
        }
        visit(child, `${path}/${key}`);
      }
    };
    visit(schema, '');
    expect(undescribed).toEqual([]);
  });
});

describe('the validators', () => {
  it('know a kind for every fragment, artifacts by sources/ and targets by kinds/', () => {
    const fragments = (folder: string) =>
      readdirSync(join(REPO_ROOT, 'src', folder)).flatMap((name) =>
        name.endsWith('.schema.json') ? [name.slice(0, -12)] : [],
      );
    const known = (section: string) =>
      Object.entries(kindSchemas).flatMap(([name, kind]) => (kind.section === section ? [name] : []));
    expect(known('artifact')).toEqual(fragments('sources').sort());
    expect(known('target')).toEqual(fragments('kinds').sort());
  });
});
