// Events for programs: one JSON object a line.
import type { Output } from '../output.js';
import type { Face } from './face.js';

export function jsonFace(to: Output): Face {
  return {
    listener: (event) => to.line(JSON.stringify(event)),
    async end() {},
  };
}
