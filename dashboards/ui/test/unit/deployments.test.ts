// What the pages of deployments compute: pairs of traces, tallies, the timeline and its keys, gaps, statistics in words.
import assert from "node:assert/strict";
import { test } from "node:test";
import { stepOf } from "../../app/charts/reading";
import { statistic } from "../../app/core/format";
import type { Deployment, Exemplar, Finding, Verdict } from "../../app/core/types";
import { cutoverLines, cutoverSql } from "../../app/deployment/cutover";
import { pairsOf } from "../../app/deployment/pairs";
import { withGaps } from "../../app/deployment/shares";
import { LANES_MAX, MARKS_MAX, moved, timelineOf } from "../../app/deployment/timeline";
import { culpritOf, tally } from "../../app/deployment/words";

const exemplar = (trace_id: string, role: Exemplar["role"]): Exemplar => ({ trace_id, role, duration_ms: 1, node_ms: 1, start_unix_nano: "0" });

test("each trace after has one before beside it; without one it stands alone", () => {
  const ids = (all: Exemplar[]) => pairsOf(all).map((pair) => [pair.role, pair.before?.trace_id ?? null, pair.after?.trace_id ?? null]);
  assert.deepEqual(ids([exemplar("s", "candidate_slow"), exemplar("m", "candidate_median"), exemplar("b", "baseline_median"), exemplar("e", "error")]),
    [["slow", "b", "s"], ["typical", "b", "m"], ["failed", "b", "e"]]);
  assert.deepEqual(ids([exemplar("b1", "baseline_median"), exemplar("m1", "candidate_median"), exemplar("b2", "baseline_median"), exemplar("m2", "candidate_slow")]),
    [["typical", "b1", "m1"], ["slow", "b2", "m2"]]);
  assert.deepEqual(ids([exemplar("m", "candidate_median")]), [["typical", null, "m"]]);
  assert.deepEqual(ids([exemplar("b", "baseline_median")]), [["typical", "b", null]]);
});

const finding = (over: Partial<Finding>): Finding => ({
  node: "self", service: "a", operation: "x", peer: null, class: null, state: "PASS", signal: "latency", traces_before: 1, traces_after: 1, before_ms: null, after_ms: null, ratio: null, ratio_low: null,
  ratio_high: null, excess_ms: null, errors_before: null, errors_after: null, z: null, e_value: null, p_value: null, strata: 1, own_share: null, why: "", ...over,
});
const verdict = (over: Partial<Verdict>): Verdict => ({
  state: "FAIL", class: null, headline: "", reason: "", judged_at_unix_nano: "0", looks: 1, baseline: { rung: "B", version: "v1", meaning: "", from_unix_nano: "0", to_unix_nano: "1", traces: 1 },
  candidate: { version: "v2", from_unix_nano: "0", to_unix_nano: "1", traces: 1 }, alpha: 0.005, material_ratio: 1.05, planned_traces: 1_000, mde_ratio: null, traces_needed: null, seconds_needed: null, coverage: 1,
  findings: [], affected: [], suspects: [], structure: [], exemplars: [], splits: [], confounders: [], parity: [], what_would_change: "", sql: "", ...over,
});

test("operations are counted once each, services that inherit once each", () => {
  const found = tally(verdict({
    findings: [finding({ state: "FAIL" }), finding({ state: "WARN", signal: "errors" }), finding({ operation: "y", state: "CONTINUE" }), finding({ operation: "z" }), finding({ operation: null, state: "FAIL" }), finding({ node: "edge", operation: "x", state: "WARN" })],
    affected: [finding({ service: "b", class: "INHERITED" }), finding({ service: "b", class: "INHERITED", signal: "errors" }), finding({ service: "c", class: "OWN" })],
  }));
  assert.deepEqual(found, { operations: 3, worse: 1, open: 1, inheriting: 1 });
});

test("the culprit is another service, from the suspects or from what owns the change", () => {
  const suspect = (service: string) => ({ service, score_ms: 1, share: 1, own_ms: 1, edge_ms: 0, calls_ms: 0 });
  assert.equal(culpritOf("a", verdict({ suspects: [suspect("a"), suspect("b")] })), null);
  assert.equal(culpritOf("a", verdict({ suspects: [suspect("b")] })), "b");
  assert.equal(culpritOf("a", verdict({ state: "INHERITED", affected: [finding({ service: "b", class: "OWN" })] })), "b");
  assert.equal(culpritOf("a", verdict({ state: "INHERITED", affected: [finding({ service: "b", class: "INHERITED" })] })), null);
  assert.equal(culpritOf("a", verdict({ state: "PASS", affected: [finding({ service: "b", class: "OWN" })] })), null);
});

const MINUTE = 60_000;
const deployed = (service: string, version: string, minutesAgo: number, now: number): Deployment => ({
  service, environment: "", version, previous_version: null, first_seen_unix_nano: `${now - minutesAgo * MINUTE}000000`, last_seen_unix_nano: "0", share: null, kind: "release",
  identity: { revisions: [], image_digests: [], image_tags: [], pod_template_hashes: [] }, instances: 1, notes: [], declared: null, state: "PASS", class: null, headline: "", explained_by: null,
  regressed_operations: 0, inherited_services: 0, rate_change: null, p50_change: null, p95_change: null, p99_change: null, errors_change: null,
});

