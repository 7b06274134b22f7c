// Parts as split(1) names them (.aa, .ab, …): whether one in between is missing, before gigabytes are merged in vain.

/** The name of the first part that is missing in a sorted list of names, as far as names can tell. */
export function missingPart(names: readonly string[]): string | undefined {
  for (const [stem, suffixes] of suffixesByStem(names)) {
    if (!isSequence(suffixes)) continue;
    let due = 'a'.repeat(suffixes[0]?.length ?? 0);
    for (const suffix of suffixes) {
      // split(1) goes on with longer suffixes after `yz`; where lengths change nothing can be said.
      if (suffix.length !== due.length) break;
      if (suffix !== due) return `${stem}.${due}`;
      due = successor(suffix);
    }
  }
  return undefined;
}

function suffixesByStem(names: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, string[]>();
  for (const name of names) {
    const [, stem, suffix] = /^(.+)\.([a-z]{2,4})$/.exec(name) ?? [];
    if (stem === undefined || suffix === undefined) continue;
    groups.set(stem, [...(groups.get(stem) ?? []), suffix]);
  }
  return groups;
}

/** `.aa` begins one; without it, `.ab` beside others, or several that could follow it. `.gz` beside `.xz` is none. */
function isSequence(suffixes: readonly string[]): boolean {
  if (suffixes.some((suffix) => /^a+$/.test(suffix))) return true;
  if (suffixes.length === 1) return false;
  return (
    suffixes.some((suffix) => /^a+b$/.test(suffix)) || suffixes.every((suffix) => /^a+[a-z]$/.test(suffix))
  );
}

function successor(suffix: string): string {
  const head = suffix.slice(0, -1);
  if (!suffix.endsWith('z')) return head + String.fromCharCode(suffix.charCodeAt(suffix.length - 1) + 1);
  return head === '' ? '' : `${successor(head)}a`;
}
