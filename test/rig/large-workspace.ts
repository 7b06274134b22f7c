// A workspace of many nodes that are quickly made, with what a table has a hard time with: long names, wide signs,
// variants, several outputs, a node that fails.
import { makeWorkspace, type Workspace } from './workspace.js';

/** Once this file is there, the node `fails` does not fail. */
export const CURE = { name: 'in/switch', content: 'yes\n' };

const WIDE = '磁盘镜像的来源文件，每个都很小'.repeat(3);
const LONG = 'with-a-name-that-is-long-and-then-some';

/**
 * 300 nodes by default: files, copies of them, files joined by fives, three that run a program, of which `fails` ends
 * with status 3 until CURE is there, one that waits for that, and a group of all.
 */
export function makeLargeWorkspace(nodes = 300): Workspace {
  const sources = numbers(Math.min(100, Math.floor(nodes / 3)));
  const rest = nodes - sources.length - 6;
  const copies = sources.slice(0, Math.ceil(rest / 2));
  const source = (i: number) => `source-${sources[i % sources.length]}`;
  const artifacts = {
    ...Object.fromEntries(
      sources.map((n, i) => [
        `source-${n}`,
        { path: `in/${n}.txt`, ...(i % 7 === 0 ? { description: WIDE } : {}) },
      ]),
    ),
    switch: { path: 'in/switch' },
  };
  const targets = {
    ...Object.fromEntries(
      copies.map((n, i) => [
        i % 10 === 3 ? `copy-${n}-${LONG}` : `copy-${n}`,
        {
          copy: `source-${n}`,
          output: `copies/${n}${i % 10 === 3 ? `-${LONG}` : ''}.txt`,
          description: `copy ${n} of a source, said in more words than a line of a terminal has room for`,
        },
      ]),
    ),
    ...Object.fromEntries(
      numbers(rest - copies.length).map((n, i) => [
        `joined-${n}`,
        {
          merge: [0, 1, 2, 3, 4].map((k) => source(i + k)),
          ...(i % 2 === 0 ? { output: `joined/${n}.txt` } : {}),
          ...(i % 20 === 0 ? { variants: VARIANTS } : {}),
        },
      ]),
    ),
    words: {
      run: `cat \${in.a} \${in.b} > \${out}; echo ${WIDE}${WIDE}`,
      inputs: { a: 'joined-000', b: 'joined-001' },
      output: 'words.txt',
    },
    many: {
      run: `mkdir d; cp \${in.words} d/a; cp \${in.words} b`,
      inputs: { words: 'words' },
      outputs: { folder: 'd', file: 'b' },
    },
    fails: {
      run: `echo ${WIDE} ${WIDE} >&2; grep -q yes \${in.switch} || exit 3; cp \${in.words} \${out}`,
      inputs: { switch: 'switch', words: 'words' },
      output: 'fails.txt',
    },
    after: { copy: 'fails', output: 'after.txt' },
  };
  const manifest = {
    res: 1,
    name: 'many nodes',
    params: {
      arch: { default: 'amd64', enum: ['amd64', 'arm64'], description: 'what the images are for' },
      'os-version': { default: 'focal', enum: ['focal', 'jammy'] },
    },
    artifacts,
    targets: { ...targets, all: { group: Object.keys(targets), description: 'everything' } },
    default: ['all'],
  };
  return makeWorkspace({
    'resources.yaml': `${JSON.stringify(manifest, null, 2)}\n`,
    [CURE.name]: 'no\n',
    ...Object.fromEntries(sources.map((n) => [`in/${n}.txt`, `this is source ${n}\n`])),
  });
}

const VARIANTS = [
  {
    when: { arch: 'amd64', 'os-version': 'focal' },
    label: 'v5.4.84',
    state: 'stable',
    'works-with': ['qemu', 'gem5'],
  },
  { when: { arch: 'arm64' }, state: 'experimental', 'works-with': ['qemu'] },
];

/** `000`, `001`, … */
function numbers(n: number): readonly string[] {
  return Array.from({ length: n }, (_, i) => String(i).padStart(3, '0'));
}
