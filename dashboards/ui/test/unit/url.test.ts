// Addresses: taking apart, putting together, sorting and CSV.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hueOf } from "../../app/core/colour";
import { sortRows } from "../../app/core/sort";
import { LANGUAGES, snippet, testSpan } from "../../app/core/snippets";
import { buildHref, match, parseLocation, pathOf, queryOf } from "../../app/core/url";

test("a path is read below any prefix", () => {
  assert.deepEqual(parseLocation("/slo/x", "?env=prod", "/"), { path: "/slo/x", query: { env: "prod" } });
  assert.deepEqual(parseLocation("/tools/daytwo/slo/", "", "/tools/daytwo/"), { path: "/slo", query: {} });
  assert.deepEqual(parseLocation("/", "", "/"), { path: "/", query: {} });
});

test("names with slashes, spaces and percent signs survive", () => {
  for (const name of ["a/b", "50 %", "ü", "?x=#", "..", "a+b"]) {
    const path = pathOf("deployments", name, "v1");
    assert.deepEqual(match("/deployments/:service/:version", path), { service: name, version: "v1" }, path);
  }
  assert.equal(match("/slo/:id", "/slo/%E0%A4%A"), null);
  assert.equal(match("/slo/:id", "/slo/"), null);
  assert.equal(match("/slo/:id", "/slo/a/b"), null);
  assert.deepEqual(match("/", "/"), {});
});

test("shared parameters go along and others stay behind", () => {
  const current = { from: "now-3h", env: "prod", q: "text", op: "x" };
  assert.equal(buildHref("/", "/slo", current), "/slo?from=now-3h&env=prod");
  assert.equal(buildHref("/p/", "/slo", current, { env: null, service: "a&b" }), "/p/slo?from=now-3h&service=a%26b");
  assert.equal(buildHref("/", "/", {}), "/");
  assert.equal(queryOf({ a: 1, b: null, c: "", d: "x y" }), "?a=1&d=x+y");
  assert.equal(queryOf({}), "");
});

test("unknown values sort last both ways and equals keep their order", () => {
  const rows = [{ n: 2, k: "a" }, { n: null, k: "b" }, { n: 1, k: "c" }, { n: 2, k: "d" }];
  const order = (down: boolean): string => sortRows(rows, (row) => row.n, down).map((row) => row.k).join("");
  assert.equal(order(false), "cadb");
  assert.equal(order(true), "adcb");
});

test("colours depend on the name only", () => {
  assert.equal(hueOf("checkout"), hueOf("checkout"));
  const hues = ["checkout", "payment", "cart", "search", "gateway"].map(hueOf);
  assert.equal(new Set(hues.map((hue) => Math.round(hue))).size, 5);
  for (const hue of hues) assert.ok(hue >= 0 && hue < 360);
});

test("each snippet names the endpoint of this server", () => {
  for (const { id } of LANGUAGES) assert.ok(/127\.0\.0\.1:(9317|9318)/.test(snippet(id, "127.0.0.1:9317", "127.0.0.1:9318")), id);
  const body = /-d '(\{.*)'$/s.exec(testSpan("h:1", 1_700_000_000_000))?.[1] ?? "";
  const parsed = JSON.parse(body.replace("'$trace'", "0".repeat(32)).replace("'$span'", "0".repeat(16))) as { resourceSpans: unknown[] };
  assert.equal(parsed.resourceSpans.length, 1);
});
