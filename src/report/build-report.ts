// `res report`: what a build did, and where everything comes from, as one page for the screen and for paper.
import type {
  BuildRecord,
  RecordedChange,
  RecordedError,
  RecordedNode,
  RecordedOutcome,
} from '../model/build-record.js';
import type { PageFact, PageNode } from '../model/page.js';
import { documentScript } from './assets.generated.js';
import { criticalPath, type PathStep, pathTime } from './critical-path.js';
import { fieldLines, shortLines } from './fields.js';
import { count, formatBytes, formatDuration } from './format.js';
import { nodeLink } from './graph-page.js';
import { graphSection } from './graph-section.js';
import { outcomeCounts } from './history.js';
import { escapeMarkup } from './markup.js';
import { htmlPage } from './page.js';
import { reasonText } from './reasons.js';
import { timeline } from './timeline.js';

/** Outputs that are shown opened; more of them are opened on paper only. */
const OPENED = 12;
/** Sources that stand with an output; all are in the table of sources. */
const SOURCES_NAMED = 30;
/** Changes that are listed; the record has them all. */
const CHANGES_LISTED = 200;

export async function buildReport(record: BuildRecord): Promise<string> {
  const title = reportTitle(record);
  const critical = criticalPath(record.nodes);
  const nodes = record.nodes.map(pageNode);
  return htmlPage({
    title,
    script: documentScript,
    data: nodes,
    body: `<main>
<h1>${escapeMarkup(title)}</h1>
<p class="soft">${escapeMarkup(subtitle(record))}</p>
${errors(record)}
${cards(record, critical)}
${changes(record)}
${nodes.length === 0 ? '' : await graphSection(nodes)}
${timelineSection(record, critical)}
${nodesSection(record)}
${outputsSection(record)}
${sourcesSection(record)}
${environmentSection(record)}
${notices(record)}
</main>`,
  });
}

export function reportTitle({ manifest, id }: BuildRecord): string {
  return `Build report: ${manifest.name ?? manifest.file}, ${id}`;
}

function subtitle({ started, outcome, requested, manifest, options }: BuildRecord): string {
  const params = Object.entries(manifest.params).map(([name, value]) => `${name} ${value}`);
  const set = (['force', 'offline', 'frozen', 'overwrite', 'as_is', 'keep_going'] as const).filter(
    (name) => options[name],
  );
  const asked =
    requested.length <= 6
      ? requested.join(', ')
      : `${requested.slice(0, 5).join(', ')} and ${requested.length - 5} more`;
  return [
    `${started.slice(0, 19).replace('T', ' ')} UTC`,
    outcome,
    `asked for ${asked}`,
    ...params,
    ...set.map((name) => `--${name.replace('_', '-')}`),
  ].join(' · ');
}

function errors({ error, nodes }: BuildRecord): string {
  const all: readonly { readonly node: string | null; readonly error: RecordedError }[] = [
    ...(error === null ? [] : [{ node: null, error }]),
    ...nodes.flatMap((node) => (node.error === null ? [] : [{ node: node.name, error: node.error }])),
  ];
  if (all.length === 0) return '';
  return `<section aria-labelledby="errors"><h2 id="errors">What went wrong</h2>
${all
  .map(
    ({ node, error: { message, hint, tail = [] } }) =>
      `<p class="bad">${node === null ? 'The build stopped' : nodeLink(node)}</p><pre>${escapeMarkup([message, tail.map((line) => `| ${line}`).join('\n'), hint ?? ''].filter((text) => text !== '').join('\n\n'))}</pre>`,
  )
  .join('\n')}</section>`;
}

function cards(record: BuildRecord, critical: readonly PathStep[]): string {
  const { duration_ms, bytes, cache } = record;
  const counts = outcomeCounts(record);
  const words = (['ran', 'restored', 'fresh', 'failed', 'skipped', 'unfinished', 'waiting'] as const)
    .filter((outcome) => counts[outcome] > 0)
    .map((outcome) => `${counts[outcome]} ${outcome}`);
  const total = record.nodes.length + record.left_out;
  const spared = cache.fresh + cache.restored;
  const all: readonly (readonly [string, string, string])[] = [
    ['Time', formatDuration(duration_ms), `critical path ${formatDuration(pathTime(critical))}`],
    ['Nodes', String(total), words.join(', ')],
    [
      'Downloaded',
      formatBytes(bytes.downloaded),
      cache.saved_download_bytes === 0
        ? ''
        : `${formatBytes(cache.saved_download_bytes)} known and not fetched`,
    ],
    ['Read', formatBytes(bytes.read), 'by what ran'],
    ['Written', formatBytes(bytes.written), 'on disk, holes not counted'],
    [
      'Cache',
      total === 0 ? '–' : `${Math.round((100 * spared) / total)} %`,
      `of the nodes did not run${cache.saved_ms === 0 ? '' : `; they took ${formatDuration(cache.saved_ms)} when they did`}`,
    ],
  ];
  return `<dl class="cards">${all.map(([label, value, more]) => `<div><dt>${label}</dt><dd>${escapeMarkup(value)}<small>${escapeMarkup(more)}</small></dd></div>`).join('')}</dl>`;
}

