// A drawn graph that is moved, zoomed, searched, unfolded, and whose boxes are chosen, by mouse and by keyboard.
import { type PageNode, type PageState, stateCounts, weightiest } from '../model/page.js';
import { part } from './part.js';

export interface GraphView {
  /** Shows a node as chosen, wherever it was named. */
  choose(name: string): void;
  /** Says what has become of a node; the picture follows. */
  setState(name: string, state: PageState): void;
  /** Shows the chosen node anew. */
  renew(): void;
  /** The same graph with what is known of its nodes now. @param drawn holds the same part of a page, drawn anew */
  replace(nodes: readonly PageNode[], drawn: ParentNode): void;
}

export interface GraphViewOptions {
  readonly nodes: readonly PageNode[];
  /** Called when one node is shown in `details`, to put more there. */
  readonly onShown?: (name: string, details: HTMLElement) => void;
}

interface View {
  x: number;
  y: number;
  /** Screen pixels for one of the drawing. */
  scale: number;
}

const MOST_SCALE = 3;
const STEP = 1.25;
/** Smaller, and names could not be read: a large graph begins at its left end. */
const LEAST_READABLE = 0.55;

export function graphView(section: HTMLElement, { nodes: first, onShown }: GraphViewOptions): GraphView {
  let nodes = first;
  const stage = part(section, '.stage', HTMLElement);
  const details = part(section, '.details', HTMLElement);
  const found = part(section, '.found', HTMLElement);
  const search = part(section, 'input[type=search]', HTMLInputElement);
  const unfold = section.querySelector('button[data-do=unfold]');
  let byName = new Map(nodes.map((node) => [node.name, node]));
  const states = new Map(nodes.map(({ name, state }) => [name, state]));
  const users = new Map<string, string[]>();
  for (const { name, inputs } of nodes)
    for (const { node } of inputs) users.set(node, [...(users.get(node) ?? []), name]);

  let svg = part(stage, 'svg', SVGSVGElement);
  let spare: SVGSVGElement | null = otherDrawing(section);
  let view: View = { x: 0, y: 0, scale: 1 };
  let boxes = boxesOf(svg);
  let chosen: string | undefined;
  let printing = false;
  /** Whether the user has moved or zoomed it since it was shown whole. */
  let moved = false;

  stage.classList.add('live');
  showAll();
  const size = new ResizeObserver(() => show());
  size.observe(stage);

  function natural(): { width: number; height: number } {
    return { width: Number(svg.dataset.width), height: Number(svg.dataset.height) };
  }

  function show(): void {
    const { clientWidth, clientHeight } = stage;
    if (clientWidth === 0 || printing) return;
    svg.setAttribute(
      'viewBox',
      `${view.x} ${view.y} ${clientWidth / view.scale} ${clientHeight / view.scale}`,
    );
  }

  function showAll(whole = false): void {
    moved = false;
    const { width, height } = natural();
    svg.setAttribute('width', '100%');
    svg.setAttribute('height', '100%');
    section.style.setProperty(
      '--height',
      `${Math.max(220, Math.min(height + 20, window.innerHeight * 0.68))}px`,
    );
    const all = Math.min(stage.clientWidth / width, stage.clientHeight / height, 1);
    const scale = whole ? all : Math.max(all, LEAST_READABLE);
    const centred = (length: number, room: number) =>
      length * scale < room ? (length - room / scale) / 2 : 0;
    view = { x: centred(width, stage.clientWidth), y: centred(height, stage.clientHeight), scale };
    show();
  }

  /** @param at a point of the stage that stays where it is, in screen pixels */
  function zoom(factor: number, at = { x: stage.clientWidth / 2, y: stage.clientHeight / 2 }): void {
    const { width, height } = natural();
    const least = Math.min(stage.clientWidth / width, stage.clientHeight / height, 1) / 2;
    const scale = Math.min(MOST_SCALE, Math.max(least, view.scale * factor));
    view = {
      x: view.x + at.x / view.scale - at.x / scale,
      y: view.y + at.y / view.scale - at.y / scale,
      scale,
    };
    moved = true;
    show();
  }

  function moveBy(x: number, y: number): void {
    view = { ...view, x: view.x + x / view.scale, y: view.y + y / view.scale };
    moved = true;
    show();
  }

  function centreOn(box: SVGGElement): void {
    const { x, y, width, height } = box.getBBox();
    const [roomX, roomY] = [stage.clientWidth / view.scale, stage.clientHeight / view.scale];
    const inside = x >= view.x && y >= view.y && x + width <= view.x + roomX && y + height <= view.y + roomY;
    if (inside) return;
    view = { ...view, x: x + width / 2 - roomX / 2, y: y + height / 2 - roomY / 2 };
    moved = true;
    show();
  }

  function boxOf(name: string): SVGGElement | undefined {
    return boxes.find(({ names }) => names.includes(name))?.element;
  }

  function mark(box: SVGGElement): void {
    for (const { element } of boxes) {
      element.classList.toggle('chosen', element === box);
      element.setAttribute('tabindex', element === box ? '0' : '-1');
    }
    centreOn(box);
  }

  function choose(name: string): void {
    if (!byName.has(name)) return;
    chosen = name;
    const box = boxOf(name);
    if (box) mark(box);
    showNode(name);
  }

  function showNode(name: string): void {
    const node = byName.get(name);
    if (!node) return;
    details.replaceChildren(...nodeDetails(node));
    onShown?.(name, details);
  }

  function chooseBox({ element, names }: BoxElement): void {
    const [only] = names;
    if (names.length === 1 && only !== undefined) {
      choose(only);
      return;
    }
    chosen = undefined;
    mark(element);
    const counts = stateCounts(names.map((name) => states.get(name) ?? null));
    details.replaceChildren(
      heading(`${names.length} nodes`),
      paragraph(counts),
      list(names.map((name) => nodeButton(name, states.get(name) ?? null))),
    );
  }

  function nodeDetails(node: PageNode): Node[] {
    const state = states.get(node.name) ?? null;
    const facts = document.createElement('dl');
    const add = (label: string, values: readonly (string | Node)[]) => {
      if (values.length === 0) return;
      const term = document.createElement('dt');
      term.textContent = label;
      facts.append(
        term,
        ...values.map((value) => {
          const text = document.createElement('dd');
          text.append(value);
          return text;
        }),
      );
    };
    add('state', state === null ? [] : [state]);
    for (const [label, ...values] of node.facts) add(label, values);
    add(
      'made of',
      node.inputs.map(({ node: name, role }) =>
        nodeButton(name, states.get(name) ?? null, role === 'in' ? '' : ` as ${role}`),
      ),
    );
    add(
      'used by',
      (users.get(node.name) ?? []).map((name) => nodeButton(name, states.get(name) ?? null)),
    );
    return [heading(node.name), facts];
  }

  function nodeButton(name: string, state: PageState | null, more = ''): HTMLElement {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'node-link';
    button.textContent = `${name}${more}${state === null ? '' : ` (${state})`}`;
    button.addEventListener('click', () => {
      choose(name);
      details.focus();
    });
    return button;
  }

  function find(next: boolean): void {
    const wanted = search.value.trim().toLowerCase();
    section.classList.toggle('searching', wanted !== '');
    const hits =
      wanted === '' ? [] : nodes.filter(({ name, kind }) => `${name} ${kind}`.toLowerCase().includes(wanted));
    const names = new Set(hits.map(({ name }) => name));
    for (const { element, names: own } of boxes)
      element.classList.toggle(
        'hit',
        own.some((name) => names.has(name)),
      );
    found.textContent = wanted === '' ? '' : hits.length === 0 ? 'nothing found' : `${hits.length} found`;
    const at = next ? hits.findIndex(({ name }) => name === chosen) + 1 : 0;
    const hit = hits[at % Math.max(1, hits.length)];
    if (hit && next) choose(hit.name);
    else if (hit) {
      const box = boxOf(hit.name);
      if (box) centreOn(box);
    }
  }

  function toggleFold(button: Element): void {
    if (!spare) return;
    const now = spare;
    spare = svg;
    put(now);
    const whole = button.getAttribute('aria-pressed') !== 'true';
    button.setAttribute('aria-pressed', String(whole));
    showAll();
    find(false);
    if (chosen !== undefined) {
      const box = boxOf(chosen);
      if (box) mark(box);
    }
  }

  function put(now: SVGSVGElement): void {
    svg.replaceWith(now);
    svg = now;
    boxes = boxesOf(svg);
    for (const box of boxes) paint(box);
  }

  function replace(now: readonly PageNode[], drawn: ParentNode): void {
    nodes = now;
    byName = new Map(nodes.map((node) => [node.name, node]));
    const folded = part(drawn, '.stage svg', SVGSVGElement);
    const whole = otherDrawing(drawn);
    const isUnfolded = unfold?.getAttribute('aria-pressed') === 'true' && whole !== null;
    const focused = boxes.find(({ element }) => element === document.activeElement)?.names[0];
    const before = { view, moved };
    put(isUnfolded ? whole : folded);
    spare = isUnfolded ? folded : whole;
    showAll();
    // Whoever looks at some place of it goes on to.
    if (before.moved) ({ view, moved } = before);
    show();
    find(false);
    const box = chosen === undefined ? undefined : boxOf(chosen);
    if (box) mark(box);
    if (focused !== undefined) boxOf(focused)?.focus();
    if (chosen !== undefined) showNode(chosen);
  }

  function paint({ element, names }: BoxElement): void {
    const own = names.map((name) => states.get(name) ?? null);
    const state = weightiest(own);
    const line = element.querySelector('text.state');
    const words = names.length === 1 ? (state ?? '') : stateCounts(own);
    if (!line || line.textContent === words) return;
    line.textContent = words.length > 39 ? `${words.slice(0, 38)}…` : words;
    const kept = [...element.classList].filter((name) => !name.startsWith('s-'));
    element.setAttribute('class', [...kept, `s-${state ?? 'none'}`].join(' '));
  }

  stage.addEventListener('click', ({ target }) => {
    const box = boxes.find(({ element }) => target instanceof Node && element.contains(target));
    if (box && !dragged) chooseBox(box);
  });
  stage.addEventListener('keydown', (event) => {
    const current = boxes.find(({ element }) => element === document.activeElement);
    if (current && (event.key === 'Enter' || event.key === ' ')) chooseBox(current);
    else if (current && event.key in ARROWS) {
      const next = neighbour(current, boxes, event.key);
      if (next) {
        for (const { element } of boxes)
          element.setAttribute('tabindex', element === next.element ? '0' : '-1');
        next.element.focus();
        centreOn(next.element);
      }
    } else if (event.key === '+' || event.key === '=') zoom(STEP);
    else if (event.key === '-') zoom(1 / STEP);
    else if (event.key === '0') showAll(true);
    else return;
    event.preventDefault();
  });
  let from: { x: number; y: number } | undefined;
  let dragged = false;
  stage.addEventListener('pointerdown', ({ clientX, clientY, button }) => {
    if (button !== 0) return;
    from = { x: clientX, y: clientY };
    dragged = false;
  });
  stage.addEventListener('pointermove', ({ clientX, clientY, pointerId }) => {
    if (!from) return;
    if (!dragged && Math.hypot(clientX - from.x, clientY - from.y) < 4) return;
    if (!dragged) stage.setPointerCapture(pointerId);
    dragged = true;
    moveBy(from.x - clientX, from.y - clientY);
    from = { x: clientX, y: clientY };
  });
  for (const end of ['pointerup', 'pointercancel'] as const)
    stage.addEventListener(end, () => {
      from = undefined;
    });
  stage.addEventListener(
    'wheel',
    (event) => {
      // A wheel by itself scrolls the page, as everywhere.
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const { left, top } = stage.getBoundingClientRect();
      zoom(event.deltaY < 0 ? STEP : 1 / STEP, { x: event.clientX - left, y: event.clientY - top });
    },
    { passive: false },
  );
  search.addEventListener('input', () => find(false));
  search.addEventListener('keydown', ({ key }) => {
    if (key === 'Enter') find(true);
  });
  for (const button of section.querySelectorAll('button[data-do]'))
    button.addEventListener('click', () => {
      const what = button.getAttribute('data-do');
      if (what === 'in') zoom(STEP);
      else if (what === 'out') zoom(1 / STEP);
      else if (what === 'fit') showAll(true);
      else toggleFold(button);
    });
  // On paper all of it is shown.
  window.addEventListener('beforeprint', () => {
    printing = true;
    const { width, height } = natural();
    svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  });
  window.addEventListener('afterprint', () => {
    printing = false;
    show();
  });
  if (unfold instanceof HTMLElement) unfold.hidden = spare === null;

  return {
    choose,
    replace,
    setState(name, state) {
      if (states.get(name) === state) return;
      states.set(name, state);
      const box = boxes.find(({ names }) => names.includes(name));
      if (box) paint(box);
      // Its state is the first thing that is told of it.
      const told = name === chosen ? details.querySelector('dd') : null;
      if (told) told.textContent = state;
    },
    renew() {
      if (chosen !== undefined) showNode(chosen);
    },
  };
}

