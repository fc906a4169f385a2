// Made-up answers of the HTTP API, in the shapes of docs/http-api.md. Everything is computed from a seed, so screenshots compare.
export const NOW = Date.now();
const nano = (ms) => `${Math.floor(ms)}000000`;
const MINUTE = 60_000;
const DAY = 86_400_000;

/** A small seeded generator (mulberry32): the same numbers in every run. */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
const hex = (next, digits) => Array.from({ length: digits }, () => Math.floor(next() * 16).toString(16)).join("");
const answer = (body) => ({ as_of_unix_nano: nano(NOW), partial: [], ...body });

const SERVICES = ["checkout", "payment", "catalog", "inventory", "pricing", "shipping", "search", "cart", "auth", "gateway", "email", "recommend"];

export function status(spans = 1_284_331) {
  return answer({
    version: "0.1.0", started_unix_nano: nano(NOW - 5 * 3_600_000), state: "ready", state_reason: null,
    otlp: { grpc: "127.0.0.1:4317", http: "127.0.0.1:4318" }, data_dir: "./daytwo-data",
    ingest: { received_spans: spans + 412, accepted_spans: spans, deduplicated_spans: spans ? 388 : 0, rejected_spans: spans ? { zero_trace_id: 19, bad_span_id_length: 5 } : {}, shed_requests: spans ? { over_budget: 2 } : {}, spans_per_second: spans ? 812.4 : 0 },
    storage: { buffer_bytes: 4_812_331, buffer_spans: spans ? 20_113 : 0, wal_bytes: 16_777_216, files: spans ? 41 : 0, file_bytes: spans ? 74_331_221 : 0, file_rows: spans ? 1_264_218 : 0, quarantined_files: spans ? 1 : 0, flushes: 41, flush_failures: 0 },
    query: { running: 1, limit: 4, completed: 3012, cancelled: 4, failed: 1 },
    correlation: { open_traces: 214, closed_traces: 60_121, cells: 8123, late_spans: 17, lagging: false },
    limits: { request_bytes_max: "16 MiB", sql_rows_max: "10000 rows", sql_timeout: "30 s", trace_spans_max: "200000 spans" },
  });
}

export function services() {
  const next = random(1);
  return answer({ services: SERVICES.map((service, at) => ({
    service, environment: at % 5 === 4 ? "" : "production", rate_per_s: at === 11 ? null : 10 + next() * 400, errors_fraction: at === 11 ? null : at === 0 ? 0.0341 : next() * 0.003,
    p50_ms: at === 11 ? null : 4 + next() * 60, p95_ms: at === 11 ? null : 80 + next() * 200, p99_ms: at === 11 ? null : 300 + next() * 900,
    spans: Math.floor(next() * 1e6), operations: 2 + at, versions: at === 0 ? ["v2.14.1", "v2.15.0"] : [`v1.${at}.0`], last_seen_unix_nano: nano(NOW - at * 3000),
  })) });
}

export function operations(service) {
  const next = random(2);
  return answer({ service, operations: ["POST /checkout", "POST /checkout/confirm", "GET /checkout/{id}", "GET /health"].map((operation) => ({
    operation, kind: "SERVER", calls: Math.floor(next() * 90_000), rate_per_s: next() * 90, errors_fraction: next() * 0.01, p50_ms: next() * 40, p95_ms: 60 + next() * 90, p99_ms: 200 + next() * 300, self_p50_ms: next() * 10, self_p95_ms: 20 + next() * 20,
  })) });
}

