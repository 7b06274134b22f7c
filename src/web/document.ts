// The script of a page that is a file: a graph, or a report of a build.
import type { PageNode } from '../model/page.js';
import { graphView } from './graph-view.js';
import { pageData } from './page-data.js';

const section = document.querySelector<HTMLElement>('.graph-view');
if (section) {
  const view = graphView(section, { nodes: pageData<readonly PageNode[]>() });
  // Names of nodes in tables and in the timeline lead to the graph.
  for (const link of document.querySelectorAll('[data-node]'))
    link.addEventListener('click', (event) => {
      event.preventDefault();
      view.choose(link.getAttribute('data-node') ?? '');
      section.scrollIntoView({ block: 'start' });
    });
}

// On paper nothing can be opened.
let closed: readonly HTMLDetailsElement[] = [];
window.addEventListener('beforeprint', () => {
  closed = [...document.querySelectorAll('details')].filter(({ open }) => !open);
  for (const details of closed) details.open = true;
});
window.addEventListener('afterprint', () => {
  for (const details of closed) details.open = false;
});
