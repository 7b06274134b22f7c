// The part of a page that shows a graph: the drawing with what moves, searches and unfolds it, a place for what is known
// of a node, and the meaning of the colours.
import type { PageNode, PageState } from '../model/page.js';
import { STATES_BY_WEIGHT } from '../model/page.js';
import { svgElement } from './graph-svg.js';
import { escapeMarkup } from './markup.js';
import { picture } from './picture.js';

/** What the states mean, in few words. */
export const stateMeanings: Readonly<Record<PageState, string>> = {
  failed: 'its last run failed',
  modified: 'its output was changed by hand',
  running: 'under way',
  unfinished: 'was running when the build ended',
  skipped: 'not come to: something else failed',
  stale: 'to be made anew',
  waiting: 'to be done',
  ran: 'downloaded or made in this build',
  restored: 'put back in this build, without work',
  cached: 'at hand, and can be put back without work',
  fresh: 'up to date',
};

/** @param nodes inputs first @param states those that the legend explains; default: those that nodes are in */
export async function graphSection(
  nodes: readonly PageNode[],
  states?: readonly PageState[],
): Promise<string> {
  const folded = picture(nodes, true);
  const isFolded = folded.folded > 0;
  const label = 'Graph, from inputs on the left to what is made of them on the right';
  const svg = await svgElement(folded, 'folded', label);
  const whole = isFolded ? await svgElement(picture(nodes, false), 'whole', label) : undefined;
  const present = states ?? STATES_BY_WEIGHT.filter((state) => nodes.some((node) => node.state === state));
  return `<section class="graph-view" aria-labelledby="graph">
<h2 id="graph">Graph</h2>
<div class="toolbar">
<label>Find <input type="search" placeholder="name or kind"></label>
<span class="found soft" role="status"></span>
<button type="button" data-do="in" aria-label="Zoom in">+</button>
<button type="button" data-do="out" aria-label="Zoom out">−</button>
<button type="button" data-do="fit">Fit</button>
${whole === undefined ? '' : `<button type="button" data-do="unfold" aria-pressed="false">Unfold ${folded.folded} nodes</button>`}
<span class="soft hint">Drag to move, Ctrl and wheel to zoom; arrow keys go from box to box, Enter shows one.</span>
</div>
<div class="work">
<div class="stage">${svg}</div>
<div class="details" tabindex="-1" role="region" aria-label="Chosen node" aria-live="polite"><p class="soft">Choose a box to see what is known of it.</p></div>
</div>
${whole === undefined ? '' : `<template>${whole}</template>`}
<ul class="legend">${present.map(legendItem).join('')}</ul>
</section>`;
}

function legendItem(state: PageState): string {
  return `<li><svg class="graph" viewBox="0 0 28 18" aria-hidden="true"><g class="s-${state}"><rect class="face" x="1" y="1" width="26" height="16" rx="3"/></g></svg>${state}: <span class="soft">${escapeMarkup(stateMeanings[state])}</span></li>`;
}
