// Every mistake in a manifest, with the exact text that the user sees: errors.cases.txt beside this file.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: manifests have holes
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MAX_TEXT_BYTES } from '../../src/manifest/text.js';
import { complaintsOf, errorOf, load } from './workspace.js';

interface Case {
  readonly title: string;
  readonly env: Record<string, string>;
  readonly manifest: string;
  readonly complaints: string;
}

function readCases(): Case[] {
  const [, ...sections] = readFileSync(join(import.meta.dirname, 'errors.cases.txt'), 'utf8').split(
    /^==== /m,
  );
  return sections.map((section) => {
    const [head = '', rest = ''] = section.split('---- resources.yaml\n');
    const [manifest = '', complaints = ''] = rest.split('---- complaints\n');
    const [title = '', ...settings] = head.trim().split('\n');
    const env = Object.fromEntries(settings.map((line) => line.replace('env ', '').split('=')));
    return { title, env, manifest, complaints: complaints.trimEnd() };
  });
}

describe('a manifest with a mistake', () => {
  it.each(readCases())('$title', ({ env, manifest, complaints }) => {
    expect(complaintsOf(manifest, { env })).toBe(complaints);
  });

  it('may be empty', () => {
    expect(complaintsOf('')).toBe(
      'resources.yaml:1:1: error: the manifest is empty\n  hint: it starts with the line `res: 1`',
    );
  });

  it('does not reach the terminal with its control characters', () => {
    const text = complaintsOf('res: 1\nname: "x \u009b31m ${nope}"\ntargets: { "a\\e[2J": { copy: b } }\n');
    expect(text).toContain('name: "x \u00b731m ${nope}"');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  });

  it('shows the part of a long line that is wrong', () => {
    const text = complaintsOf(`res: 1\nname: ${'x'.repeat(500)}\${nope}${'y'.repeat(500)}\n`);
    const [, line = '', caret = ''] = text.split('\n');
    expect(line.length).toBeLessThan(120);
    expect(line.slice(caret.indexOf('^'), caret.length)).toBe('${nope}');
  });

  it('is larger than 16 MiB', () => {
    const text = complaintsOf(`res: 1\n${'#'.repeat(MAX_TEXT_BYTES)}`);
    expect(text).toBe(
      'resources.yaml:1:1: error: resources.yaml is larger than 16 MiB\n  hint: Is this the right file?',
    );
  });

  it('is not text', () => {
    const bytes = Buffer.from('res: 1\nname: a\xffb\n', 'latin1');
    expect(complaintsOf({ 'resources.yaml': bytes })).toBe(
      'resources.yaml:2:8: error: this is not UTF-8 text\n  name: a\ufffdb\n         ^',
    );
  });

  it('is a folder', () => {
    expect(complaintsOf({ 'resources.yaml/x': '' })).toBe(
      'resources.yaml:1:1: error: cannot read resources.yaml: it is a folder',
    );
  });

  it('says in one error how much is wrong, with status 2', () => {
    const error = errorOf(() => load('res: 1\nx: 1\ny: 2\n'));
    expect(error).toMatchObject({
      code: 'manifest-invalid',
      message: 'resources.yaml has 2 errors',
      exitStatus: 2,
    });
  });

  it('is not there', () => {
    const error = errorOf(() => load({}));
    expect(error).toMatchObject({
      code: 'manifest-not-found',
      message: 'cannot read resources.yaml: there is no such file',
    });
  });

  it('is not accused twice of one thing, nor of what comes of a file that is missing', () => {
    const text = complaintsOf(
      'res: 1\ninclude: [gone.yaml]\ntargets:\n  a: { copy: from-gone }\ndefault: [b]\n',
    );
    expect(text).toBe(
      [
        'resources.yaml:2:11: error: cannot read gone.yaml: there is no such file',
        '  include: [gone.yaml]',
        '            ^~~~~~~~~',
      ].join('\n'),
    );
  });
});

describe('a manifest in a Windows editor', () => {
  it('may start with a byte order mark and end its lines with CR LF', () => {
    const graph = load('\ufeffres: 1\r\nartifacts:\r\n  a: { path: x }\r\n');
    expect(graph.order).toEqual(['a']);
    expect(complaintsOf('\ufeffres: 1\r\nnmae: x\r\n')).toBe(
      'resources.yaml:2:1: error: unknown key `nmae`\n  nmae: x\n  ^~~~\n  hint: did you mean `name`?',
    );
  });
});
