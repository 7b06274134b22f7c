// Compiles what runs in a browser (src/web) to text that the program writes into its pages: nobody builds anything when
// a page is wanted, and a page needs nothing but itself.
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const WEB = join(ROOT, 'src/web');
const OUT = join(ROOT, 'src/report/assets.generated');

/** Name of the exported text, and where it comes from. */
const ASSETS = {
  documentScript: 'document.ts',
  liveScript: 'live.ts',
  graphStyle: 'graph.css',
  pageStyle: 'page.css',
};

/** Writes src/report/assets.generated.{js,d.ts}, unless they were made from the same sources. Rejects when one is wrong. */
export async function generateWebAssets() {
  const stamp = `// Made by scripts/web.mjs from ${inputsDigest()}.\n`;
  if (
    existsSync(`${OUT}.d.ts`) &&
    existsSync(`${OUT}.js`) &&
    readFileSync(`${OUT}.js`, 'utf8').startsWith(stamp)
  )
    return;
  // Imported here: a checkout whose assets are current does not wait for it.
  const esbuild = await import('esbuild');
  const texts = await Promise.all(
    Object.entries(ASSETS).map(async ([name, file]) => {
      const { outputFiles } = await esbuild.build({
        entryPoints: [join(WEB, file)],
        bundle: true,
        write: false,
        minify: true,
        format: 'iife',
        target: ['chrome110', 'firefox110', 'safari16'],
        charset: 'utf8',
        logLevel: 'silent',
      });
      return [name, outputFiles[0].text.trim()];
    }),
  );
  const staging = mkdtempSync(`${OUT}.`);
  try {
    const types = texts.map(([name]) => `export const ${name}: string;\n`).join('');
    const code = texts.map(([name, text]) => `export const ${name} = ${JSON.stringify(text)};\n`).join('');
    // The code last: the stamp in it says that both are there.
    for (const [suffix, text] of [
      ['d.ts', `${stamp}${types}`],
      ['js', `${stamp}${code}`],
    ]) {
      writeFileSync(join(staging, suffix), text);
      renameSync(join(staging, suffix), `${OUT}.${suffix}`);
    }
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

function inputsDigest() {
  const hash = createHash('sha256');
  const files = [
    join(ROOT, 'scripts/web.mjs'),
    join(ROOT, 'src/model/page.ts'),
    ...readdirSync(WEB)
      .sort()
      .map((name) => join(WEB, name)),
  ];
  for (const file of files) {
    const content = readFileSync(file);
    hash.update(`${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}
