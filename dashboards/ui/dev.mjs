// `npm run dev`: builds on every change and serves the pages, with /api passed on to DAYTWO_URL (default http://127.0.0.1:8080).
import { createServer, request as ask } from "node:http";
import { existsSync, readFileSync, watch } from "node:fs";
import { join } from "node:path";
import { bundle } from "./build.mjs";

const target = new URL(process.env.DAYTWO_URL ?? "http://127.0.0.1:8080");
const port = Number(process.env.PORT ?? 5173);
const TYPES = { js: "text/javascript", css: "text/css", svg: "image/svg+xml", map: "application/json", txt: "text/plain" };
let { out } = await bundle({ dev: true });
let timer;
watch(new URL("app", import.meta.url), { recursive: true }, () => {
  clearTimeout(timer);
  timer = setTimeout(() => bundle({ dev: true }).then((built) => { out = built.out; process.stdout.write("built\n"); }, (problem) => process.stderr.write(`${problem}\n`)), 50);
});

createServer((request, response) => {
  const path = new URL(request.url, "http://x").pathname;
  if (path.startsWith("/api/")) { pass(request, response); return; }
  if (/^\/(assets\/[\w.-]+|favicon\.svg|NOTICES\.txt)$/.test(path) && existsSync(join(out, path))) {
    response.writeHead(200, { "content-type": TYPES[path.split(".").pop()] ?? "application/octet-stream", "cache-control": "no-store" }).end(readFileSync(join(out, path)));
    return;
  }
  const climb = "../".repeat(path.split("/").length - 2) || "./";
  response.writeHead(200, { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" }).end(readFileSync(join(out, "index.html"), "utf8").replaceAll('="./', `="${climb}`));
}).listen(port, "127.0.0.1", () => process.stdout.write(`http://127.0.0.1:${port} -> ${target.origin}\n`));

function pass(request, response) {
  const onward = ask({ hostname: target.hostname, port: target.port, path: request.url, method: request.method, headers: { ...request.headers, host: target.host } }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  onward.on("error", (problem) => { if (!response.headersSent) response.writeHead(502, { "content-type": "text/plain" }); response.end(`${target.origin} does not answer: ${problem.message}\n`); });
  request.pipe(onward);
}
