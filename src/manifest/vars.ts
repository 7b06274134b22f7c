// Vars: values derived from params, as text or chosen by a param's value.
import type { Diagnostic } from '../model/diagnostic.js';
import { checkTemplate, interpolate, type Scope, type TemplateProblem } from './interpolate.js';
import { suggest } from './nearest.js';
import { clash, type Declared, type DeclaredParam, isPlaceholder } from './params.js';
import type { Definition } from './scope.js';
import {
  entriesOf,
  locateFragment,
  locateKey,
  locateValue,
  type Place,
  sectionEntries,
  textOf,
  type YamlTree,
} from './yaml.js';

type Complain = (problem: Diagnostic) => void;

/** All vars by name. What has not even the form of one is left to the schema to complain about. */
export function collectVars(
  trees: readonly YamlTree[],
  params: ReadonlyMap<string, Declared>,
  complain: Complain,
): ReadonlyMap<string, Declared> {
  const vars = new Map<string, Declared>();
  for (const tree of trees) {
    for (const [name, place] of sectionEntries(tree, 'vars')) {
      if (!/^[A-Za-z][A-Za-z0-9_-]*$/.test(name)) continue;
      const first = vars.get(name);
      const param = params.get(name);
      if (first) complain(clash('var', name, { tree, place }, first));
      else if (param)
        complain({
          ...clash('var', name, { tree, place }, param),
          message: `\`${name}\` is a param already`,
        });
      else if (isPlaceholder(name)) {
        const message = `\`${name}\` cannot be a var: \${${name}} has a meaning of its own`;
        complain({ message, location: locateKey(tree, place), hint: 'choose another name' });
      } else vars.set(name, { tree, place });
    }
  }
  return vars;
}

export function varDefinition(
  { tree, place }: Declared,
  params: ReadonlyMap<string, DeclaredParam>,
  complain: Complain,
): Definition {
  return {
    complain: (message) => complain({ message, location: locateValue(tree, place) }),
    compute: (scope) => {
      const text = textOf(tree, place);
      if (text !== undefined) return interpolate(text, scope, templateComplaint(tree, place, complain));
      return computeSelect(tree, place, scope, params, complain);
    },
  };
}

function computeSelect(
  tree: YamlTree,
  place: Place,
  scope: Scope,
  params: ReadonlyMap<string, DeclaredParam>,
  complain: Complain,
): string | undefined {
  const cases = new Map(entriesOf(tree, place));
  const select = cases.get('select');
  const by = select && textOf(tree, select);
  // The schema has a word to say about it.
  if (select === undefined || by === undefined) return undefined;
  cases.delete('select');

  const allowed = params.get(by)?.declaration.enum;
  for (const [value, at] of cases) {
    if (allowed && !allowed.includes(value)) {
      const message = `\`${value}\` is not one of the values of \`${by}\``;
      complain(withHint({ message, location: locateKey(tree, at) }, suggest(value, allowed, 'its values')));
    }
  }
  const value = scope.lookup(by);
  const chosen = value.is === 'value' ? cases.get(value.value) : undefined;
  for (const at of cases.values()) {
    const text = textOf(tree, at);
    if (at !== chosen && text !== undefined)
      checkTemplate(text, scope, templateComplaint(tree, at, complain));
  }
  if (value.is === 'unknown') {
    const hint = suggest(by, scope.names(), 'known names');
    complain(withHint({ message: `nothing is called \`${by}\``, location: locateValue(tree, select) }, hint));
  } else if (value.is === 'value' && chosen === undefined) {
    const message = `there is no case for \`${value.value}\`, the value of \`${by}\``;
    complain(
      withHint({ message, location: locateKey(tree, place) }, suggest(value.value, cases.keys(), 'cases')),
    );
  }
  const text = chosen && textOf(tree, chosen);
  if (chosen === undefined || text === undefined) return undefined;
  return interpolate(text, scope, templateComplaint(tree, chosen, complain));
}

/** Complains about a template at the part of the text that is wrong. */
export function templateComplaint(
  tree: YamlTree,
  place: Place,
  complain: Complain,
): (problem: TemplateProblem) => void {
  return ({ message, fragment, hint }) =>
    complain(withHint({ message, location: locateFragment(tree, place, fragment) }, hint));
}

function withHint(problem: Diagnostic, hint: string | undefined): Diagnostic {
  return hint === undefined ? problem : { ...problem, hint };
}