/** Of a large graph, unfolded. */
function otherDrawing(section: ParentNode): SVGSVGElement | null {
  return section.querySelector('template')?.content.querySelector('svg') ?? null;
}

interface BoxElement {
  readonly element: SVGGElement;
  readonly names: readonly string[];
}

function boxesOf(svg: SVGSVGElement): readonly BoxElement[] {
  return [...svg.querySelectorAll('g.box')].flatMap((element) => {
    if (!(element instanceof SVGGElement)) return [];
    const names: unknown = JSON.parse(element.dataset.nodes ?? '[]');
    return [{ element, names: Array.isArray(names) ? names.map(String) : [] }];
  });
}

const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** The nearest box in the direction of an arrow key; what lies aside counts as further away. */
function neighbour(from: BoxElement, boxes: readonly BoxElement[], key: string): BoxElement | undefined {
  const [dx, dy] = ARROWS[key] ?? [0, 0];
  const centre = ({ element }: BoxElement) => {
    const { x, y, width, height } = element.getBBox();
    return { x: x + width / 2, y: y + height / 2 };
  };
  const start = centre(from);
  let best: { box: BoxElement; cost: number } | undefined;
  for (const box of boxes) {
    const { x, y } = centre(box);
    const along = (x - start.x) * dx + (y - start.y) * dy;
    const aside = Math.abs((x - start.x) * dy) + Math.abs((y - start.y) * dx);
    const cost = along + 2 * aside;
    if (box !== from && along > 1 && (best === undefined || cost < best.cost)) best = { box, cost };
  }
  return best?.box;
}

function heading(content: string): HTMLElement {
  const element = document.createElement('h3');
  element.textContent = content;
  return element;
}

function paragraph(content: string): HTMLElement {
  const element = document.createElement('p');
  element.textContent = content;
  return element;
}

function list(items: readonly HTMLElement[]): HTMLElement {
  const element = document.createElement('ul');
  for (const item of items) {
    const row = document.createElement('li');
    row.append(item);
    element.append(row);
  }
  return element;
}
