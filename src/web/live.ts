// The script of the live page: follows the stream of the server, lights up the graph, starts and stops builds.
import {
  LIVE_LINES,
  type LiveBuildRequest,
  type LiveGraph,
  type LiveLine,
  type LiveMessage,
  type LivePageData,
  type LiveRun,
} from '../model/page.js';
import { graphView } from './graph-view.js';
import { pageData } from './page-data.js';
import { part } from './part.js';

const { token, nodes } = pageData<LivePageData>();
const build = part(document, '#build', HTMLButtonElement);
const force = part(document, '#force', HTMLButtonElement);
const stop = part(document, '#stop', HTMLButtonElement);
const progress = part(document, '#progress', HTMLProgressElement);
const status = part(document, '#status', HTMLElement);
const runs = part(document, '#runs tbody', HTMLTableSectionElement);
const idle = part(document, '#idle', HTMLElement);
const log = part(document, '#log', HTMLElement);
const report = part(document, '#report', HTMLAnchorElement);
const rows = new Map<string, HTMLTableRowElement>();
let building = false;

const view = graphView(part(document, '.graph-view', HTMLElement), { nodes, onShown: showMore });

report.href = `/report?token=${encodeURIComponent(token)}`;
build.addEventListener('click', () => start([], false));
force.addEventListener('click', () => start([], true));
stop.addEventListener('click', () => {
  status.textContent = 'stopping…';
  void ask('/stop', {});
});

const stream = new EventSource(`/events?token=${encodeURIComponent(token)}`);
stream.addEventListener('message', ({ data }) => {
  const message: LiveMessage = JSON.parse(data);
  take(message);
});
stream.addEventListener('error', () => {
  setBuilding(building, 'res does not answer: it has ended, or the connection is gone');
  for (const button of [build, force, stop]) button.disabled = true;
});

function take(message: LiveMessage): void {
  switch (message.type) {
    case 'snapshot': {
      const { live } = message;
      for (const [name, state] of Object.entries(live.states)) view.setState(name, state);
      for (const name of [...rows.keys()]) endRun(name);
      for (const run of live.runs) showRun(run);
      log.replaceChildren();
      for (const line of live.lines) addLine(line);
      count(live.done, live.total);
      setBuilding(live.building, live.text);
      report.hidden = !live.hasReport;
      break;
    }
    case 'begun':
      log.replaceChildren();
      count(0, 0);
      setBuilding(true, message.text);
      view.renew();
      break;
    case 'count':
      count(message.done, message.total);
      break;
    case 'states':
      for (const [name, state] of Object.entries(message.states)) view.setState(name, state);
      break;
    case 'run':
      showRun(message.run);
      break;
    case 'run-ended':
      endRun(message.node);
      break;
    case 'line':
      addLine(message.line);
      break;
    case 'ended':
      for (const name of [...rows.keys()]) endRun(name);
      setBuilding(false, message.text);
      report.hidden = !message.hasReport;
      void redraw();
      break;
    case 'reload':
      // What comes behind it is about nodes that this page does not have.
      stream.close();
      location.reload();
      break;
  }
}

/** Sizes and times are others after a build, and so are the reasons. */
async function redraw(): Promise<void> {
  const answer = await fetch('/graph', { headers: { authorization: `Bearer ${token}` } }).catch(
    () => undefined,
  );
  if (!answer?.ok) {
    view.renew();
    return;
  }
  const drawn: LiveGraph = await answer.json();
  view.replace(drawn.nodes, new DOMParser().parseFromString(drawn.markup, 'text/html'));
}

function setBuilding(now: boolean, text: string): void {
  building = now;
  build.disabled = now;
  force.disabled = now;
  stop.disabled = !now;
  progress.hidden = !now;
  status.textContent = text;
}

function count(done: number, total: number): void {
  progress.max = Math.max(1, total);
  progress.value = done;
}

function showRun({ node, detail, share, text }: LiveRun): void {
  let row = rows.get(node);
  if (!row) {
    row = runs.insertRow();
    rows.set(node, row);
    const link = document.createElement('button');
    link.type = 'button';
    link.className = 'node-link';
    link.textContent = node;
    link.addEventListener('click', () => view.choose(node));
    row.insertCell().append(link);
    row.insertCell().textContent = detail;
    const bar = document.createElement('progress');
    bar.setAttribute('aria-label', `Progress of ${node}`);
    const words = document.createElement('span');
    row.insertCell().append(bar, words);
  }
  const bar = part(row, 'progress', HTMLProgressElement);
  // Without a value it says that something goes on.
  if (share === null) bar.removeAttribute('value');
  else bar.value = share;
  part(row, 'span', HTMLElement).textContent = ` ${text}`;
  idle.hidden = true;
}

function endRun(node: string): void {
  rows.get(node)?.remove();
  rows.delete(node);
  idle.hidden = rows.size > 0;
}

function addLine({ node, kind, text }: LiveLine): void {
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 20;
  const line = document.createElement('span');
  line.className = kind === 'error' || kind === 'warning' ? 'bad' : '';
  line.textContent = `${node === null ? '' : `${node}: `}${text}\n`;
  log.append(line);
  while (log.childElementCount > LIVE_LINES) log.firstElementChild?.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

/** Why a node is in its state, asked when it is chosen: it may have changed since the page came. */
function showMore(name: string, details: HTMLElement): void {
  const actions = document.createElement('p');
  const make = document.createElement('button');
  make.type = 'button';
  make.textContent = `Build ${name}`;
  make.disabled = building;
  make.addEventListener('click', () => start([name], false));
  const printed = document.createElement('button');
  printed.type = 'button';
  printed.textContent = 'Show its log';
  printed.addEventListener('click', async () => {
    text.textContent = await read(`/log?node=${encodeURIComponent(name)}`);
  });
  actions.append(make, ' ', printed);
  const text = document.createElement('pre');
  text.textContent = '…';
  details.querySelector('h3')?.after(actions, text);
  void read(`/why?node=${encodeURIComponent(name)}`).then((why) => {
    text.textContent = why;
  });
}

async function start(names: readonly string[], anew: boolean): Promise<void> {
  const request: LiveBuildRequest = { nodes: names, force: anew };
  await ask('/build', request);
}

async function ask(path: string, body: unknown): Promise<void> {
  const answer = await fetch(path, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  }).catch(() => undefined);
  if (!answer) status.textContent = 'res does not answer';
  else if (!answer.ok) status.textContent = await answer.text();
}

async function read(path: string): Promise<string> {
  const answer = await fetch(path, { headers: { authorization: `Bearer ${token}` } }).catch(() => undefined);
  return answer ? answer.text() : 'res does not answer';
}
