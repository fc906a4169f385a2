// Bundles app/ into a folder that the Rust crate embeds: `node build.mjs [--out DIR] [--dev]`.
// Output: index.html, favicon.svg, assets/<name>-<hash>.{js,css} and a .gz beside each file that shrinks.
// index.html names its assets relative to the site root; the server turns that into `../` steps for deeper pages,
// since the content security policy forbids <base>.
import { build } from "esbuild";
import { gzipSync } from "node:zlib";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));

/** Files below this size gain nothing from compression. */
const GZIP_FROM_BYTES = 512;

/** Bundle once; returns the output folder. */
export async function bundle({ out = join(here, "dist"), dev = false } = {}) {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(join(out, "assets"), { recursive: true });
  const result = await build({
    absWorkingDir: here,
    entryPoints: ["app/main.tsx", "app/styles/app.css"],
    outdir: join(out, "assets"),
    entryNames: "[name]-[hash]",
    chunkNames: "[name]-[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    target: ["es2023"],
    jsx: "automatic",
    jsxImportSource: "preact",
    minify: !dev,
    sourcemap: dev ? "linked" : false,
    legalComments: "none",
    charset: "utf8",
    metafile: true,
    logLevel: "warning",
    define: { "process.env.NODE_ENV": '"production"' },
  });
  writeFileSync(join(out, "index.html"), page(result.metafile, out));
  writeFileSync(join(out, "favicon.svg"), readFileSync(join(here, "app/favicon.svg")));
  writeFileSync(join(out, "NOTICES.txt"), notices(result.metafile));
  compress(out);
  return { out, metafile: result.metafile };
}

/** Fill the page template with the hashed names of the entry files. */
function page(metafile, out) {
  const entry = { "app/main.tsx": "", "app/styles/app.css": "" };
  for (const [file, meta] of Object.entries(metafile.outputs)) {
    if (meta.entryPoint in entry) entry[meta.entryPoint] = relative(out, resolve(here, file));
  }
  return readFileSync(join(here, "app/index.html"), "utf8")
    .replace("%SCRIPT%", entry["app/main.tsx"])
    .replace("%STYLE%", entry["app/styles/app.css"]);
}

/** The licence text of every package that went into the bundle: MIT asks that it travels along. */
function notices(metafile) {
  const packages = new Set();
  for (const input of Object.keys(metafile.inputs)) {
    const match = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
    if (match) packages.add(match[1]);
  }
  return [...packages].sort().map((name) => {
    const folder = join(here, "node_modules", name);
    const version = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).version;
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    return `${name} ${version}\n\n${file ? readFileSync(join(folder, file), "utf8").trim() : "(no licence file)"}\n`;
  }).join(`\n${"-".repeat(80)}\n\n`);
}

function compress(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) { compress(path); continue; }
    if (entry.name === "index.html" || entry.name.endsWith(".map")) continue;
    const raw = readFileSync(path);
    if (raw.length < GZIP_FROM_BYTES) continue;
    const packed = gzipSync(raw, { level: 9 });
    if (packed.length < raw.length) writeFileSync(`${path}.gz`, packed);
  }
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const at = process.argv.indexOf("--out");
  const { out, metafile } = await bundle({
    out: at > 0 ? resolve(process.argv[at + 1]) : undefined,
    dev: process.argv.includes("--dev"),
  });
  if (process.argv.includes("--sizes")) {
    for (const [file, meta] of Object.entries(metafile.outputs)) {
      const packed = gzipSync(readFileSync(resolve(here, file)), { level: 9 }).length;
      process.stdout.write(`${String(meta.bytes).padStart(8)} ${String(packed).padStart(7)} gz  ${relative(out, resolve(here, file))}\n`);
    }
  }
}
