/**
 * Bundles the viewer into ../static, which is committed, so that installing attncore needs no Node.
 *
 * `node build.mjs` writes the files; `node build.mjs --check` builds in memory and fails when the committed bytes differ.
 */

import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const STATIC = join(HERE, "..", "static");
const STYLE_FOLDERS = ["src/shell", "src/views"];

const COMMON = {
  absWorkingDir: HERE,
  bundle: true,
  minify: true,
  write: false,
  metafile: true,
  charset: "utf8",
  legalComments: "eof",
  // The oldest browsers that have DecompressionStream and Intl.Segmenter; lowers newer syntax in styles too.
  target: ["es2022", "chrome110", "firefox125", "safari16.4"],
  logLevel: "warning",
};

async function bundleScript(entry, format) {
  const result = await build({ ...COMMON, entryPoints: [entry], format, outfile: "out.js" });
  const packages = packagesIn(result.metafile);
  const text = `${notice(packages)}${result.outputFiles[0].text}`;
  refuseUnsafe(entry, text);
  return { text, packages };
}

/** Every style file of the shell and the views, in the order of their names: views may rely on the shell's variables. */
async function bundleStyles() {
  const imports = STYLE_FOLDERS.flatMap((folder) =>
    namesIn(join(HERE, folder))
      .filter((name) => name.endsWith(".css"))
      .map((name) => `@import "./${folder}/${name}";`),
  );
  const result = await build({
    ...COMMON,
    stdin: { contents: imports.join("\n"), loader: "css", resolveDir: HERE, sourcefile: "viewer.css" },
    outfile: "out.css",
  });
  const text = result.outputFiles[0].text;
  if (/@import|url\((?!["']?(data:|#))/i.test(text)) throw new Error("viewer.css would fetch something: keep styles self-contained");
  if (/<\/style/i.test(text)) throw new Error("viewer.css holds </style, which would end the page's style element");
  return text;
}

/** The script is written into a page's script element, so it must hold nothing that ends or changes that element. */
function refuseUnsafe(entry, text) {
  for (const [name, pattern] of [["</script", /<\/script/i], ["<script", /<script/i], ["<!--", /<!--/], ["U+2028 or U+2029", /[\u2028\u2029]/]]) {
    if (pattern.test(text)) throw new Error(`the bundle of ${entry} holds ${name}, which is unsafe inside a script element: write it as an escape`);
  }
}

/** Names of the packages whose code is in the bundle. */
function packagesIn(metafile) {
  const inputs = Object.values(metafile.outputs).flatMap((output) => Object.entries(output.inputs));
  const names = inputs
    .filter(([, input]) => input.bytesInOutput > 0)
    .map(([path]) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1])
    .filter((name) => name !== undefined);
  return [...new Set(names)].sort();
}

function licenceOf(name) {
  const folder = join(HERE, "node_modules", name);
  const file = namesIn(folder).find((candidate) => /^licen[cs]e/i.test(candidate));
  if (file === undefined) throw new Error(`the package ${name} is in the bundle and has no licence file: its notice cannot be kept`);
  return readFileSync(join(folder, file), "utf8").replaceAll("\r\n", "\n").trim();
}

/** Licence texts with the packages that they are for; packages that share a text are listed together. */
function licences(packages) {
  const owners = new Map();
  for (const name of packages) {
    const { version } = JSON.parse(readFileSync(join(HERE, "node_modules", name, "package.json"), "utf8"));
    const text = licenceOf(name);
    owners.set(text, [...(owners.get(text) ?? []), `${name} ${version}`]);
  }
  return [...owners].map(([text, names]) => `${names.join(", ")}\n\n${text}\n`).join("\n----\n\n");
}

/** A saved page is a copy of the packages in it, so their notices travel inside the script. */
function notice(packages) {
  if (packages.length === 0) return "";
  const text = licences(packages);
  if (text.includes("*/")) throw new Error("a licence text holds */ and cannot be kept in a comment");
  return `/*! This script contains:\n\n${text}*/\n`;
}

async function buildAll() {
  const viewer = await bundleScript("src/main.ts", "iife");
  const widget = await bundleScript("src/widget.ts", "esm");
  const packages = [...new Set([...viewer.packages, ...widget.packages])].sort();
  return new Map([
    ["viewer.js", viewer.text],
    ["widget.js", widget.text],
    ["viewer.css", await bundleStyles()],
    ["THIRD-PARTY-LICENSES.txt", licences(packages)],
  ]);
}

function namesIn(folder) {
  return existsSync(folder) ? readdirSync(folder).sort() : [];
}

function write(files) {
  mkdirSync(STATIC, { recursive: true });
  for (const [name, text] of files) {
    writeFileSync(join(STATIC, name), text);
    console.log(`${name}: ${Buffer.byteLength(text).toLocaleString("en")} bytes`);
  }
}

function check(files) {
  const differing = [...files].filter(([name, text]) => {
    const path = join(STATIC, name);
    return !existsSync(path) || !readFileSync(path).equals(Buffer.from(text));
  });
  const extra = namesIn(STATIC).filter((name) => !files.has(name));
  if (differing.length === 0 && extra.length === 0) {
    console.log("src/renderers/static is what the viewer's source builds");
    return;
  }
  const names = [...differing.map(([name]) => name), ...extra].join(", ");
  console.error(`src/renderers/static differs from a fresh build in ${names}: run "make viewer" and commit what it writes`);
  process.exitCode = 1;
}

const files = await buildAll();
if (process.argv.includes("--check")) check(files);
else write(files);
