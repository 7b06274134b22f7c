// A graph for Mermaid, which Markdown pages draw.
import type { NodeState } from '../model/plan.js';
import { fills } from './graph-dot.js';
import type { Drawing } from './graph-edges.js';

export function graphMermaid({ nodes, edges }: Drawing): string[] {
  // Mermaid trips over names that are its own words (`end`), so nodes go by number.
  const ids = new Map(nodes.map(({ name }, i) => [name, `n${i}`]));
  const states = new Set(nodes.flatMap(({ state }) => (state === null ? [] : [state])));
  return [
    'flowchart LR',
    ...nodes.map(({ name, kind, state, section }) => {
      const label = [name, kind, ...(state === null ? [] : [state])].map(escapeLabel).join('<br>');
      const [open, close] = section === 'artifact' ? ['[(', ')]'] : ['[', ']'];
      return `  ${ids.get(name)}${open}"${label}"${close}${state === null ? '' : `:::${state}`}`;
    }),
    ...edges.map(({ from, to, role }) =>
      role === 'in'
        ? `  ${ids.get(from)} --> ${ids.get(to)}`
        : `  ${ids.get(from)} -. "${escapeLabel(role)}" .-> ${ids.get(to)}`,
    ),
    ...[...states].map(
      (state: NodeState) => `  classDef ${state} fill:${fills[state]},stroke:#555,color:#000`,
    ),
  ];
}

function escapeLabel(text: string): string {
  return text.replace(/[&<>"#]/g, (char) => `#${char.charCodeAt(0)};`);
}
