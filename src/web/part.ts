// What a page is known to have, since res wrote it.

/** Throws where it is not there. */
export function part<T extends Element>(of: ParentNode, selector: string, type: { new (): T }): T {
  const found = of.querySelector(selector);
  if (!(found instanceof type)) throw new Error(`the page has no ${selector}`);
  return found;
}
