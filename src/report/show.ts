// What `res show` says: everything known about one node.
import { type Digest, digestAlgorithm } from '../model/digest.js';
import type { JsonObject } from '../model/json.js';
import type { LockEntry } from '../model/lock.js';
import { type Node, type NodeSection, referenceText } from '../model/node.js';
import type { NodePlan, NodeState } from '../model/plan.js';
import { redactRecipe } from '../sources/redact.js';
import { withoutName } from './error.js';
import { fieldLines } from './fields.js';
import { fold, moreText } from './fold.js';
import { formatBytes, formatDuration } from './format.js';
import { type Page, stateColours } from './paint.js';
import { type ReasonJson, reasonJson, reasonText } from './reasons.js';
import { hang, oneLine } from './text.js';

export interface ShownNode {
  readonly node: Node;
  readonly plan: NodePlan;
  /** Absolute; null for an intermediate, and for a node with outputs by name. */
  readonly output: string | null;
  /** Of artifacts that are locked. */
  readonly source: { readonly id: string; readonly entry: LockEntry | undefined } | undefined;
  readonly lastRun:
    | {
        readonly at: number;
        readonly durationMs: number;
        readonly status: 'done' | 'failed';
        readonly error?: string;
      }
    | undefined;
  /** Absolute; undefined when the node left none. */
  readonly log: string | undefined;
  /** Plain checksums by output, where they were asked for; null where the bytes are not at hand. */
  readonly sha256: readonly (string | null)[] | undefined;
}

export interface ShowJson {
  readonly name: string;
  readonly section: NodeSection;
  readonly kind: string;
  readonly description: string | null;
  readonly state: NodeState;
  readonly reasons: readonly ReasonJson[];
  readonly recipe: JsonObject;
  readonly verify: JsonObject | null;
  readonly inputs: readonly { readonly role: string; readonly node: string; readonly output?: string }[];
  readonly tools: Readonly<Record<string, string>>;
  readonly key: string | null;
  readonly output: string | null;
  readonly executable: boolean;
  readonly present: boolean;
  readonly outputs: readonly {
    readonly path: string | null;
    readonly digest: Digest;
    readonly size: number;
    /** Only with --sha256. */
    readonly sha256?: string | null;
  }[];
  readonly source: {
    readonly id: string;
    readonly tag: string | null;
    readonly commit: string | null;
    readonly files: readonly {
      readonly name: string;
      readonly url: string;
      readonly sha256: string | null;
      readonly size: number | null;
    }[];
  } | null;
  readonly last_run: {
    /** ISO 8601, UTC. */
    readonly at: string;
    readonly duration_ms: number;
    readonly status: 'done' | 'failed';
    /** What it failed with; null when it did not. */
    readonly error: string | null;
  } | null;
  readonly log: string | null;
}

export function showJson(shown: ShownNode): ShowJson {
  const { node, plan, source, lastRun, sha256 } = shown;
  return {
    name: node.name,
    section: node.section,
    kind: node.kind,
    description: node.description ?? null,
    state: plan.state,
    reasons: plan.reasons.map(reasonJson),
    recipe: redactRecipe(node.recipe),
    verify: node.verify === undefined ? null : { ...node.verify },
    inputs: node.references.map(({ role, node: name, item }) =>
      item === undefined ? { role, node: name } : { role, node: name, output: item },
    ),
    tools: plan.action?.tools ?? {},
    key: plan.key,
    output: shown.output,
    executable: node.executable,
    present: plan.present,
    outputs: plan.outputs.map((output, i) => ({
      ...output,
      ...(sha256 === undefined ? {} : { sha256: sha256[i] ?? null }),
    })),
    source:
      source === undefined
        ? null
        : {
            id: source.id,
            tag: source.entry?.tag ?? null,
            commit: source.entry?.commit ?? null,
            files: (source.entry?.files ?? []).map((file) => ({
              name: file.name,
              url: file.url,
              sha256: file.sha256 ?? null,
              size: file.size ?? null,
            })),
          },
    last_run:
      lastRun === undefined
        ? null
        : {
            at: new Date(lastRun.at).toISOString(),
            duration_ms: lastRun.durationMs,
            status: lastRun.status,
            error: lastRun.error === undefined ? null : withoutName(lastRun.error, node.name),
          },
    log: shown.log ?? null,
  };
}