function changes({ changes: found }: BuildRecord): string {
  const title = '<h2 id="changes">Changes since the build before</h2>';
  const section = (body: string) => `<section aria-labelledby="changes">${title}${body}</section>`;
  if (found === null) return section('<p>There is no record of a build before.</p>');
  const { since, entries } = found;
  if (entries.length === 0)
    return section(`<p>None: everything is as in the build ${escapeMarkup(since)}.</p>`);
  const left = entries.length - CHANGES_LISTED;
  return section(`<p class="soft">Compared with the build ${escapeMarkup(since)}.</p>
${table(
  ['What', 'Name', 'Was', 'Is'],
  entries
    .slice(0, CHANGES_LISTED)
    .map((change) => [change.what, changeName(change), code(change.was), code(change.now)]),
  'Table of changes',
)}${left > 0 ? `<p class="soft">and ${left} more</p>` : ''}`);
}

function changeName({ what, name, now }: RecordedChange): string {
  const isNode = (what === 'content' || what === 'recipe' || what === 'node') && now !== null;
  return isNode ? nodeLink(name) : escapeMarkup(name);
}

function code(value: string | null): string {
  return value === null
    ? ''
    : `<span class="mono">${escapeMarkup(value.length > 200 ? `${value.slice(0, 200)}…` : value)}</span>`;
}

function timelineSection(record: BuildRecord, critical: readonly PathStep[]): string {
  const runs = record.nodes
    .flatMap((node) => node.runs.map((run) => ({ node, run })))
    .toSorted((a, b) => a.run.start_ms - b.run.start_ms);
  if (runs.length === 0) return '';
  const onPath = new Set(critical.map(({ run }) => run));
  const rows = runs.map(({ node, run }) => [
    nodeLink(node.name),
    run.work,
    run.pool ?? '',
    run.waited_ms === undefined ? '' : formatDuration(run.waited_ms),
    formatDuration(run.start_ms),
    formatDuration(run.end_ms - run.start_ms),
    run.placing_ms === undefined ? '' : formatDuration(run.placing_ms),
    escapeMarkup(run.through.join(', ')),
    onPath.has(run) ? 'yes' : '',
  ]);
  const path = critical.map(
    ({ node, run }) => `${nodeLink(node)} (${formatDuration(run.end_ms - run.start_ms)})`,
  );
  return `<section aria-labelledby="timeline"><h2 id="timeline">Timeline</h2>
<div class="scroll" role="group" tabindex="0" aria-label="Timeline">${timeline(record, onPath)}</div>
<ul class="legend">${(['download', 'execute', 'restore'] as const).map((work) => swatch(work, work)).join('')}${swatch('placing', 'brought to its place on disk; the pool has room again')}${swatch('critical', 'critical path')}</ul>
<p>Critical path: ${path.join(' → ')}</p>
${poolTable(record)}
<details><summary>All ${count(runs.length, 'run')} as a table</summary>
${table(['Node', 'Work', 'Pool', '>Waited', '>Start', '>Time', '>Of that placing', 'In the same pass', 'Critical path'], rows, 'Table of runs')}</details></section>`;
}

function swatch(name: string, label: string): string {
  return `<li><svg viewBox="0 0 28 18" aria-hidden="true"><rect class="swatch-${name}" x="2" y="2" width="24" height="14" rx="2"/></svg>${label}</li>`;
}

/** How busy each pool was, and how long work waited for it. */
function poolTable({ pools, pool_use = {}, duration_ms }: BuildRecord): string {
  const rows = (['network', 'disk', 'cpu'] as const).flatMap((pool) => {
    const use = pool_use[pool];
    if (!use) return [];
    const share = Math.min(100, Math.round((100 * use.busy_ms) / Math.max(1, duration_ms * pools[pool])));
    return [
      [
        pool,
        String(pools[pool]),
        String(use.pieces),
        formatDuration(use.busy_ms),
        `${share} %`,
        formatDuration(use.waited_ms),
      ],
    ];
  });
  if (rows.length === 0) return '';
  return table(
    ['Pool', '>Places', '>Pieces of work', '>Busy', '>In use', '>Waited for a place'],
    rows,
    'Table of pools',
  );
}

