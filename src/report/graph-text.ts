// A graph as a tree of lines, what was asked for at the top and its inputs below.

import { fold } from './fold.js';
import type { Drawing, DrawnNode } from './graph-edges.js';
import { type Page, stateColours } from './paint.js';
import { cutMiddle, width } from './text.js';

interface Input {
  readonly node: string;
  readonly role: string;
}

const LAST = '└─ ';
/** Of one node, on a terminal. */
const MOST_INPUTS = 10;
/** A name or path is not cut below this many cells. */
const NARROWEST = 8;

export function graphText({ nodes, edges, roots }: Drawing, page: Page): string[] {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const inputs = new Map<string, Input[]>();
  for (const { from, to, role } of edges) inputs.set(to, [...(inputs.get(to) ?? []), { node: from, role }]);
  const lines: string[] = [];
  const shown = new Set<string>();

  function draw(name: string, role: string, lead: string, branch: string): void {
    const node = byName.get(name);
    if (!node) return;
    const below = inputs.get(name) ?? [];
    const again = shown.has(name) && below.length > 0;
    shown.add(name);
    const tree = lead + branch;
    lines.push(tree + label(node, role, again ? ' (as above)' : '', page.width - width(tree), page));
    if (again) return;
    const deeper = lead + (branch === '' ? '' : branch === LAST ? '   ' : '│  ');
    const { told, left } = foldInputs(below);
    told.forEach((input, i) => {
      draw(input.node, input.role, deeper, i === told.length - 1 && left.length === 0 ? LAST : '├─ ');
    });
    if (left.length > 0) lines.push(`${deeper}${LAST}${page.paint('dim', leftText(left))}`);
  }

  /** Of many inputs, on a terminal, those that are not fresh before those that are; each in its place. */
  function foldInputs(inputs: readonly Input[]): { told: readonly Input[]; left: readonly Input[] } {
    const isFresh = ({ node }: Input) => byName.get(node)?.state === 'fresh';
    const byUrgency = [...inputs.filter((input) => !isFresh(input)), ...inputs.filter(isFresh)];
    const kept = new Set(fold(byUrgency, page, MOST_INPUTS).shown);
    return {
      told: inputs.filter((input) => kept.has(input)),
      left: inputs.filter((input) => !kept.has(input)),
    };
  }

  /** `188 more: 187 fresh, 1 failed; -v shows all` */
  function leftText(left: readonly Input[]): string {
    const counts = new Map<string, number>();
    for (const { node } of left) {
      const state = byName.get(node)?.state ?? 'of unknown state';
      counts.set(state, (counts.get(state) ?? 0) + 1);
    }
    return `${left.length} more: ${Array.from(counts, ([state, n]) => `${n} ${state}`).join(', ')}; -v shows all`;
  }

  for (const root of roots) draw(root, 'in', '', '');
  return lines.length === 0 ? ['the manifest has no nodes'] : lines;
}

/** Cut to `cells`: first the path, which is left out where there is no room for it, then the name. */
function label(
  { name, kind, state, output, outputs }: DrawnNode,
  role: string,
  note: string,
  cells: number,
  page: Page,
): string {
  const about = role === 'in' ? kind : `${kind}, as ${role}`;
  const fixed = [about, ...(state === null ? [] : [state])].reduce(
    (sum, part) => sum + 2 + width(part),
    width(note),
  );
  const shortName = cutMiddle(name, Math.max(NARROWEST, cells - fixed));
  const room = cells - fixed - width(shortName) - width('  → ');
  const path = outputs ? Object.values(outputs).join(', ') : output;
  const parts = [
    page.paint('bold', shortName),
    page.paint('dim', about),
    ...(state === null ? [] : [page.paint(stateColours[state], state)]),
    ...(path === null || (room < NARROWEST && room < width(path)) ? [] : [`→ ${cutMiddle(path, room)}`]),
  ];
  return parts.join('  ') + page.paint('dim', note);
}
