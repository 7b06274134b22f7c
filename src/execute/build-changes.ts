// What is not in one build as it was in the build before.
import type { BuildRecord, RecordedChange, RecordedChanges, RecordedNode } from '../model/build-record.js';
import { canonicalJson } from '../model/json.js';

type Compared = Pick<BuildRecord, 'manifest' | 'environment' | 'nodes' | 'left_out'>;

/**
 * Nodes that only one of the two was about are no change, unless the manifest had or has them only then.
 * @param declared names of all nodes that the manifest has now
 */
export function changesSince(
  before: BuildRecord,
  now: Compared,
  declared: ReadonlySet<string>,
): RecordedChanges {
  const { tools: toolsBefore, ...environmentBefore } = before.environment;
  const { tools, ...environment } = now.environment;
  const named = (values: Readonly<Record<string, string | number | null>>) =>
    new Map(Object.entries(values).map(([name, value]) => [name, value === null ? null : String(value)]));
  const commits = (of: Compared) => new Map([['commit', of.manifest.commit]]);
  // A tool that is of no use to the nodes of one of the builds has not changed.
  const shared = (values: Readonly<Record<string, string>>, other: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(values).filter(([name]) => name in other));
  return {
    since: before.id,
    entries: [
      ...differences('manifest', filesOf(before, now), filesOf(now, before)),
      ...differences('param', named(before.manifest.params), named(now.manifest.params)),
      ...differences('commit', commits(before), commits(now)),
      ...differences('environment', named(environmentBefore), named(environment)),
      ...differences('environment', named(shared(toolsBefore, tools)), named(shared(tools, toolsBefore))),
      ...nodeChanges(before, now.nodes, declared),
    ],
  };
}

/** The manifest's files, with their sums; without included ones where the other record does not know of them. */
function filesOf({ manifest }: Compared, other: Compared): ReadonlyMap<string, string | null> {
  const { file, sha256, includes } = manifest;
  return new Map([[file, sha256], ...(other.manifest.includes ? Object.entries(includes ?? {}) : [])]);
}

function nodeChanges(
  before: Compared,
  now: readonly RecordedNode[],
  declared: ReadonlySet<string>,
): RecordedChange[] {
  const former = new Map(before.nodes.map((node) => [node.name, node]));
  const changes: RecordedChange[] = [];
  for (const node of now) {
    const { name } = node;
    const was = former.get(name);
    former.delete(name);
    if (!was) {
      // It may have been there, and fresh.
      if (before.left_out > 0) continue;
      changes.push({ what: 'node', name, was: null, now: node.kind });
      continue;
    }
    if (canonicalJson(was.recipe) !== canonicalJson(node.recipe))
      changes.push({ what: 'recipe', name, was: canonicalJson(was.recipe), now: canonicalJson(node.recipe) });
    const [digestsBefore, digests] = [digestsOf(was), digestsOf(node)];
    if (digestsBefore !== null && digests !== null && digestsBefore !== digests)
      changes.push({ what: 'content', name, was: digestsBefore, now: digests });
  }
  for (const { name, kind } of former.values())
    if (!declared.has(name)) changes.push({ what: 'node', name, was: kind, now: null });
  return changes;
}

function digestsOf({ content }: RecordedNode): string | null {
  return content === null ? null : content.map(({ digest }) => digest).join(' ');
}

function differences(
  what: RecordedChange['what'],
  before: ReadonlyMap<string, string | null>,
  now: ReadonlyMap<string, string | null>,
): RecordedChange[] {
  return [...new Set([...before.keys(), ...now.keys()])].flatMap((name) => {
    const [old, value] = [before.get(name) ?? null, now.get(name) ?? null];
    return old === value ? [] : [{ what, name, was: old, now: value }];
  });
}
