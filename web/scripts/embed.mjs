// Compresses the built files, and writes the list of them that the coordinator compiles in.
//
// `--check` compares them with the committed ones instead. The contents are compared, not the compressed bytes: those
// depend on the version of the compressor.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, brotliDecompressSync, constants, gunzipSync, gzipSync } from "node:zlib";

const built = fileURLToPath(new URL("../dist", import.meta.url));
const embedded = fileURLToPath(new URL("../../crates/coordinator/src/web/", import.meta.url));
const target = join(embedded, "dist");
const list = join(embedded, "files.rs");

const types = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
  woff2: "font/woff2",
};

/** The built files by name, in order: the document, and everything in `assets`. */
function builtFiles() {
  const assets = readdirSync(join(built, "assets")).sort();
  const files = new Map([["index.html", readFileSync(join(built, "index.html"))]]);
  for (const name of assets) files.set(name, readFileSync(join(built, "assets", name)));
  return files;
}

function brotli(bytes) {
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  return brotliCompressSync(bytes, { params });
}

function describe([name, bytes]) {
  const type = types[name.split(".").pop()];
  if (!type) throw new Error(`no content type for ${name}`);
  const etag = createHash("sha256").update(bytes).digest("hex").slice(0, 16);
  return `    File {
        name: "${name}",
        content_type: "${type}",
        etag: "\\"${etag}\\"",
        brotli: include_bytes!("dist/${name}.br"),
        gzip: include_bytes!("dist/${name}.gz"),
    },
`;
}

function listOf(files) {
  const entries = [...files].map(describe).join("");
  return `//! The embedded files. Written by \`web/scripts/embed.mjs\`; do not edit.

use super::File;

pub(super) const FILES: &[File] = &[
${entries}];
`;
}

function write(files) {
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  for (const [name, bytes] of files) {
    writeFileSync(join(target, `${name}.br`), brotli(bytes));
    writeFileSync(join(target, `${name}.gz`), gzipSync(bytes, { level: 9 }));
  }
  writeFileSync(list, listOf(files));
}

function check(files) {
  const wrong = [];
  const known = new Set([...files.keys()].flatMap((name) => [`${name}.br`, `${name}.gz`]));
  for (const name of readdirSync(target)) if (!known.has(name)) wrong.push(`${name} is not built`);
  for (const [name, bytes] of files) {
    for (const [ending, decompress] of [["br", brotliDecompressSync], ["gz", gunzipSync]]) {
      let same = false;
      try {
        same = decompress(readFileSync(join(target, `${name}.${ending}`))).equals(bytes);
      } catch (error) {
        if (error.code !== "ENOENT") throw error;
      }
      if (!same) wrong.push(`${name}.${ending} differs`);
    }
  }
  if (readFileSync(list, "utf8") !== listOf(files)) wrong.push("files.rs differs");
  if (wrong.length > 0) {
    console.error(`The committed files are not those of web/src:\n  ${wrong.join("\n  ")}\nRun: npm run build`);
    process.exit(1);
  }
}

/** What a browser loads before it shows something. */
function firstPaint(files) {
  const document = files.get("index.html").toString();
  const names = [...document.matchAll(/"\.\/assets\/([^"]+)"/g)].map((match) => match[1]);
  return ["index.html", ...names].reduce((sum, name) => sum + gzipSync(files.get(name), { level: 9 }).length, 0);
}

const budget = 150_000;
const files = builtFiles();
const bytes = firstPaint(files);
console.log(`${(bytes / 1000).toFixed(1)} kB compressed before the first paint, of ${budget / 1000} kB`);
if (bytes > budget) process.exit(1);
if (process.argv.includes("--check")) check(files);
else write(files);
