// `res graph --format html`: the graph as a page to look around in, and as a table for those who see no picture.
import { type PageNode, stateCounts } from '../model/page.js';
import { documentScript } from './assets.generated.js';
import { count, formatBytes, formatDuration } from './format.js';
import { graphSection } from './graph-section.js';
import { escapeMarkup } from './markup.js';
import { htmlPage } from './page.js';

export interface GraphPage {
  /** Plain text. */
  readonly title: string;
  readonly params: Readonly<Record<string, string>>;
  /** Inputs first. */
  readonly nodes: readonly PageNode[];
}

export async function graphPage({ title, params, nodes }: GraphPage): Promise<string> {
  const about = [graphSummary(nodes), ...Object.entries(params).map(([name, value]) => `${name} ${value}`)];
  return htmlPage({
    title,
    script: documentScript,
    data: nodes,
    body: `<main>
<h1>${escapeMarkup(title)}</h1>
<p class="soft">${escapeMarkup(about.join(' · '))}</p>
${await graphSection(nodes)}
${nodesTable(nodes)}
</main>`,
  });
}

/** `7 nodes: 2 stale, 5 fresh` */
export function graphSummary(nodes: readonly PageNode[]): string {
  const counts = stateCounts(nodes.map(({ state }) => state));
  return `${count(nodes.length, 'node')}${counts === '' ? '' : `: ${counts}`}`;
}

function nodesTable(nodes: readonly PageNode[]): string {
  return `<section aria-labelledby="nodes"><h2 id="nodes">Nodes</h2>
<div class="scroll" role="group" tabindex="0" aria-label="Table of nodes"><table>
<thead><tr><th scope="col">Node</th><th scope="col">Kind</th><th scope="col">State</th><th scope="col" class="number">Size</th><th scope="col" class="number">Last run</th><th scope="col">Made of</th></tr></thead>
<tbody>
${nodes.map(row).join('\n')}
</tbody></table></div></section>`;
}

function row({ name, kind, state, size, ms, inputs }: PageNode): string {
  return `<tr><th scope="row">${nodeLink(name)}</th><td>${escapeMarkup(kind)}</td><td>${state ?? ''}</td><td class="number">${size === null ? '' : formatBytes(size)}</td><td class="number">${ms === null ? '' : formatDuration(ms)}</td><td>${inputs.map(({ node }) => escapeMarkup(node)).join(', ')}</td></tr>`;
}

/** Leads to the node in the graph of the page. */
export function nodeLink(name: string): string {
  return `<a href="#graph" data-node="${escapeMarkup(name)}">${escapeMarkup(name)}</a>`;
}
