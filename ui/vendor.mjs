// Copies the parts of node_modules that browsers load to ui/static/vendor, as ui/vendor.json says. `make ui` runs it.
//
// Browsers know no bare imports ("preact"), and an import map would have to stand inline, which our Content-Security-Policy
// forbids: so they are made relative. Beside each module lies a .d.ts that points at the package's own types, and in
// LICENCES.txt are the terms under which we pass them on.

import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const packages = join(here, "..", "node_modules");
const vendor = join(here, "static", "vendor");
const made = `${vendor}.new`;
const { modules, styles } = JSON.parse(readFileSync(join(here, "vendor.json"), "utf8"));

const file_of = Object.fromEntries(Object.entries(modules).map(([file, { name }]) => [name, file]));

/** Returns the module's text with its imports made relative, and without the address of a source map that is not there. */
function source(file, { from, before, after }) {
  const text = readFileSync(join(packages, from), "utf8")
    .replace(/\n?\/\/# sourceMappingURL=\S+\s*$/, "")
    .replace(/(\bfrom\s*|\bimport\s*)(["'])([^."'][^"']*)\2/g, (whole, word, quote, name) => {
      // Minified code has strings that look like this, too: what is left of it would fail in the test that loads each module.
      return name in file_of ? `${word}${quote}./${file_of[name]}${quote}` : whole;
    });
  return [before, text, after].filter((part) => part).join("\n") + "\n";
}

/** Returns the types of a module: those of its package, or ours for one that has none. */
function types({ name, types: own, default: has_default }) {
  if (own) return readFileSync(join(here, own), "utf8");
  return `export * from "${name}";\n` + (has_default ? `export { default } from "${name}";\n` : "");
}

/** Returns the name of the package that a path below node_modules belongs to. */
function package_of(path) {
  return path.split("/").slice(0, path.startsWith("@") ? 2 : 1).join("/");
}

/** Returns who made *name*, and the words that must go with it. */
function terms(name) {
  const folder = join(packages, name);
  const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
  if (!file) throw new Error(`${name} has no licence file`);
  return `${name} ${version} (${license})\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
}

rmSync(made, { recursive: true, force: true });
mkdirSync(made, { recursive: true });
for (const [file, entry] of Object.entries(modules)) {
  writeFileSync(join(made, file), source(file, entry));
  writeFileSync(join(made, file.replace(/\.js$/, ".d.ts")), types(entry));
}
for (const [file, from] of Object.entries(styles)) writeFileSync(join(made, file), readFileSync(join(packages, from)));
const used = [...Object.values(modules).map(({ from }) => from), ...Object.values(styles)].map(package_of);
const texts = [...new Set(used)].sort().map(terms);
writeFileSync(join(made, "LICENCES.txt"), texts.join(`\n${"-".repeat(80)}\n\n`));
// All of it or nothing: an interrupted run leaves what was there.
rmSync(vendor, { recursive: true, force: true });
renameSync(made, vendor);
