import { expect, it } from 'vitest';
import { EventQueue } from '../../src/library/event-queue.js';
import type { BuildEvent } from '../../src/model/event.js';

const progress = (node: string, done: number): BuildEvent => ({
  type: 'progress',
  node,
  done,
  total: null,
  unit: 'bytes',
});
const line = (node: string, i: number): BuildEvent => ({ type: 'output', node, text: `line ${i}` });
const started = (node: string): BuildEvent => ({
  type: 'started',
  node,
  work: 'execute',
  detail: '',
  through: [],
});

async function rest(queue: EventQueue): Promise<BuildEvent[]> {
  queue.end();
  const read: BuildEvent[] = [];
  for await (const event of queue) read.push(event);
  return read;
}

it('gives everything in its order to one who reads in time', async () => {
  const queue = new EventQueue();
  const events = [progress('a', 1), progress('a', 2), line('a', 0), progress('a', 3)];
  const read: BuildEvent[] = [];
  for (const event of events) {
    queue.push(event);
    for await (const next of queue) {
      read.push(next);
      break;
    }
  }
  expect(read).toEqual(events);
});

it('keeps the newest progress of each node, before what is told of the node next', async () => {
  const queue = new EventQueue();
  queue.push(started('a'));
  for (let i = 1; i <= 50_000; i++) {
    queue.push(progress('a', i));
    queue.push(progress('b', i));
  }
  expect(queue.length).toBe(3);
  queue.push(started('a'));
  queue.push(progress('a', 1));
  queue.push(progress('a', 2));
  expect(await rest(queue)).toEqual([
    started('a'),
    progress('a', 50_000),
    progress('b', 50_000),
    started('a'),
    progress('a', 2),
  ]);
});

it('keeps the newest thousand lines, and says of each node how many older ones went', async () => {
  const queue = new EventQueue();
  queue.push(started('a'));
  for (let i = 0; i < 100_000; i++) queue.push(line(i % 2 === 0 ? 'a' : 'b', i));
  expect(queue.length).toBe(1003);
  const read = await rest(queue);
  expect(read.slice(0, 4)).toEqual([
    started('a'),
    { type: 'notice', node: 'a', message: expect.stringMatching(/left out: 49500 lines of its output/) },
    { type: 'notice', node: 'b', message: expect.stringMatching(/left out: 49500 lines of its output/) },
    line('a', 99_000),
  ]);
  expect(read.at(-1)).toEqual(line('b', 99_999));
});

it('counts anew what goes after its notice was read', async () => {
  const queue = new EventQueue();
  for (let i = 0; i < 1003; i++) queue.push(line('a', i));
  const reader = queue[Symbol.asyncIterator]();
  expect((await reader.next()).value).toMatchObject({ message: expect.stringContaining(': 3 lines of') });
  expect((await reader.next()).value).toEqual(line('a', 3));
  queue.push(line('a', 1003));
  queue.push(line('a', 1004));
  expect((await reader.next()).value).toMatchObject({ message: expect.stringContaining(': 1 line of') });
  expect((await reader.next()).value).toEqual(line('a', 5));
  expect(await rest(queue)).toHaveLength(999);
});
