// A graph for Graphviz: `res graph --format dot | dot -Tpdf`.
import type { NodeState } from '../model/plan.js';
import type { Drawing } from './graph-edges.js';

/** Fill colours that black text is readable on, told apart without seeing red from green by the state's word. */
export const fills: Readonly<Record<NodeState, string>> = {
  fresh: '#c8e6c9',
  cached: '#b3e5fc',
  stale: '#fff3c4',
  modified: '#e1bee7',
  failed: '#ffcdd2',
};

export function graphDot({ nodes, edges }: Drawing): string[] {
  return [
    'digraph res {',
    '  rankdir=LR;',
    '  node [shape=box, style="rounded,filled", fontname="sans-serif", fillcolor="#eeeeee"];',
    ...nodes.map(({ name, kind, state, section }) => {
      const attributes = [
        `label=${quote([name, kind, ...(state === null ? [] : [state])].join('\n'))}`,
        ...(section === 'artifact' ? ['shape=cylinder', 'style=filled'] : []),
        ...(state === null ? [] : [`fillcolor=${quote(fills[state])}`]),
      ];
      return `  ${quote(name)} [${attributes.join(', ')}];`;
    }),
    ...edges.map(
      ({ from, to, role }) =>
        `  ${quote(from)} -> ${quote(to)}${role === 'in' ? '' : ` [label=${quote(role)}, style=dashed]`};`,
    ),
    '}',
  ];
}

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&').replace(/\n/g, '\\n')}"`;
}
