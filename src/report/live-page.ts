// `res ui`: the page that shows a build while it runs.
import { type PageNode, STATES_BY_WEIGHT } from '../model/page.js';
import { liveScript } from './assets.generated.js';
import { graphSection } from './graph-section.js';
import { escapeMarkup } from './markup.js';
import { htmlPage } from './page.js';

export interface LivePage {
  /** Plain text. */
  readonly title: string;
  readonly params: Readonly<Record<string, string>>;
  /** What `Build` builds. */
  readonly requested: readonly string[];
  /** Inputs first. */
  readonly nodes: readonly PageNode[];
  /** Without it the server answers nothing. */
  readonly token: string;
}

/** The part of the page that shows the graph. */
export function liveGraph(nodes: readonly PageNode[]): Promise<string> {
  return graphSection(
    nodes,
    STATES_BY_WEIGHT.filter((state) => state !== 'unfinished' && state !== 'waiting'),
  );
}

export async function livePage({ title, params, requested, nodes, token }: LivePage): Promise<string> {
  const about = Object.entries(params).map(([name, value]) => `${name} ${value}`);
  const what = requested.length > 3 ? `${requested.length} nodes` : requested.join(', ');
  return htmlPage({
    title,
    script: liveScript,
    data: { token, nodes },
    live: true,
    body: `<main>
<h1>${escapeMarkup(title)}</h1>
${about.length === 0 ? '' : `<p class="soft">${escapeMarkup(about.join(' · '))}</p>`}
<div class="toolbar">
<button type="button" id="build">Build ${escapeMarkup(what)}</button>
<button type="button" id="force">Make all anew</button>
<button type="button" id="stop" disabled>Stop</button>
<progress id="progress" value="0" max="1" aria-label="Nodes that are done" hidden></progress>
<span id="status" role="status">connecting…</span>
<a id="report" href="/report" target="_blank" rel="noopener" hidden>Report of the last build</a>
</div>
${await liveGraph(nodes)}
<section aria-labelledby="running" id="runs"><h2 id="running">Running</h2>
<div class="scroll" role="group" tabindex="0" aria-label="Nodes that run"><table><thead><tr><th scope="col">Node</th><th scope="col">Work</th><th scope="col">Progress</th></tr></thead><tbody></tbody></table></div>
<p class="soft" id="idle">Nothing runs.</p></section>
<section aria-labelledby="log-title"><h2 id="log-title">Log</h2>
<pre id="log" role="log" tabindex="0" aria-labelledby="log-title"></pre></section>
</main>`,
  });
}