function slo(at, next) {
  const latency = at % 2 === 0;
  const target = latency ? 0.99 : 0.999;
  const left = at === 0 ? -0.18 : at === 1 ? 0.09 : at === 10 ? null : 0.3 + at * 0.06;
  const total = at === 10 ? 41 : Math.floor(150_000 + next() * 8e6);
  const sli = left === null ? null : 1 - (1 - target) * (1 - left);
  const rates = at < 2 ? [11.5 - at, 12.1, 15.1, 7.2, 1.6] : [next(), next(), next() * 1.4, next(), next() * 0.6];
  const windows = ["5m", "30m", "1h", "6h", "3d"];
  const state = at === 0 ? "spent" : at === 1 ? "burning_page" : at === 2 ? "burning_ticket" : at === 10 ? "low_traffic" : at === 11 ? "no_data" : "ok";
  return {
    id: `${SERVICES[at]}-${latency ? "latency" : "availability"}`, name: `${SERVICES[at]}-${latency ? "latency" : "availability"}`, display_name: `${SERVICES[at]} answers`,
    service: SERVICES[at], kind: latency ? "latency" : "availability", objective: latency ? "latency <= 300 ms" : "availability", target, window: "28d",
    sli: at === 11 ? null : sli, good: Math.floor(total * (sli ?? 1)), bad: Math.ceil(total * (1 - (sli ?? 1))), total: at === 11 ? 0 : total,
    budget_left: at === 11 ? null : left, exhausted_in_s: left !== null && left > 0 && left < 0.4 ? 19_200 : null,
    burn: windows.map((window, index) => ({ window, rate: state === "no_data" || state === "low_traffic" ? null : rates[index] })),
    alerts: [["page", "1h", "5m", 14.4, 2, 0], ["page", "6h", "30m", 6, 3, 1], ["ticket", "3d", "6h", 1, 4, 3]].map(([severity, long, short, threshold, l, s]) => ({
      severity, long, short, threshold, long_rate: rates[l], short_rate: rates[s], firing: rates[l] >= threshold && rates[s] >= threshold })),
    state, state_reason: state === "low_traffic" ? "41 events, needs 1000" : state === "no_data" ? "no events in 28d" : null,
    budget_series: Array.from({ length: 57 }, (_, step) => ({ t_unix_nano: nano(NOW - (56 - step) * 12 * 3_600_000), budget_left: left === null || (step > 20 && step < 24) ? null : 1 - (1 - left) * (step / 56) ** (at < 2 ? 5 : 1) })),
    last_deployment: at === 5 ? null : { service: SERVICES[at], version: at === 0 ? "v2.15.0" : `v1.${at}.0`, state: at === 0 ? "FAIL" : at === 3 ? "INHERITED" : at === 6 ? "CONTINUE" : "PASS" },
  };
}

export function slos() {
  const next = random(3);
  return answer({ slos: SERVICES.map((_, at) => slo(at, next)), problems: [{ file: "slo/broken.yaml", line: 7, message: "unknown field `objectve`; did you mean `objectives`?" }] });
}

export function sloDetail(id) {
  const found = slos().slos.find((one) => one.id === id);
  if (!found) return null;
  const next = random(4);
  return answer({
    slo: found, yaml: "apiVersion: openslo/v1\nkind: SLO\nmetadata:\n  name: checkout-latency\nspec:\n  service: checkout\n  timeWindow:\n    - duration: 28d\n      isRolling: true\n  objectives:\n    - target: 0.99\n",
    series: Array.from({ length: 240 }, (_, at) => {
      const gone = at > 60 && at < 72;
      const bad = gone ? 0 : Math.floor(next() * 4 + (at > 200 ? 60 : 0));
      return { t_unix_nano: nano(NOW - (239 - at) * MINUTE), good: gone ? 0 : 900 + Math.floor(next() * 90), bad, sli: gone ? null : 1 - bad / 1000, burn_long: gone ? null : at > 200 ? 3 + (at - 200) * 0.3 : next() * 0.6, burn_short: gone ? null : at > 200 ? 8 + next() * 4 : next() };
    }),
    by_operation: [{ operation: "POST /checkout", version: "v2.15.0", bad: 5012, share: 0.87 }, { operation: "POST /checkout/confirm", version: "v2.15.0", bad: 611, share: 0.11 }, { operation: "GET /checkout/{id}", version: "v2.14.1", bad: 98, share: 0.02 }],
    bad_traces: traces(6).traces, sql: "SELECT count(*) FILTER (WHERE duration_time_unix_nano <= 300000000) AS good, count(*) AS total\nFROM spans WHERE service_name = 'checkout' AND kind = 'SERVER'",
  });
}

const VERDICTS = ["FAIL", "INHERITED", "PASS", "CONTINUE", "WARN", "INCONCLUSIVE", "NO_DATA", "NOISY", "CONFOUNDED", "SKEWED", "PASS", "PASS"];
export function deployments() {
  return answer({ deployments: VERDICTS.map((state, at) => ({
    service: SERVICES[at], environment: "production", version: at === 0 ? "v2.15.0" : `v1.${at}.0`, previous_version: at === 6 ? null : at === 0 ? "v2.14.1" : `v1.${at - 1}.9`,
    notes: at === 0 ? [{ kind: "canary", at_unix_nano: nano(NOW - 7 * MINUTE), text: "a canary: beside v2.14.1 for 7 min, with 5 % to 50 % of the traffic" }] : [],
    first_seen_unix_nano: nano(NOW - (at + 1) * 7 * MINUTE), last_seen_unix_nano: nano(NOW), share: at === 6 ? null : at === 3 ? 0.12 : 1,
    kind: at === 6 ? "first" : at === 7 ? "rollback" : "release", state, class: state === "FAIL" ? "OWN" : state === "INHERITED" ? "INHERITED" : null,
    headline: state === "FAIL" ? "POST /checkout self time p95 190 -> 415 ms (+118 %, interval +104..+131 %), 21870 against 184220 traces" : state === "INHERITED" ? "slower only inside payment; nothing of its own" : state === "CONTINUE" ? "412 of 1200 traces; about 18 m more" : "no operation became materially worse",
    regressed_operations: state === "FAIL" ? 1 : 0, inherited_services: state === "FAIL" ? 2 : 0,
    rate_change: at === 6 ? null : 0.02 * (at - 4), p95_change: state === "FAIL" ? 1.18 : at === 6 ? null : 0.004, errors_change: state === "FAIL" ? 0.0023 : 0,
  })) });
}

