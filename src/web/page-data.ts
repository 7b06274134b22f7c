// The data that a page carries for its script: written by res itself, so it is believed.
export function pageData<T>(): T {
  return JSON.parse(document.getElementById('data')?.textContent ?? 'null');
}
