// A graph drawn: as a file of its own, or as part of a page whose script and style go with it.

import type { PageNode } from '../model/page.js';
import { graphStyle } from './assets.generated.js';
import { type Layout, layOut } from './graph-layout.js';
import { escapeMarkup } from './markup.js';
import { type Picture, picture } from './picture.js';

const LINE_HEIGHT = 16;
const FIRST_LINE = 18;

/** A whole SVG file, folded where the graph is large. @param nodes inputs first @param title plain text */
export async function graphSvg(nodes: readonly PageNode[], title: string, about: string): Promise<string> {
  const drawn = picture(nodes, true);
  const layout = await layOut(drawn);
  const size = `width="${round(layout.width)}" height="${round(layout.height)}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} viewBox="0 0 ${round(layout.width)} ${round(layout.height)}" class="graph" role="img" aria-labelledby="title about">
<title id="title">${escapeMarkup(title)}</title>
<desc id="about">${escapeMarkup(describe(drawn, about))}</desc>
<style>${graphStyle}</style>
<rect class="paper" width="100%" height="100%"/>
${svgBody(layout, '', false)}
</svg>
`;
}

/** As part of a page, where boxes can be chosen. @param id unlike that of others on the page */
export async function svgElement(drawn: Picture, id: string, label: string): Promise<string> {
  const layout = await layOut(drawn);
  const [width, height] = [round(layout.width), round(layout.height)];
  return `<svg id="${id}" class="graph" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" data-width="${width}" data-height="${height}" role="group" aria-label="${escapeMarkup(label)}">
${svgBody(layout, `${id}-`, true)}
</svg>`;
}

function describe({ boxes, edges, folded }: Picture, about: string): string {
  const shared = folded === 0 ? '' : ` ${folded} of the nodes that are alike share boxes.`;
  const listed = boxes.map(({ label }) => label).join('; ');
  return `${about}.${shared} ${edges.length} arrows lead from inputs to what is made of them. Boxes: ${listed}.`;
}

function svgBody({ boxes, edges }: Layout, prefix: string, canBeChosen: boolean): string {
  const arrow = `${prefix}arrow`;
  return [
    `<defs><marker id="${arrow}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>`,
    `<g class="edges" aria-hidden="true">`,
    ...edges.map(({ role, points }) => {
      const [start, ...rest] = points.map(({ x, y }) => `${round(x)} ${round(y)}`);
      const kind = role === '' ? 'edge' : 'edge side';
      const title = role === '' ? '' : `<title>as ${escapeMarkup(role)}</title>`;
      return `<path class="${kind}" d="M${start}C${rest.join(' ')}" marker-end="url(#${arrow})">${title}</path>`;
    }),
    '</g>',
    '<g class="boxes">',
    ...boxes.map(({ box, left, top, width, height }, i) => {
      const { id, lines, label, state, shape, members } = box;
      const lastIsState = state !== null;
      const rounding = shape === 'artifact' ? 16 : 4;
      // One of them is reached with the tab key, the others from there with the arrows.
      const choosing = canBeChosen
        ? ` role="button" tabindex="${i === 0 ? 0 : -1}" data-box="${id}" data-nodes="${escapeMarkup(JSON.stringify(members.map(({ name }) => name)))}"`
        : '';
      const texts = lines.map((line, row) => {
        const kind = row === 0 ? 'name' : lastIsState && row === lines.length - 1 ? 'state' : 'about';
        return `<text class="${kind}" x="${round(left + width / 2)}" y="${round(top + FIRST_LINE + row * LINE_HEIGHT)}">${escapeMarkup(line)}</text>`;
      });
      return (
        `<g class="box ${shape}${members.length > 1 ? ' pile' : ''} s-${state ?? 'none'}"${choosing}>` +
        `${canBeChosen ? '' : `<title>${escapeMarkup(label)}</title>`}` +
        `${members.length > 1 ? `<rect class="behind" x="${round(left + 4)}" y="${round(top + 4)}" width="${round(width)}" height="${round(height)}" rx="${rounding}"/>` : ''}` +
        `<rect class="face" x="${round(left)}" y="${round(top)}" width="${round(width)}" height="${round(height)}" rx="${rounding}"/>${texts.join('\n')}</g>`
      );
    }),
    '</g>',
  ].join('\n');
}

function round(pixels: number): number {
  return Math.round(pixels * 10) / 10;
}