test("the timeline has a lane for each service that changed last, oldest mark to the left", () => {
  const now = 1_700_000_000_000;
  const line = timelineOf([deployed("a", "v1", 100, now), deployed("b", "v1", 50, now), deployed("a", "v2", 0, now)], now);
  assert.deepEqual(line.lanes.map((lane) => [lane.service, lane.marks.map((mark) => [mark.deployment.version, mark.left])]), [["a", [["v1", 0], ["v2", 1]]], ["b", [["v1", 0.5]]]]);
  const many = timelineOf(Array.from({ length: 10_000 }, (_, at) => deployed(`s${at % 20}`, `v${at}`, at, now)), now);
  assert.equal(many.lanes.length, LANES_MAX);
  assert.equal(many.more, 20 - LANES_MAX);
  assert.ok(many.lanes.every((lane) => lane.marks.length === MARKS_MAX && lane.hidden === 500 - MARKS_MAX));
  assert.deepEqual(timelineOf([], now).lanes, []);
});

test("arrow keys walk the timeline: along a lane, and to the nearest mark of another", () => {
  const now = 1_700_000_000_000;
  const { lanes } = timelineOf([deployed("a", "v1", 100, now), deployed("a", "v2", 10, now), deployed("b", "v1", 90, now), deployed("b", "v2", 60, now), deployed("b", "v3", 11, now)], now);
  assert.deepEqual(moved(lanes, 0, 0, "ArrowRight"), [0, 1]);
  assert.deepEqual(moved(lanes, 0, 1, "ArrowRight"), [0, 1]);
  assert.deepEqual(moved(lanes, 0, 0, "ArrowLeft"), [0, 0]);
  assert.deepEqual(moved(lanes, 0, 1, "ArrowDown"), [1, 2]);
  assert.deepEqual(moved(lanes, 1, 0, "ArrowUp"), [0, 0]);
  assert.deepEqual(moved(lanes, 1, 1, "ArrowDown"), [1, 1]);
  assert.deepEqual(moved(lanes, 1, 0, "End"), [1, 2]);
  assert.equal(moved(lanes, 0, 0, "Tab"), undefined);
});

test("minutes that are left out are a gap, not a line across it", () => {
  const point = (minute: number, share: number) => ({ t_unix_nano: `${minute * MINUTE}000000`, share, traces: 1 });
  assert.deepEqual(withGaps([point(1, 0.1), point(2, 0.2), point(5, 0.5)]), { times: [60, 120, 180, 300], values: [0.1, 0.2, null, 0.5] });
});

test("charts are read point by point, and left by Escape", () => {
  assert.deepEqual(["ArrowRight", "ArrowLeft", "Home", "End"].map((key) => stepOf(key, null, 5)), [0, 4, 0, 4]);
  assert.deepEqual([stepOf("ArrowRight", 4, 5), stepOf("ArrowLeft", 0, 5), stepOf("ArrowRight", 2, 5)], [4, 0, 3]);
  assert.equal(stepOf("Escape", 2, 5), null);
  assert.equal(stepOf("Escape", null, 5), undefined);
  assert.equal(stepOf("ArrowRight", null, 0), undefined);
  assert.equal(stepOf("j", 2, 5), undefined);
});

test("statistics of any size stay readable", () => {
  assert.deepEqual([13.18, 0.00042, -2.5, 0, 9.595917030960493e35, 1.0421e-36, -3.2e7, null, NaN].map(statistic), ["13.2", "0.00042", "−2.5", "0", "9.6·10³⁵", "1.0·10⁻³⁶", "−3.2·10⁷", "—", "—"]);
});

test("the cut-over is asked for in SQL that names nothing but text, and drawn with gaps where a version was silent", () => {
  const one = { ...deployed("o'hara", "v2", 0, 1_700_000_000_000), previous_version: "v1" };
  const sql = cutoverSql(one, "GET '; DROP") ?? "";
  for (const part of ["service = 'o''hara'", "operation = 'GET ''; DROP'", "version IN ('v1', 'v2')", "window_start_unix_nano >= 1699996400000000000", "window_start_unix_nano < 1700007200000000000"]) assert.ok(sql.includes(part), part);
  assert.equal(cutoverSql({ ...one, previous_version: null }, "x"), null);
  const columns = ["version", "at", "p95_ns", "p50_ns"].map((name) => ({ name, type: "" }));
  const rows = [["v2", "120000000000", "9000000", "5000000"], ["v1", "60000000000", "7000000", null], ["v1", "120000000000", "7500000", "4000000"]];
  const { times, lines } = cutoverLines({ columns, rows, row_count: 3, truncated: false, elapsed_ms: 1 }, one);
  assert.deepEqual(times, [60, 120]);
  assert.deepEqual(lines.map((line) => [line.label, line.values]), [["v1 p50", [null, 4]], ["v1 p95", [7, 7.5]], ["v2 p50", [null, 5]], ["v2 p95", [null, 9]]]);
});
