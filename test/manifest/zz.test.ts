import { writeFileSync } from 'node:fs';
import { it } from 'vitest';
import { complaintsOf } from './workspace.js';
// @ts-ignore
import cases from '/tmp/w/cases.mjs';
it('x', () => {
  let out = '';
  const res: any[] = [];
  for (const [n, t, given] of cases) {
    let r: string;
    try { r = complaintsOf(t, given); } catch (e: any) { r = `!!!! ${e.stack}`; }
    res.push([n, t, given, r]);
    out += `######## ${n}\n${r}\n\n`;
  }
  writeFileSync('/tmp/w/out.txt', out);
  writeFileSync('/tmp/w/out.json', JSON.stringify(res));
});
