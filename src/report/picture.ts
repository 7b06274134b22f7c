// A graph as boxes to be drawn: of a large one, nodes that are much alike are one box that says how many they are.
import { type PageNode, type PageState, stateCounts, weightiest } from '../model/page.js';
import { count, formatBytes, formatDuration } from './format.js';
import { cutMiddle, oneLine, width } from './text.js';

/** A graph of no more nodes is drawn whole. */
const WHOLE_NODES = 60;
/** So many nodes of one sort stand by themselves. */
const ALONE = 5;
/** Cells of a line in a box. */
const LINE = 34;

export interface Box {
  /** Unlike that of any other box of the picture. */
  readonly id: string;
  /** One, or those that fold into it. */
  readonly members: readonly PageNode[];
  /** What stands in it, first line first; the state is the last one, where it is known. */
  readonly lines: readonly string[];
  /** Whole, for those who see no picture, and where a line is cut. */
  readonly label: string;
  readonly state: PageState | null;
  readonly shape: 'artifact' | 'target' | 'group';
}

export interface Picture {
  readonly boxes: readonly Box[];
  readonly edges: readonly {
    readonly from: string;
    readonly to: string;
    /** Empty for plain inputs. */
    readonly role: string;
  }[];
  /** Nodes that share a box with others. */
  readonly folded: number;
}

/** @param nodes inputs first */
export function picture(nodes: readonly PageNode[], fold: boolean): Picture {
  const sorts = fold && nodes.length > WHOLE_NODES ? sortsOf(nodes) : new Map<string, readonly PageNode[]>();
  const boxes: Box[] = [];
  const boxOf = new Map<string, string>();
  const folding = new Set([...sorts.values()].filter((sort) => sort.length > ALONE));
  const sortOf = new Map([...folding].flatMap((sort) => sort.map((node) => [node.name, sort] as const)));
  for (const node of nodes) {
    if (boxOf.has(node.name)) continue;
    const members = sortOf.get(node.name) ?? [node];
    const id = `b${boxes.length}`;
    boxes.push(members.length === 1 ? single(id, node) : folded(id, members));
    for (const { name } of members) boxOf.set(name, id);
  }
  const edges = new Map<string, Picture['edges'][number]>();
  for (const { name, inputs } of nodes)
    for (const { role, node } of inputs) {
      const [from, to] = [boxOf.get(node), boxOf.get(name)];
      if (from === undefined || to === undefined) continue;
      const shown = role === 'in' ? '' : role;
      edges.set(`${from} ${to} ${shown}`, { from, to, role: shown });
    }
  return {
    boxes,
    edges: [...edges.values()],
    folded: [...folding].reduce((sum, sort) => sum + sort.length, 0),
  };
}

/** Nodes of one sort: as deep in the graph as each other, of one kind, and members of the same groups. */
function sortsOf(nodes: readonly PageNode[]): ReadonlyMap<string, readonly PageNode[]> {
  const depth = new Map<string, number>();
  const groups = new Map<string, string[]>();
  for (const { name, kind, inputs } of nodes) {
    depth.set(name, 1 + Math.max(-1, ...inputs.map(({ node }) => depth.get(node) ?? -1)));
    if (kind !== 'group') continue;
    for (const { node } of inputs) groups.set(node, [...(groups.get(node) ?? []), name]);
  }
  const sorts = new Map<string, PageNode[]>();
  for (const node of nodes) {
    const key = JSON.stringify([depth.get(node.name), node.kind, groups.get(node.name) ?? []]);
    const sort = sorts.get(key);
    if (sort) sort.push(node);
    else sorts.set(key, [node]);
  }
  return sorts;
}

function single(id: string, node: PageNode): Box {
  const about = [node.kind, ...figures([node])].join(' · ');
  const state = node.state === null ? [] : [node.state];
  return {
    id,
    members: [node],
    lines: [cutMiddle(oneLine(node.name), LINE), cutMiddle(oneLine(about), LINE), ...state],
    label: [node.name, about, ...state].map(oneLine).join(', '),
    state: node.state,
    shape: node.kind === 'group' ? 'group' : node.section,
  };
}

function folded(id: string, members: readonly PageNode[]): Box {
  const [first, last] = [members[0], members.at(-1)];
  const kind = first?.kind ?? '';
  const title = `${count(members.length, 'node')}: ${kind}`;
  const range = `${cutMiddle(oneLine(first?.name ?? ''), LINE / 2 - 1)} … ${cutMiddle(oneLine(last?.name ?? ''), LINE / 2 - 2)}`;
  const sums = figures(members).join(' · ');
  const states = members.map(({ state }) => state);
  const counts = stateCounts(states);
  return {
    id,
    members,
    lines: [title, range, ...(sums === '' ? [] : [sums]), ...(counts === '' ? [] : [cutEndWords(counts)])],
    label: oneLine(
      [title, `${first?.name} to ${last?.name}`, sums, counts].filter((part) => part !== '').join(', '),
    ),
    state: weightiest(states),
    shape: kind === 'group' ? 'group' : (first?.section ?? 'target'),
  };
}

function cutEndWords(text: string): string {
  return width(text) <= LINE + 6 ? text : `${text.slice(0, LINE + 5)}…`;
}

/** Sizes and times, of several the sums. */
function figures(nodes: readonly PageNode[]): readonly string[] {
  const sizes = nodes.flatMap(({ size }) => size ?? []);
  const times = nodes.flatMap(({ ms }) => ms ?? []);
  const sum = (all: readonly number[]) => all.reduce((total, each) => total + each, 0);
  return [
    ...(sizes.length === 0 ? [] : [formatBytes(sum(sizes))]),
    ...(times.length === 0 ? [] : [formatDuration(sum(times))]),
  ];
}
