// Why a node is not as it was: what its last run stood on, against what it would stand on now.
import type { Action } from '../model/action.js';
import { canonicalJson, isJsonObject, type Json } from '../model/json.js';
import { type Node, referenceText } from '../model/node.js';
import type { Reason } from '../model/plan.js';

export function shown(value: Json | undefined): string {
  if (value === undefined) return 'not set';
  return typeof value === 'string' ? value : canonicalJson(value);
}

/** `sha256:1a2b3c4d…`: enough of a digest for a person to compare. */
export function shortDigest(digest: string): string {
  const at = digest.indexOf(':') + 1;
  return `${digest.slice(0, at + 8)}…`;
}

/** The differences between two actions of one node, most telling first; empty when there are none. */
export function differences(node: Node, was: Action, now: Action): readonly Reason[] {
  const reasons: Reason[] = [];
  if (was.kind !== now.kind) reasons.push(changed('recipe-changed', 'kind', was.kind, now.kind));
  else compareFields('', was.recipe, now.recipe, reasons);
  for (const tool of new Set([...Object.keys(was.tools), ...Object.keys(now.tools)])) {
    if (was.tools[tool] !== now.tools[tool]) {
      reasons.push(
        changed('tool-changed', tool, was.tools[tool] ?? 'not used', now.tools[tool] ?? 'not used'),
      );
    }
  }
  // Another source has other content: that goes without saying.
  if (node.section === 'artifact' && reasons.length > 0) return reasons;
  const count = Math.max(was.inputs.length, now.inputs.length);
  for (let i = 0; i < count; i++) {
    const before = was.inputs[i]?.digests ?? [];
    const after = now.inputs[i]?.digests ?? [];
    const isSame = before.length === after.length && before.every((digest, at) => digest === after[at]);
    const [oldNames = '', newNames = ''] = [was, now].map(({ inputs }) => inputs[i]?.names?.join(' '));
    if (isSame && oldNames === newNames) continue;
    const role = now.inputs[i]?.role ?? was.inputs[i]?.role ?? 'input';
    // The first input of an artifact is its own content, which no reference names.
    const reference =
      node.section === 'artifact' ? node.references.find((one) => one.role === role) : node.references[i];
    const subject = reference?.node ?? role;
    const shownAs = reference ? referenceText(reference) : role;
    reasons.push(
      isSame
        ? { ...changed('input-changed', `names of ${shownAs}`, oldNames, newNames), subject }
        : describeInput(subject, shownAs, before, after),
    );
  }
  return reasons;
}

function describeInput(
  subject: string,
  shownAs: string,
  before: readonly string[],
  after: readonly string[],
): Reason {
  const [was, now] = [before, after].map((digests) =>
    digests.length === 0
      ? 'nothing'
      : digests.length === 1
        ? shortDigest(digests[0] ?? '')
        : `${digests.length} files`,
  );
  const differing = after.filter((digest, i) => digest !== before[i]).length;
  const detail =
    before.length > 1 && before.length === after.length
      ? `${shownAs}: ${differing} of ${after.length} files changed`
      : `${shownAs}: ${was} -> ${now}`;
  return { code: 'input-changed', detail, subject, was: before.join(' '), now: after.join(' ') };
}

function compareFields(prefix: string, was: Json, now: Json, reasons: Reason[]): void {
  if (canonicalJson(was) === canonicalJson(now)) return;
  if (isJsonObject(was) && isJsonObject(now)) {
    for (const field of new Set([...Object.keys(was), ...Object.keys(now)])) {
      compareFields(
        prefix === '' ? field : `${prefix}.${field}`,
        was[field] ?? null,
        now[field] ?? null,
        reasons,
      );
    }
    return;
  }
  reasons.push(changed('recipe-changed', prefix, shown(was ?? undefined), shown(now ?? undefined)));
}

function changed(code: Reason['code'], subject: string, was: string, now: string): Reason {
  return { code, detail: `${subject}: ${was} -> ${now}`, subject, was, now };
}