/** Cells of the names of fields: a digest with its algorithm stands beside one within 80 columns. */
const FIELD = 9;
/** More inputs stand side by side. */
const INPUT_LINES = 8;

export function showText(shown: ShownNode, page: Page): string[] {
  const json = showJson(shown);
  const lines: string[] = [];
  const field = (name: string, values: readonly string[]) => {
    const { shown: told, more } = fold(values, page);
    told.forEach((value, i) => {
      const lead = page.paint('dim', (i === 0 ? name : '').padEnd(FIELD));
      lines.push(...hang(lead, oneLine(value), page.width, FIELD + 2));
    });
    lines.push(...moreText(more, 'line', page).map((line) => ' '.repeat(FIELD) + line));
  };
  const title = page.paint('bold', json.name);
  lines.push(
    ...(json.description === null ? [title] : hang(`${title}  `, oneLine(json.description), page.width, 2)),
    `${page.paint('dim', 'state'.padEnd(FIELD))}${page.paint(stateColours[json.state], json.state)}${json.present ? '' : ', bytes not at hand'}`,
  );
  field('', shown.plan.failure === undefined ? shown.plan.reasons.map(reasonText) : []);
  field('kind', [`${json.kind} (${json.section})`]);
  field('recipe', fieldLines('', json.recipe).flatMap(scriptLines));
  field('verify', json.verify === null ? [] : fieldLines('', json.verify));
  const inputs = shown.node.references.map((each) =>
    each.role === 'in' ? referenceText(each) : `${referenceText(each)} (${each.role})`,
  );
  field('inputs', inputs.length > INPUT_LINES ? [inputs.join(', ')] : inputs);
  field(
    'tools',
    // `qemu-img version 7.2.0` says itself whose version it is.
    Object.entries(json.tools).map(([tool, identity]) =>
      identity.startsWith(`${tool} `) ? identity : `${tool}: ${identity}`,
    ),
  );
  field('key', [json.key ?? 'not known yet: an input is not known']);
  field(
    'output',
    shown.node.outputs?.map(({ name, path }) => `${path} (${name})`) ?? [
      json.output === null ? 'none: an intermediate' : page.path(json.output),
    ],
  );
  field('content', shown.plan.content === null ? ['not known yet'] : outputLines(json, shown, page));
  if (json.source) field('source', sourceLines(json.source));
  // Files of the workspace are as they are: nothing runs to get them.
  if (json.section === 'target' || json.source) field('last run', lastRunLines(json.last_run));
  field('log', json.log === null ? [] : [page.path(json.log)]);
  return lines;
}

/** A script is shown as it is written, line by line. */
function scriptLines(line: string): readonly string[] {
  return line.trimEnd().replaceAll('\n', '\n  ').split('\n');
}

function outputLines(json: ShowJson, shown: ShownNode, page: Page): string[] {
  return json.outputs.flatMap(({ path, digest, size, sha256 }, i) => {
    const name = path === null ? shown.plan.content?.[i]?.name : page.path(path);
    const plain =
      sha256 === undefined || digestAlgorithm(digest) === 'sha256'
        ? []
        : [sha256 === null ? 'sha256 not known: no plain file at hand' : `sha256:${sha256}`];
    const exact = size < 1024 ? '' : ` (${size} bytes)`;
    return [`${name ?? ''}  ${formatBytes(size)}${exact}`, digest, ...plain];
  });
}

function sourceLines({ id, tag, commit, files }: NonNullable<ShowJson['source']>): string[] {
  return [
    id,
    ...(tag === null ? [] : [`tag ${tag}`]),
    ...(commit === null ? [] : [`commit ${commit}`]),
    ...(files.length === 0 ? ['not locked yet'] : files.map(({ url }) => url)),
  ];
}

function lastRunLines(run: ShowJson['last_run']): string[] {
  if (run === null) return ['never'];
  const when = `${run.at.slice(0, 19).replace('T', ' ')} UTC`;
  if (run.status === 'done') return [`done in ${formatDuration(run.duration_ms)}, ${when}`];
  return [`failed, ${when}`, ...(run.error?.split('\n') ?? [])];
}
