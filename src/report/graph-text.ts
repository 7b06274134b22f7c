// A graph as a tree of lines, what was asked for at the top and its inputs below.
import type { Drawing, DrawnNode } from './graph-edges.js';
import { type Page, stateColours } from './paint.js';

export function graphText({ nodes, edges, roots }: Drawing, page: Page): string[] {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const inputs = new Map<string, { readonly node: string; readonly role: string }[]>();
  for (const { from, to, role } of edges) inputs.set(to, [...(inputs.get(to) ?? []), { node: from, role }]);
  const lines: string[] = [];
  const shown = new Set<string>();

  function draw(name: string, role: string, lead: string, branch: string): void {
    const node = byName.get(name);
    if (!node) return;
    const below = inputs.get(name) ?? [];
    const again = shown.has(name) && below.length > 0;
    shown.add(name);
    lines.push(`${lead}${branch}${label(node, role, page)}${again ? page.paint('dim', ' (as above)') : ''}`);
    if (again) return;
    const deeper = lead + (branch === '' ? '' : branch === '└─ ' ? '   ' : '│  ');
    below.forEach((input, i) => {
      draw(input.node, input.role, deeper, i === below.length - 1 ? '└─ ' : '├─ ');
    });
  }

  for (const root of roots) draw(root, 'in', '', '');
  return lines.length === 0 ? ['the manifest has no nodes'] : lines;
}

function label({ name, kind, state, output, outputs }: DrawnNode, role: string, page: Page): string {
  const parts = [
    page.paint('bold', name),
    page.paint('dim', role === 'in' ? kind : `${kind}, as ${role}`),
    ...(state === null ? [] : [page.paint(stateColours[state], state)]),
    ...(output === null ? [] : [`→ ${output}`]),
    ...(outputs ? [`→ ${Object.values(outputs).join(', ')}`] : []),
  ];
  return parts.join('  ');
}
