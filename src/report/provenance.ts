// Provenance in the form that other programs check: an in-toto statement v1 with the predicate of SLSA provenance v1.
import type { JsonObject } from '../model/json.js';
import type { Provenance, ProvenanceSource } from '../model/report.js';

/** in-toto's ResourceDescriptor, as far as it is used. */
export interface ResourceDescriptor {
  readonly name?: string;
  readonly uri?: string;
  readonly digest?: { readonly sha256: string } | { readonly gitCommit: string };
  readonly annotations?: JsonObject;
}

export interface Statement {
  readonly _type: 'https://in-toto.io/Statement/v1';
  readonly subject: readonly { readonly name: string; readonly digest: { readonly sha256: string } }[];
  readonly predicateType: 'https://slsa.dev/provenance/v1';
  readonly predicate: {
    readonly buildDefinition: {
      readonly buildType: typeof BUILD_TYPE;
      readonly externalParameters: JsonObject;
      readonly internalParameters: JsonObject;
      readonly resolvedDependencies: readonly ResourceDescriptor[];
    };
    readonly runDetails: {
      readonly builder: {
        readonly id: typeof BUILDER;
        readonly version: Readonly<Record<string, string>>;
      };
      /** RFC 3339, UTC. */
      readonly metadata: { readonly startedOn?: string; readonly finishedOn?: string };
    };
  };
}

/** What the parameters mean: `node` of `manifest` with `params`, by the `steps`. */
export const BUILD_TYPE = 'urn:x-res:build:1';
/** Whoever ran res: nobody vouches for more. */
export const BUILDER = 'urn:x-res:builder:local';

/** @param version of res */
export function provenanceStatement(provenance: Provenance, version: string): Statement {
  const { node, params, manifest, outputs, sources, steps, startedAt, finishedAt } = provenance;
  const [root] = manifest;
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: outputs.map(({ name, sha256 }) => ({ name, digest: { sha256 } })),
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: BUILD_TYPE,
        externalParameters: { manifest: root?.name ?? '', node, params },
        internalParameters: {
          steps: steps.map(({ asIs, ...step }) => ({
            ...step,
            inputs: step.inputs.map((input) => ({ ...input })),
            // A person vouches for it then, not the recipe.
            ...(asIs ? { accepted_as_is: true } : {}),
          })),
        },
        resolvedDependencies: [
          ...manifest.map(({ name, sha256 }) => ({ name, digest: { sha256 } })),
          ...sources.map(dependency),
        ],
      },
      runDetails: {
        builder: {
          id: BUILDER,
          version: { res: version, ...Object.assign({}, ...steps.map(({ tools }) => tools)) },
        },
        metadata: {
          ...(startedAt === null ? {} : { startedOn: new Date(startedAt).toISOString() }),
          ...(finishedAt === null ? {} : { finishedOn: new Date(finishedAt).toISOString() }),
        },
      },
    },
  };
}

function dependency({
  node,
  name,
  path,
  url,
  sha256,
  gitCommit,
  source,
  release,
}: ProvenanceSource): ResourceDescriptor {
  return {
    name: path ?? name,
    ...(url === null ? {} : { uri: url }),
    ...(sha256 === null ? {} : { digest: { sha256 } }),
    ...(gitCommit === null ? {} : { digest: { gitCommit } }),
    annotations: {
      node,
      ...(source === null ? {} : { source }),
      ...(release === null ? {} : { release }),
    },
  };
}
