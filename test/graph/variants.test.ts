// The support table: warnings for what is not stable, refusal of what is not known to work with a tool.
import { describe, expect, it } from 'vitest';
import { checkVariants, variantOf } from '../../src/graph/variants.js';
import { errorOf, load } from '../manifest/workspace.js';

const TEXT = `res: 1
params:
  arch: { default: amd64, enum: [amd64, arm64] }
  os: { default: focal, enum: [focal, jammy, noble] }
artifacts:
  kernel:
    path: kernel
    variants:
      - { when: { arch: amd64, os: focal }, label: v5.4, state: stable, works-with: [qemu, gem5] }
      - { when: { arch: amd64, os: jammy }, label: v5.15, state: experimental, works-with: [qemu] }
      - { when: { arch: arm64, os: focal }, state: deprecated, works-with: [qemu, gem5] }
      - { when: { os: jammy }, works-with: [qemu] }
  tool: { path: tool, variants: [{ when: {}, label: any }] }
  plain: { path: plain }
targets:
  disk: { copy: kernel }
`;

const graph = (set: Record<string, string> = {}) => load(TEXT, { set });

describe('the variant in force', () => {
  it('is the first row that fits', () => {
    const { nodes } = graph();
    const kernel = nodes.get('kernel') ?? { variants: [] };
    expect(variantOf(kernel, { arch: 'amd64', os: 'jammy' })?.label).toBe('v5.15');
    expect(variantOf(kernel, { arch: 'arm64', os: 'jammy' })).toEqual({
      when: { os: 'jammy' },
      worksWith: ['qemu'],
    });
    expect(variantOf(kernel, { arch: 'arm64', os: 'noble' })).toBeUndefined();
  });
});

describe('a warning', () => {
  it('is not given of what is stable, says nothing of itself, or is not needed', () => {
    expect(checkVariants(graph(), ['disk', 'tool', 'plain'])).toEqual([]);
    expect(checkVariants(graph({ os: 'jammy' }), ['tool'])).toEqual([]);
  });

  it('is given of each node that is needed, once', () => {
    expect(checkVariants(graph({ os: 'jammy' }), ['disk', 'kernel'])).toEqual([
      'experimental for arch=amd64 os=jammy: kernel (v5.15)',
    ]);
    expect(checkVariants(graph({ arch: 'arm64' }), ['disk'])).toEqual([
      'deprecated for arch=arm64 os=focal: kernel',
    ]);
  });

  it('is given of what is not in the table', () => {
    expect(checkVariants(graph({ os: 'noble' }), ['disk'])).toEqual([
      'nobody has tried arch=amd64 os=noble: kernel',
    ]);
  });
});

describe('a tool', () => {
  it('gets what works with it', () => {
    expect(checkVariants(graph(), ['disk', 'tool', 'plain'], 'gem5')).toEqual([]);
    expect(checkVariants(graph({ os: 'jammy' }), ['disk'], 'qemu')).toHaveLength(1);
  });

  it('does not get what does not, and is told what does', () => {
    expect(errorOf(() => checkVariants(graph({ os: 'jammy' }), ['disk'], 'gem5'))).toMatchObject({
      code: 'variant-unsupported',
      message: 'kernel for arch=amd64 os=jammy is not known to work with gem5',
      hint: 'these do: --arch amd64 --os focal (v5.4); --arch arm64 --os focal',
      exitStatus: 2,
    });
    expect(errorOf(() => checkVariants(graph({ os: 'noble' }), ['kernel'], 'qemu')).code).toBe(
      'variant-unsupported',
    );
    const one = load('res: 1\nartifacts:\n  a: { path: x, variants: [{ when: {}, works-with: [qemu] }] }\n');
    expect(errorOf(() => checkVariants(one, ['a'], 'gem5')).hint).toBe('no variant of a works with gem5');
  });
});