function nodesSection({ nodes, left_out }: BuildRecord): string {
  if (nodes.length === 0) return '';
  const size = (bytes: number) => (bytes === 0 ? '' : formatBytes(bytes));
  const rows = nodes.map(({ name, kind, outcome, reasons, bytes, last_ms, content }) => [
    nodeLink(name),
    escapeMarkup(kind),
    outcome,
    escapeMarkup(outcome === 'fresh' ? '' : (reasons.slice(0, 1).map(reasonText)[0] ?? '')),
    content === null ? '' : formatBytes(sizeOf(content)),
    last_ms === null ? '' : formatDuration(last_ms),
    size(bytes.downloaded),
    size(bytes.read),
    size(bytes.written),
  ]);
  return `<section aria-labelledby="nodes"><h2 id="nodes">Nodes</h2>
${table(['Node', 'Kind', 'Outcome', 'Why', '>Size', '>Last run', '>Downloaded', '>Read', '>Written'], rows, 'Table of nodes')}${left_out === 0 ? '' : `<p>${left_out} more were fresh.</p>`}</section>`;
}

/** What the outputs are, and what they come from. */
function outputsSection({ nodes, requested }: BuildRecord): string {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const sources = sourcesOf(nodes);
  const outputs = nodes.filter(
    (node) => pathsOf(node).length > 0 || (requested.includes(node.name) && node.kind !== 'group'),
  );
  if (outputs.length === 0) return '';
  return `<section aria-labelledby="outputs"><h2 id="outputs">Provenance of the outputs</h2>
${outputs.map((node) => provenance(node, byName, sources, outputs.length <= OPENED)).join('\n')}</section>`;
}

function provenance(
  node: RecordedNode,
  byName: ReadonlyMap<string, RecordedNode>,
  sources: ReadonlyMap<string, ReadonlySet<string>>,
  isOpen: boolean,
): string {
  const own = [...(sources.get(node.name) ?? [])];
  const more = own.length - SOURCES_NAMED;
  const facts: readonly PageFact[] = [
    ['about', ...(node.description === null ? [] : [node.description])],
    ['content', ...contentLines(node)],
    ['kind', node.kind],
    ['recipe', ...fieldLines('', node.recipe)],
    ['checked by', ...(node.verify === null ? [] : fieldLines('', node.verify))],
    ['tools', ...Object.values(node.tools)],
    ['action key', ...(node.key === null ? [] : [node.key])],
    [
      'made of',
      ...node.inputs.map(({ role, node: input }) => {
        const digests = byName.get(input)?.content?.map(({ digest }) => digest) ?? [];
        const what = digests.length > 3 ? `${digests.length} files` : digests.join(' ');
        return `${input}${role === 'in' ? '' : ` as ${role}`}${what === '' ? '' : `: ${what}`}`;
      }),
    ],
    [
      'sources',
      ...own.slice(0, SOURCES_NAMED).map((name) => sourceName(name, byName.get(name))),
      ...(more > 0 ? [`and ${more} more: see the table of sources`] : []),
    ],
  ];
  return `<details class="node"${isOpen ? ' open' : ''}><summary><strong>${escapeMarkup(pathsOf(node).join(', ') || node.name)}</strong> <span class="soft">${escapeMarkup(node.name)}, ${node.outcome}</span></summary>
<dl>${facts
    .filter(([, ...values]) => values.length > 0)
    .map(fact)
    .join('')}</dl></details>`;
}

function fact([label, ...values]: PageFact): string {
  return `<dt>${label}</dt>${values.map((value) => `<dd class="mono">${escapeMarkup(value)}</dd>`).join('')}`;
}

function sourceName(name: string, node: RecordedNode | undefined): string {
  return node?.source ? `${name}: ${node.source.id}` : name;
}

/** By node, the artifacts that it comes from, itself if it is one. */
function sourcesOf(nodes: readonly RecordedNode[]): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  for (const { name, section, inputs } of nodes) {
    const own = new Set<string>(section === 'artifact' ? [name] : []);
    for (const { node } of inputs) for (const source of found.get(node) ?? []) own.add(source);
    found.set(name, own);
  }
  return found;
}

/** Of its outputs. */
function pathsOf({ output, outputs = {} }: RecordedNode): readonly string[] {
  return output === null ? Object.values(outputs) : [output];
}

function contentLines({ content }: RecordedNode): readonly string[] {
  return (content ?? []).map(
    ({ name, digest, size }) => `${digest}  ${name}  ${formatBytes(size)} (${size} bytes)`,
  );
}