function finding(over) {
  return {
    node: "self", service: "checkout", operation: "GET /checkout/{id}", peer: null, class: null, state: "PASS", signal: "latency", traces_before: 402_911, traces_after: 48_123,
    before_ms: { p50: 12, p95: 31, p99: 60 }, after_ms: { p50: 12.1, p95: 31.2, p99: 61 }, ratio: 1.002, ratio_low: 0.988, ratio_high: 1.014, excess_ms: 0.1,
    errors_before: 0.0002, errors_after: 0.0002, z: 0.3, e_value: 0.7, p_value: 0.76, strata: 3, own_share: null, why: "no change (interval −1.2..+1.4 %)", ...over,
  };
}

export function deployment(service, version) {
  const listed = deployments().deployments.find((one) => one.service === service && one.version === version);
  if (!listed) return null;
  const failed = listed.state === "FAIL";
  const nothing = listed.state === "NO_DATA";
  const verdict = {
    state: listed.state, class: listed.class, headline: listed.headline, reason: failed ? "self time grew beyond the material change with every look" : "see the findings",
    judged_at_unix_nano: nano(NOW - 4000), looks: 12,
    baseline: nothing ? null : { rung: "A", version: listed.previous_version, meaning: "concurrent traffic of the old version", from_unix_nano: nano(NOW - DAY), to_unix_nano: nano(NOW - 7 * MINUTE), traces: 184_220 },
    candidate: { version, from_unix_nano: nano(NOW - 7 * MINUTE), to_unix_nano: nano(NOW), traces: nothing ? 0 : 21_870 },
    alpha: 0.005, material_ratio: 1.05, mde_ratio: nothing ? null : 1.08, traces_needed: listed.state === "CONTINUE" ? 788 : null, seconds_needed: listed.state === "CONTINUE" ? 1080 : null, coverage: nothing ? null : 0.97,
    findings: nothing ? [] : [
      ...(failed ? [
        finding({ operation: "POST /checkout", class: "OWN", state: "FAIL", traces_before: 184_220, traces_after: 21_870, before_ms: { p50: 82, p95: 190, p99: 410 }, after_ms: { p50: 131, p95: 415, p99: 1240 }, ratio: 2.18, ratio_low: 2.04, ratio_high: 2.31, excess_ms: 225, errors_before: 0.0011, errors_after: 0.0034, z: 41.2, e_value: 3.1e12, p_value: 0, own_share: 0.86, why: "self time of POST /checkout p95 190 -> 415 ms (+118 %, interval +104..+131 %), 21870 against 184220 traces" }),
        finding({ operation: "POST /checkout/confirm", class: "INHERITED", state: "INHERITED", traces_before: 60_113, traces_after: 7012, before_ms: { p50: 120, p95: 300, p99: 690 }, after_ms: { p50: 128, p95: 393, p99: 1010 }, ratio: 1.31, ratio_low: 1.2, ratio_high: 1.42, excess_ms: 93, errors_before: 0.0009, errors_after: 0.001, z: 6.3, e_value: 812, p_value: 0.00001, own_share: 0.08, why: "p95 +31 %, 92 % of it inside payment" }),
        finding({ node: "edge", operation: "POST /charge", peer: "checkout", service: "checkout", class: "EDGE", state: "WARN", ratio: 1.06, why: "gap before payment answers grew by 3 ms" }),
      ] : []),
      finding({}),
      finding({ operation: "GET /health", traces_before: 90_110, traces_after: 10_010, before_ms: { p50: 0.4, p95: 0.9, p99: 2 }, after_ms: { p50: 0.4, p95: 0.9, p99: 2 }, why: "no change" }),
      finding({ operation: "DELETE /checkout/{id}", state: "NO_DATA", traces_before: 210, traces_after: 17, before_ms: { p50: 30, p95: 60, p99: 90 }, after_ms: null, ratio: null, ratio_low: null, ratio_high: null, excess_ms: null, z: null, e_value: null, p_value: null, errors_after: null, why: "only 17 traces after the release; 200 are needed, about 40 m at this rate" }),
    ],
    affected: failed ? [finding({ node: "total", service: "gateway", operation: "POST /api/checkout", class: "INHERITED", state: "INHERITED", ratio: 1.8, ratio_low: 1.6, ratio_high: 2, own_share: 0.03, before_ms: { p50: 96, p95: 230, p99: 500 }, after_ms: { p50: 148, p95: 470, p99: 1300 }, why: "97 % of the growth lies inside checkout" })] : [],
    structure: failed ? [{ caller: "checkout", callee: "SELECT cart", calls_per_trace_before: 4, calls_per_trace_after: 96.2 }] : [],
    exemplars: nothing ? [] : traces(4).traces.slice(0, 4).map((one, at) => ({ trace_id: one.trace_id, role: ["baseline_median", "candidate_median", "candidate_slow", "error"][at], duration_ms: [84, 131, 1240, 95][at], node_ms: [61, 101, 1060, null][at], start_unix_nano: one.start_unix_nano })),
    confounders: listed.state === "CONFOUNDED" ? ["host.name differs"] : [],
    parity: nothing ? [] : [{ service: listed.service, attribute: "host.name", state: "differs", distance: 1, values: [{ value: "node-1", before: 1, after: 0 }, { value: "node-2", before: 0, after: 1 }] }], what_would_change: failed ? "a rollback, or 2.04 times more time in the baseline" : null,
    sql: `SELECT service_version, hdr_quantile(hdr_histogram(self_time), 0.95) / 1e6 AS p95_ms, count(*) FROM spans\nWHERE service_name = '${service}' AND kind = 'SERVER' GROUP BY 1`,
  };
  return answer({ deployment: listed, verdict });
}

