import { describe, expect, it } from 'vitest';
import { errorReport } from '../../src/execute/errors.js';
import { ResError } from '../../src/model/error.js';

describe('an error as data', () => {
  it("of a user's mistake is its code, message and hint, without a stack", () => {
    const report = errorReport(new ResError('network', 'no route', { hint: 'Go online.' }), '/x.log');
    expect(report).toEqual({
      code: 'network',
      message: 'no route',
      hint: 'Go online.',
      diagnostics: [],
      command: null,
      log: '/x.log',
    });
  });

  it('of a bug says that it is one, and shows the stack', () => {
    const report = errorReport(new TypeError('x is not a function'));
    expect(report).toMatchObject({ code: 'bug', hint: expect.stringMatching(/bug of res/) });
    expect(report.message).toMatch(/TypeError: x is not a function\n\s+at /);
  });
});