function sourcesSection({ nodes }: BuildRecord): string {
  const artifacts = nodes.filter(({ section }) => section === 'artifact');
  if (artifacts.length === 0) return '';
  const lines = (texts: readonly string[]) =>
    texts.map((text) => `<span class="mono">${escapeMarkup(text)}</span>`).join('<br>');
  const rows = artifacts.map(({ name, kind, source, recipe, content }) => [
    nodeLink(name),
    escapeMarkup(kind),
    source === null
      ? lines(fieldLines('', recipe))
      : lines([
          source.id,
          ...(source.tag === null ? [] : [`tag ${source.tag}`]),
          ...(source.commit === null ? [] : [`commit ${source.commit}`]),
          ...source.urls,
        ]),
    lines((content ?? []).map(({ name: file, digest, size }) => `${digest} ${file} (${size} bytes)`)),
  ]);
  return `<section aria-labelledby="sources"><h2 id="sources">Sources</h2>
${table(['Node', 'Kind', 'From', 'Content'], rows, 'Table of sources')}</section>`;
}

function environmentSection({ environment, manifest, options }: BuildRecord): string {
  const { res, node, platform, arch, release, cpus, cpu, memory_bytes, file_system, tools } = environment;
  const facts: readonly PageFact[] = [
    ['res', res],
    ['Node.js', node],
    ['system', `${platform} ${release}, ${arch}`],
    ['processors', `${cpus} × ${cpu === '' ? 'not known' : cpu}; ${options.jobs} actions at a time`],
    ['memory', formatBytes(memory_bytes)],
    ['file system', file_system ?? 'not known'],
    ...Object.entries(tools).map(([tool, is]): PageFact => [tool, is]),
    ['manifest', `${manifest.file}${manifest.sha256 === null ? '' : `, sha256 ${manifest.sha256}`}`],
    ...Object.entries(manifest.includes ?? {}).map(
      ([file, sha256]): PageFact => ['included', `${file}, sha256 ${sha256}`],
    ),
    ['lock', manifest.lock_sha256 === null ? 'none' : `sha256 ${manifest.lock_sha256}`],
    ['commit', manifest.commit ?? 'not in git'],
  ];
  return `<section aria-labelledby="environment"><h2 id="environment">Environment</h2>
<div class="scroll" role="group" tabindex="0" aria-label="Table of the environment"><table><tbody>${facts.map(([label, value]) => `<tr><th scope="row">${escapeMarkup(label)}</th><td class="mono">${escapeMarkup(value ?? '')}</td></tr>`).join('')}</tbody></table></div></section>`;
}

function notices({ notices: all }: BuildRecord): string {
  if (all.length === 0) return '';
  const rows = all.map(({ at_ms, node, message }) => [
    formatDuration(at_ms),
    node === null ? '' : nodeLink(node),
    escapeMarkup(message),
  ]);
  return `<section aria-labelledby="notices"><h2 id="notices">Notices</h2>${table(['>At', 'Node', 'Message'], rows, 'Table of notices')}</section>`;
}

/** @param titles `>` before one: a column of numbers @param rows cells of markup */
function table(titles: readonly string[], rows: readonly (readonly string[])[], label: string): string {
  const numbers = titles.map((title) => title.startsWith('>'));
  const cell = (text: string, i: number) => `<td${numbers[i] ? ' class="number"' : ''}>${text}</td>`;
  return `<div class="scroll" role="group" tabindex="0" aria-label="${label}"><table><thead><tr>${titles.map((title, i) => `<th scope="col"${numbers[i] ? ' class="number"' : ''}>${title.replace('>', '')}</th>`).join('')}</tr></thead>
<tbody>${rows.map((row) => `<tr>${row.map(cell).join('')}</tr>`).join('\n')}</tbody></table></div>`;
}

function pageNode(node: RecordedNode): PageNode {
  const {
    name,
    section,
    kind,
    inputs,
    outcome,
    content,
    last_ms,
    description,
    reasons,
    recipe,
    tools,
    error,
    bytes,
  } = node;
  const facts: readonly PageFact[] = [
    ['about', ...(description === null ? [] : [description])],
    ['why', ...(outcome === 'fresh' ? [] : reasons.map(reasonText))],
    ['error', ...(error === null ? [] : [error.message])],
    ['recipe', ...shortLines(fieldLines('', recipe))],
    ['output', ...pathsOf(node)],
    ['content', ...contentLines(node)],
    ['last run', ...(last_ms === null ? [] : [formatDuration(last_ms)])],
    [
      'bytes',
      ...(['downloaded', 'read', 'written'] as const)
        .filter((what) => bytes[what] > 0)
        .map((what) => `${formatBytes(bytes[what])} ${what}`),
    ],
    ['tools', ...Object.values(tools)],
  ];
  return {
    name,
    kind,
    section,
    state: stateOf(outcome),
    size: content === null ? null : sizeOf(content),
    ms: last_ms,
    inputs,
    facts: facts.filter(([, ...values]) => values.length > 0),
  };
}

function stateOf(outcome: RecordedOutcome): PageNode['state'] {
  return outcome;
}

function sizeOf(content: NonNullable<RecordedNode['content']>): number {
  return content.reduce((sum, { size }) => sum + size, 0);
}