export function distribution(operation) {
  const bins = Array.from({ length: 60 }, (_, at) => {
    const low = 10 ** (at / 14);
    const bump = (middle, width) => Math.exp(-(((Math.log10(low) - middle) / width) ** 2));
    return { low_ms: low, high_ms: 10 ** ((at + 1) / 14), before: bump(1.76, 0.3), after: 0.85 * bump(1.96, 0.3) + 0.2 * bump(3.1, 0.2) };
  });
  for (const side of ["before", "after"]) {
    const total = bins.reduce((sum, bin) => sum + bin[side], 0);
    for (const bin of bins) bin[side] /= total;
  }
  return answer({ operation, unit: "ms", bins, quantiles: { before: { p50: 57, p95: 170, p99: 280 }, after: { p50: 98, p95: 1150, p99: 1900 } } });
}

export function traces(limit) {
  const next = random(5);
  return answer({
    traces: Array.from({ length: limit }, (_, at) => ({
      trace_id: hex(next, 32), root_service: at === 7 ? null : "gateway", root_operation: at === 7 ? null : ["POST /api/checkout", "GET /api/products/{id}", "GET /api/cart"][at % 3], start_unix_nano: `${Math.floor(NOW - at * 1731)}123456`,
      duration_ms: 12 + next() * 900, spans: 8 + Math.floor(next() * 40), errors: at % 9 === 4 ? 2 : 0, services: SERVICES.slice(0, 3 + (at % 5)).map((service) => ({ service, spans: 1 + Math.floor(next() * 9) })), matched_spans: 1 + (at % 3),
    })),
    limit, truncated: limit >= 20, stats: { files_total: 41, files_scanned: 3, index_bytes: 168_000, data_bytes: 412_000, elapsed_ms: 8.21 },
  });
}

