// Made-up answers of the HTTP API, in the shapes of docs/http-api.md. Everything is computed from a seed, so screenshots compare.
export const NOW = Date.now();
export const nano = (ms) => `${Math.floor(ms)}000000`;
export const MINUTE = 60_000;
export const DAY = 86_400_000;

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
export const answer = (body) => ({ as_of_unix_nano: nano(NOW), partial: [], ...body });

export const SERVICES = ["checkout", "payment", "catalog", "inventory", "pricing", "shipping", "search", "cart", "auth", "gateway", "email", "recommend"];

export function status(spans = 1_284_331) {
  return answer({
    version: "0.1.0", started_unix_nano: nano(NOW - 5 * 3_600_000), state: "ready", state_reason: null,
    otlp: { grpc: "127.0.0.1:4317", http: "127.0.0.1:4318" }, data_dir: "./daytwo-data",
    ingest: { received_spans: spans + 412, accepted_spans: spans, deduplicated_spans: spans ? 388 : 0, rejected_spans: spans ? { zero_trace_id: 19, bad_span_id_length: 5 } : {}, shed_requests: spans ? { over_budget: 2 } : {}, spans_per_second: spans ? 812.4 : 0 },
    storage: { buffer_bytes: 4_812_331, buffer_spans: spans ? 20_113 : 0, wal_bytes: 16_777_216, files: spans ? 41 : 0, file_bytes: spans ? 74_331_221 : 0, file_rows: spans ? 1_264_218 : 0, quarantined_files: spans ? 1 : 0, flushes: 41, flush_failures: 0 },
    query: { running: 1, limit: 4, completed: 3012, cancelled: 4, failed: 1 },
    correlation: { open_traces: 214, closed_traces: 60_121, cells: 8123, late_spans: 17, overflowed_journeys: 0, lagging: false },
    limits: { request_bytes_max: "16 MiB", sql_rows_max: "10000 rows", sql_timeout: "30 s", trace_spans_max: "200000 spans" },
  });
}

export function services() {
  const next = random(1);
  return answer({ services: SERVICES.map((service, at) => ({
    service, environment: at % 5 === 4 ? "" : "production", rate_per_s: at === 11 ? null : 10 + next() * 400, errors_fraction: at === 11 ? null : at === 0 ? 0.0341 : next() * 0.003,
    p50_ms: at === 11 ? null : 4 + next() * 60, p95_ms: at === 11 ? null : 80 + next() * 200, p99_ms: at === 11 ? null : 300 + next() * 900,
    spans: Math.floor(next() * 1e6), operations: 2 + at, versions: at === 0 ? ["v2.14.1", "v2.15.0"] : at === 11 ? [] : [`v1.${at}.0`], last_seen_unix_nano: nano(NOW - at * 3000),
  })) });
}

export function operations(service) {
  const next = random(2);
  return answer({ service, operations: ["POST /checkout", "POST /checkout/confirm", "GET /checkout/{id}", "GET /health"].map((operation) => ({
    operation, kind: "SERVER", calls: Math.floor(next() * 90_000), rate_per_s: next() * 90, errors_fraction: next() * 0.01, p50_ms: next() * 40, p95_ms: 60 + next() * 90, p99_ms: 200 + next() * 300, self_p50_ms: next() * 10, self_p95_ms: 20 + next() * 20,
  })) });
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
  if (/FROM slis/.test(query)) return cutover(query);
  const next = random(6);
  return answer({ columns: [{ name: "service_name", type: "Utf8" }, { name: "trace_id", type: "FixedSizeBinary(16)" }, { name: "spans", type: "Int64" }, { name: "note", type: "Utf8" }], rows: SERVICES.map((name) => [name, hex(next, 32), String(Math.floor(next() * 1e6)), null]), row_count: 12, truncated: false, elapsed_ms: 12.4 });
}

/** Self time by minute and version around a release: the old one to the left, both for a while, the new one slower. */
function cutover(query) {
  const next = random(7);
  const [old, now] = /version IN \('([^']*)', '([^']*)'\)/.exec(query).slice(1);
  const start = Math.floor((NOW - 70 * MINUTE) / MINUTE) * MINUTE;
  const rows = Array.from({ length: 70 }, (_, at) => [...(at < 66 ? [[nano(start + at * MINUTE), old, String(Math.floor(52e6 + next() * 3e6)), String(Math.floor(74e6 + next() * 6e6))]] : []), ...(at > 62 ? [[nano(start + at * MINUTE), now, String(Math.floor(81e6 + next() * 3e6)), String(Math.floor(112e6 + next() * 6e6))]] : [])]).flat();
  return answer({ columns: ["at", "version", "p50_ns", "p95_ns"].map((name) => ({ name, type: name === "version" ? "VARCHAR" : "BIGINT" })), rows, row_count: rows.length, truncated: false, elapsed_ms: 41.3 });
}

export function suggest(text) {
  return { suggestions: SERVICES.filter((name) => name.includes(text)).map((name) => ({ kind: "service", text: name, href: `/services/${name}` })) };
}
