/**
 * Keeps the list of modules in index.html that the browser is to fetch at once: all that main.js imports, directly or not.
 * Without it each level of imports costs a round trip. `node ui/preload.mjs` writes the list anew; a test compares it.
 */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const STATIC = fileURLToPath(new URL("./static/", import.meta.url));
const PAGE = path.join(STATIC, "index.html");
const LINK = /^ *<link rel="modulepreload" href="\{\{assets\}\}\/([^"]+)" \/>\n/gm;

/** A static import or re-export at the beginning of a line, or after the end of a statement in minified code. */
const IMPORT = /(?:^|[;}])\s*(?:import|export)(?:[^;"'()]*?\bfrom)?\s*["'](\.[^"']+)["']/gm;

/** The modules below ui/static that *entry* needs, itself left out, in the order in which they are found. */
export function needed(entry = "main.js") {
  /** @type {Set<string>} */
  const found = new Set();
  const queue = [entry];
  for (const module of queue) {
    const source = readFileSync(path.join(STATIC, module), "utf8").replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, "");
    for (const [, specifier] of source.matchAll(IMPORT)) {
      const next = path.posix.join(path.posix.dirname(module), specifier);
      if (next === entry || found.has(next)) continue;
      found.add(next);
      queue.push(next);
    }
  }
  return [...found];
}

/** The modules that index.html lists. */
export function listed() {
  return [...readFileSync(PAGE, "utf8").matchAll(LINK)].map(([, module]) => module);
}

function write() {
  const links = needed().map((module) => `    <link rel="modulepreload" href="{{assets}}/${module}" />\n`);
  const page = readFileSync(PAGE, "utf8").replace(LINK, "");
  writeFileSync(PAGE, page.replace(/^ *<script type="module"/m, `${links.join("")}$&`));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) write();
