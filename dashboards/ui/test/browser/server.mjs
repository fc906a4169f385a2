// A small server for the browser tests: the built pages as the real server sends them (relative assets, security policy),
// and fixtures under /api/v1. The first folder of a path chooses the scenario, which also proves that a path prefix works:
// /            everything there          /empty/   nothing received yet          /errors/  every panel fails
// /nodata/     data, but lists are empty /partial/ answers that miss something
// /many/       10,000 deployments, 400 objectives, long names
import { createServer } from "node:http";
import { readFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import * as deployment from "./deployments.mjs";
import * as flag from "./flags.mjs";
import * as fixture from "./fixtures.mjs";
import * as slo from "./slos.mjs";

const POLICY = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'";
const SCENARIOS = ["empty", "errors", "nodata", "partial", "many"];
const TYPES = { js: "text/javascript", css: "text/css", svg: "image/svg+xml", txt: "text/plain" };
export const BIG_TRACE = "41aa".padEnd(31, "0") + "e";
export const DEEP_TRACE = "deeb".padEnd(31, "0") + "d";
const cache = new Map();

/** Starts on a free port; `requests` lists the API paths asked for. */
export async function start(dist) {
  const requests = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url, "http://x");
    const first = url.pathname.split("/")[1];
    const scenario = SCENARIOS.includes(first) ? first : "full";
    const path = scenario === "full" ? url.pathname : url.pathname.slice(first.length + 1) || "/";
    if (path.startsWith("/api/v1/")) { requests.push(path); api(scenario, path.slice(7), url, request, response); return; }
    page(dist, path, response);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { url: `http://127.0.0.1:${server.address().port}`, requests, close: () => new Promise((done) => { server.closeAllConnections(); server.close(done); }) };
}

function page(dist, path, response) {
  const file = join(dist, path);
  if (/^\/(assets\/[\w.-]+|favicon\.svg|NOTICES\.txt)$/.test(path)) {
    if (!existsSync(file)) { response.writeHead(404).end(); return; }
    response.writeHead(200, { "content-type": TYPES[path.split(".").pop()] ?? "application/octet-stream" }).end(readFileSync(file));
    return;
  }
  const climb = "../".repeat(path.split("/").length - 2) || "./";
  const html = readFileSync(join(dist, "index.html"), "utf8").replaceAll('="./', `="${climb}`);
  response.writeHead(200, { "content-type": "text/html; charset=utf-8", "content-security-policy": POLICY }).end(html);
}

function send(response, status, body) {
  if (status >= 400) { response.writeHead(status, { "content-type": "application/problem+json" }).end(JSON.stringify(body)); return; }
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
}

const problem = (code, message) => ({ error: { code, message, request_id: "01JTEST" } });

function api(scenario, path, url, request, response) {
  if (scenario === "errors") { send(response, path.startsWith("/status") ? 503 : 504, problem("timeout", "the query ran longer than 30 s")); return; }
  if (path === "/sql") {
    let text = "";
    request.on("data", (chunk) => { text += chunk; });
    request.on("end", () => {
      const body = fixture.sql(JSON.parse(text).query);
      if (request.headers.accept === "text/csv") response.writeHead(200, { "content-type": "text/csv" }).end("service_name,spans\r\ncheckout,1\r\n");
      else send(response, body.error ? 400 : 200, body);
    });
    return;
  }
  const body = answer(scenario, path, url);
  if (body && scenario === "partial") body.partial = ["3 of 214 files cannot be read", "the range exceeds the retention of 7 d"];
  if (body) send(response, 200, body);
  else send(response, 404, problem("not_found", "nothing by this name is stored"));
}

function answer(scenario, path, url) {
  const none = scenario === "empty" || scenario === "nodata";
  const parts = path.split("/").slice(1).map(decodeURIComponent);
  switch (parts[0]) {
    case "status": return fixture.status(scenario === "empty" ? 0 : undefined);
    case "suggest": return fixture.suggest(url.searchParams.get("q") ?? "");
    case "services": return parts[2] === "operations" ? fixture.operations(parts[1]) : scenario === "empty" || (none && url.searchParams.get("from") !== "now-7d") ? { ...fixture.services(), services: [] } : fixture.services();
    case "slos": return parts[1] ? slo.sloDetail(parts[1]) : none ? { ...slo.slos(), slos: [], problems: [], notes: [] } : scenario === "many" ? slo.manySlos(400) : slo.slos();
    case "flags": return parts[1] ? flag.flagDetail(parts[1]) : none ? { ...flag.flags(), flags: [] } : flag.flags();
    case "alerts": return slo.alerts();
    case "deployments":
      if (parts[3] === "distribution") return deployment.distribution(url.searchParams.get("operation") ?? "");
      if (parts[1]) return deployment.deployment(parts[1], parts[2]);
      return none ? { ...deployment.deployments(), deployments: [] } : scenario === "many" ? deployment.manyDeployments(10_000) : deployment.deployments(url.searchParams.get("service"));
    case "traces": return trace(none, parts, url);
    default: return null;
  }
}

function trace(none, parts, url) {
  if (parts[2] === "spans") return fixture.span(parts[1], parts[3]);
  if (!parts[1]) {
    const filtered = url.searchParams.get("operation") === "nowhere";
    return none || filtered ? { ...fixture.traces(0) } : fixture.traces(Number(url.searchParams.get("limit") ?? 20));
  }
  if (parts[1].startsWith("ffff")) return null;
  if (!cache.has(parts[1])) cache.set(parts[1], parts[1] === BIG_TRACE ? fixture.trace(BIG_TRACE, 50_000) : parts[1] === DEEP_TRACE ? fixture.trace(DEEP_TRACE, 20_000, true) : fixture.trace(parts[1], 60));
  return structuredClone(cache.get(parts[1]));
}

if (process.argv[1]?.endsWith("browser/server.mjs")) {
  const dist = process.argv[2] ?? new URL("../../dist", import.meta.url).pathname;
  const { url } = await start(dist);
  process.stdout.write(`${url}\n`);
}