/** A trace of `size` spans in depth-first order; `deep` makes one chain of it. */
export function trace(id, size, deep = false) {
  const next = random(size);
  const names = Array.from({ length: 40 }, (_, at) => `${SERVICES[at % 12]}${at >= 12 ? `-${Math.floor(at / 12)}` : ""}`);
  const operationNames = Array.from({ length: 300 }, (_, at) => `${["GET", "POST", "HSET", "SELECT", "publish", "Process"][at % 6]} /${["item", "order", "quote", "price", "stock", "user"][(at >> 2) % 6]}/${at}`);
  const total = 4_031_000_000;
  const columns = { span_id: [], parent: [], depth: [], service: [], operation: [], kind: [], status: [], start_offset_ns: [], duration_ns: [], self_ns: [], flags: [] };
  const path = [];
  const add = (parent, depth, start, length, service, operation, error = false) => {
    const row = columns.span_id.length;
    columns.span_id.push((row + 1).toString(16).padStart(16, "0"));
    columns.parent.push(parent); columns.depth.push(depth); columns.service.push(service); columns.operation.push(operation);
    columns.kind.push(depth % 2 ? "CLIENT" : "SERVER"); columns.status.push(error ? 2 : row % 3 ? 0 : 1);
    columns.start_offset_ns.push(Math.floor(start)); columns.duration_ns.push(Math.floor(length)); columns.self_ns.push(Math.floor(length * 0.4));
    columns.flags.push((row % 40 === 3 ? 4 : 0) | (row === 5 ? 8 : 0) | (row === 2 ? 1 : 0));
    return row;
  };
  add(-1, 0, 0, total, 0, 0);
  const stack = [{ row: 0, depth: 0, at: 0, end: total }];
  while (columns.span_id.length < size) {
    const top = stack[stack.length - 1];
    const room = top.end - top.at;
    const leave = !deep && stack.length > 1 && (stack.length > 15 || room < 1000 || next() < 0.34);
    if (leave) { stack.pop(); continue; }
    const left = size - columns.span_id.length;
    const length = deep ? room * 0.9999 : stack.length === 1 ? Math.max(2000, (room / Math.max(4, left / 90)) * (0.2 + next() * 1.6)) : room * (0.15 + next() * 0.5);
    const same = !deep && next() < 0.25 && columns.span_id.length > 1 && columns.parent[columns.span_id.length - 1] === top.row;
    const last = columns.span_id.length - 1;
    const row = add(top.row, top.depth + 1, top.at, length, same ? columns.service[last] : Math.floor(next() ** 2 * 40), same ? columns.operation[last] : Math.floor(next() * 300), next() < 0.0004);
    if (next() < 0.12) path.push({ row, start_offset_ns: Math.floor(top.at), end_offset_ns: Math.floor(top.at + length) });
    top.at = deep ? top.at : Math.min(top.end, top.at + length);
    stack.push({ row, depth: top.depth + 1, at: columns.start_offset_ns[row], end: columns.start_offset_ns[row] + length });
  }
  return answer({
    trace_id: id, start_unix_nano: nano(NOW - 3_600_000), duration_ns: String(total), spans: size, services: names, operations: operationNames,
    anomalies: [{ kind: "missing_parent", span_id: columns.span_id[2], message: "the parent of this span was not received" }], columns, critical_path: path, stats: { files_total: 41, files_scanned: 1, index_bytes: 4_300, data_bytes: 96_000, elapsed_ms: 3.2 },
  });
}

export function span(traceId, spanId) {
  return answer({ span: {
    trace_id: traceId, span_id: spanId, parent_span_id: null, name: "POST /checkout", kind: "SERVER", start_unix_nano: nano(NOW - 3_600_000), duration_ns: "104000000", status: "ERROR", status_message: "card <b>declined</b>",
    service: "checkout", service_version: "v2.15.0",
    attributes: [["http.request.method", "string", "POST"], ["http.route", "string", "/checkout"], ["http.response.status_code", "int", "500"], ["retry", "bool", true], ["note", "string", "<img src=x onerror=alert(1)>"], ["cart.total", "double", 12.5]].map(([key, type, value]) => ({ key, type, value })),
    resource: [["service.name", "string", "checkout"], ["service.version", "string", "v2.15.0"], ["host.name", "string", "node-7"]].map(([key, type, value]) => ({ key, type, value })), scope: { name: "http", version: "1.2" },
    events: [{ time_unix_nano: nano(NOW - 3_600_000 + 40), name: "exception", attributes: [{ key: "exception.type", type: "string", value: "CardError" }] }],
    links: [{ trace_id: "0af7651916cd43dd8448eb211c80319c", span_id: "b7ad6b7169203331", attributes: [] }], anomalies: ["end before start"],
  } });
}

export function sql(query) {
  if (/^\s*(insert|drop|delete)/i.test(query)) return { error: { code: "bad_request", message: "only SELECT, SHOW, DESCRIBE and EXPLAIN are allowed", request_id: "01J-SQL" } };
  const next = random(6);
  return answer({ columns: [{ name: "service_name", type: "Utf8" }, { name: "trace_id", type: "FixedSizeBinary(16)" }, { name: "spans", type: "Int64" }, { name: "note", type: "Utf8" }], rows: SERVICES.map((name) => [name, hex(next, 32), String(Math.floor(next() * 1e6)), null]), row_count: 12, truncated: false, elapsed_ms: 12.4 });
}

export function suggest(text) {
  return { suggestions: SERVICES.filter((name) => name.includes(text)).map((name) => ({ kind: "service", text: name, href: `/services/${name}` })) };
}
