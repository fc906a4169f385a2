// Runs the tests with Node's own runner: `node test/run.mjs unit browser`, `node test/run.mjs live`, or one part of the browser's.
// Unit tests are TypeScript, so they are bundled first; browser tests get a fresh build of the pages.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundle } from "../build.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const wanted = process.argv.slice(2);
const parts = ["pages", "screens", "keyboard", "hands"];
const known = ["unit", "browser", "live", ...parts];
if (wanted.length === 0 || wanted.some((name) => !known.includes(name))) {
  process.stderr.write(`usage: node test/run.mjs ${known.join(" | ")}\n`);
  process.exit(2);
}
const work = mkdtempSync(join(tmpdir(), "daytwo-ui-"));
try {
  const files = [];
  if (wanted.includes("unit")) files.push(...await bundleUnit());
  const chosen = parts.filter((name) => wanted.includes("browser") || wanted.includes(name));
  if (chosen.length > 0) { await bundle({ out: join(work, "dist") }); files.push(...chosen.map((name) => join(here, `browser/${name}.test.mjs`))); }
  if (wanted.includes("live")) files.push(join(here, "browser/live.test.mjs"));
  // One file at a time: browsers on a small machine would slow each other down.
  const done = spawnSync(process.execPath, ["--test", "--test-concurrency=1", "--test-reporter=spec", ...files], {
    stdio: "inherit", env: { ...process.env, DAYTWO_TEST_DIST: join(work, "dist") },
  });
  process.exitCode = done.status ?? 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}

async function bundleUnit() {
  const folder = join(here, "unit");
  const names = readdirSync(folder).filter((name) => name.endsWith(".test.ts"));
  await build({
    absWorkingDir: here, entryPoints: names.map((name) => join(folder, name)), outdir: join(work, "unit"), outExtension: { ".js": ".mjs" },
    bundle: true, loader: { ".css": "text" }, format: "esm", platform: "node", target: ["node20"], logLevel: "warning",
  });
  return names.map((name) => join(work, "unit", name.replace(/\.ts$/, ".mjs")));
}
