// What the pages of objectives compute: shading, projection, levels, release marks, the worst of a service, suggestions.
import assert from "node:assert/strict";
import { test } from "node:test";
import { below, levelsOf, marksIn, projection } from "../../app/slo/series";
import { roundedUp, suggestions } from "../../app/slo/suggest";
import { byService } from "../../app/slo/services";
import type { Alert, Service, Slo } from "../../app/core/types";

test("only the stretch under the target is shaded, from its neighbours on the target", () => {
  assert.deepEqual(below([1, 1, 0.9, 1, 1], 0.99), [null, 0.99, 0.9, 0.99, null]);
  assert.deepEqual(below([0.9, null, 0.9, 1], 0.99), [0.9, null, 0.9, 0.99]);
  assert.deepEqual(below([1, null, 1], 0.99), [null, null, null]);
});

test("a budget is projected straight to where it is spent, and no further than the chart has room", () => {
  const known = [{ at: 0, left: 1 }, { at: 1000, left: 0.5 }];
  assert.deepEqual(projection(known, 100), [{ at: 1100, left: 0 }]);
  // Half of the way to empty after 350 of 700 s: the chart ends there.
  assert.deepEqual(projection(known, 700), [{ at: 1350, left: 0.25 }]);
  assert.deepEqual(projection(known, null), []);
  assert.deepEqual(projection([{ at: 0, left: 1 }, { at: 1000, left: null }], 100), []);
  assert.deepEqual(projection([{ at: 0, left: -0.1 }], 100), []);
  assert.deepEqual(projection([], 100), []);
});

test("each threshold is one level, a page's colour before a ticket's", () => {
  const alert = (severity: "page" | "ticket", threshold: number): Alert => ({ policy: null, severity, long: "1h", short: "5m", threshold, long_rate: null, short_rate: null, firing: false });
  assert.deepEqual(levelsOf([alert("ticket", 6), alert("page", 14.4), alert("page", 6), alert("ticket", 1)]), [
    { value: 1, colour: "--warn" }, { value: 6, colour: "--bad" }, { value: 14.4, colour: "--bad" }]);
});

test("only releases within the chart are marked, the newest first", () => {
  const release = (version: string, seconds: number) => ({ version, first_seen_unix_nano: `${seconds}000000000` });
  const all = [release("v1", 5), release("v2", 15), release("v3", 18), release("v4", 99)];
  assert.deepEqual(marksIn([10, 20], all, 6), [{ at: 18, label: "v3" }, { at: 15, label: "v2" }]);
  assert.deepEqual(marksIn([10, 20], all, 1), [{ at: 18, label: "v3" }]);
  assert.deepEqual(marksIn([], all, 6), []);
});

const slo = (over: Partial<Slo>): Slo => ({
  id: "x", name: "x", display_name: "x", service: "a", kind: "availability", objective: "availability", target: 0.99, window: "28d", window_from_unix_nano: "0", window_to_unix_nano: null,
  sli: 1, good: 1, bad: 0, total: 1, budget_left: 1, exhausted_in_s: null, burn: [], alerts: [], state: "ok", state_reason: null, members: [], unknown: 0, sli_low: null, sli_high: null, bounds: null, budget_series: [], last_deployment: null, ...over,
});

test("a service stands where its worst objective stands; unknown burn is not zero", () => {
  const rows = byService([
    slo({ id: "1", service: "calm", burn: [{ window: "1h", rate: null }] }),
    slo({ id: "2", service: "hot", budget_left: 0.1, burn: [{ window: "1h", rate: 3 }] }),
    slo({ id: "3", service: "hot", state: "burning_page", budget_left: 0.4, burn: [{ window: "1h", rate: 2 }] }),
    slo({ id: "4", service: "calm", state: "no_data", budget_left: null }),
  ]);
  assert.deepEqual(rows.map((row) => [row.service, row.worst.id, row.slos.length, row.hour]), [["hot", "3", 2, 3], ["calm", "4", 2, null]]);
});

test("thresholds round up to round numbers", () => {
  assert.deepEqual([0.3, 1, 1.01, 7, 62.1, 100, 100.1, 812, 9999].map(roundedUp), [0.3, 1, 1.5, 8, 80, 100, 150, 1000, 10000]);
});

test("busy services get an availability and a latency objective that YAML reads as written", () => {
  const service = (over: Partial<Service>): Service => ({ service: "a", environment: "", rate_per_s: 1, errors_fraction: 0, p50_ms: 1, p95_ms: 62, p99_ms: 1, spans: 5000, operations: 1, versions: [], last_seen_unix_nano: "0", ...over });
  const found = suggestions([service({ service: "quiet", spans: 999 }), service({ service: 'na"me: #1', environment: "prod" }), service({ service: "busy", spans: 9000, p95_ms: null })]);
  assert.deepEqual(found.map((one) => [one.service, one.latencyMs]), [["busy", null], ['na"me: #1', 80]]);
  assert.equal(found[0]?.yaml.split("---\n").length, 1);
  const both = found[1]?.yaml ?? "";
  assert.equal(both.split("---\n").length, 2);
  const names = suggestions([service({ service: "x".repeat(90) }), service({ service: "größe" }), service({ service: "gr e" }), service({ service: "***" })]).flatMap((one) => [...one.yaml.matchAll(/^metadata: .name: "([^"]*)"/gm)].map((found) => found[1] ?? ""));
  assert.equal(new Set(names).size, 8);
  assert.deepEqual(names.filter((name) => !/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])$/.test(name)), []);
  for (const part of ['service: "na\\"me: #1", environment: "prod"', 'threshold: "80ms"', 'metadata: {name: "na-me-1-prod-latency"']) assert.ok(both.includes(part), part);
});
