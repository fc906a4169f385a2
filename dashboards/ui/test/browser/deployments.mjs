// Made-up deployments: one in each state of a verdict, and a list of many with long names.
import { DAY, MINUTE, NOW, SERVICES, answer, nano, random, traces } from "./fixtures.mjs";

/** Each state with the words that the engine has for it. */
const STATES = [
  { state: "FAIL", class: "OWN", headline: "checkout v2.15.0 made it worse: POST /checkout is 118 % slower, 82.0 ms -> 131 ms, 21870 against 184220 traces", reason: "its own time or errors rose; concurrent traffic of the old version did not (0.005 false-alarm rate)", change: "a rollback, or evidence that the two versions did not get the same kind of traffic" },
  { state: "INHERITED", class: "INHERITED", headline: "payment v1.1.0 is slower, but not by itself: own time did not rise; checkout, which it calls, became slower, 21870 against 184220 traces", reason: "own time did not rise; checkout, which it calls, became slower", change: "the service below becoming fast again" },
  { state: "PASS", class: null, headline: "catalog v1.2.0 is no worse: own time +0.2 %, 21870 against 184220 traces", reason: "own time is at most 5 % up on every journey", change: "a ratio above 1.05 on any journey would" },
  { state: "CONTINUE", class: null, headline: "inventory v1.3.0 is not decided yet: 412 traces of the new and 9120 of the old version", reason: "412 traces of the new and 9120 of the old version", change: "about 788 more traces of v1.3.0 decide it" },
  { state: "WARN", class: "OWN", headline: "pricing v1.4.0 looks worse: GET /price is 31 % slower, 12.0 ms -> 15.7 ms, 21870 against 184220 traces", reason: "its own time or errors rose; before/after, with no other service to tell it from the weather", change: "concurrent traffic of both versions (a canary) would turn this into FAIL or PASS" },
  { state: "INCONCLUSIVE", class: null, headline: "shipping v1.5.0 is not decided yet: its time may still have risen by up to 21 %", reason: "its time may still have risen by up to 21 %", change: "the bake time has ended; about 900 more traces of v1.5.0 would have been needed" },
  { state: "NO_DATA", class: null, headline: "search v1.6.0 cannot be compared: there is no traffic of an older version to compare with", reason: "there is no traffic of an older version to compare with", change: "traffic of an older version to compare with" },
  { state: "NOISY", class: "OWN", headline: "cart v1.7.0 looks worse: HSET cart is 22 % slower, 4.10 ms -> 5.00 ms, 21870 against 184220 traces", reason: "its own time or errors rose, but the old version alone varies 3.4 times more than chance would", change: "concurrent traffic of both versions (a canary) would turn this into FAIL or PASS" },
  { state: "CONFOUNDED", class: "EDGE", headline: "auth v1.8.0 looks worse: the way from gateway to auth is 41 % slower, 0.80 ms -> 1.13 ms, 21870 against 184220 traces", reason: "calls take longer on their way, but gateway runs other versions in the two cohorts and may be the reason", change: "the same comparison with one version of every other service" },
  { state: "SKEWED", class: null, headline: "gateway v1.9.0 is not judged: traffic split 38 % where 10 % was declared: the compared cohorts are not alike", reason: "traffic split 38 % where 10 % was declared: the compared cohorts are not alike", change: "traffic split as it was declared, or the weight declared that is in force" },
  { state: "PASS", class: null, headline: "email v1.10.0 is no worse: own time −0.8 %, 21870 against 184220 traces", reason: "own time is at most 5 % up on every journey", change: "a ratio above 1.05 on any journey would" },
  { state: "PASS", class: null, headline: "recommend v1.11.0 is no worse: own time +1.1 %, 21870 against 184220 traces", reason: "own time is at most 5 % up on every journey", change: "a ratio above 1.05 on any journey would" },
];

const version = (at) => (at === 0 ? "v2.15.0" : `v1.${at}.0`);
const note = (kind, minutes, text) => ({ kind, at_unix_nano: nano(NOW - minutes * MINUTE), text });
const NOTES = [
  [note("canary", 7, "a canary: beside v2.14.1 for 7 min, with 5 % to 50 % of the traffic")], [], [note("restart", 30, "every instance was replaced; the version stayed")], [], [], [], [],
  [note("withdrawn", 40, "the traffic went back to v1.6.9"), note("flapping", 35, "v1.6.9 and v1.7.0 took turns 4 times in 30 min")],
];

function listed(at) {
  const { state, class: of, headline } = STATES[at];
  const failed = state === "FAIL";
  return {
    service: SERVICES[at], environment: "production", version: version(at), previous_version: state === "NO_DATA" ? null : at === 0 ? "v2.14.1" : `v1.${at - 1}.9`,
    identity: { revisions: at === 0 ? ["3f9c2ab41d0e77aa"] : [], image_digests: [], image_tags: [version(at)], pod_template_hashes: ["vt2bhbcjx7"] }, instances: 3 + at, notes: NOTES[at] ?? [],
    declared: at === 0 ? { id: "d1", service: "checkout", environment: "production", version: "v2.15.0", revision: "3f9c2ab", image: null, pod_template_hash: null, at_unix_nano: nano(NOW - 8 * MINUTE), kind: "deployed", actor: "pipeline 4711", url: "https://ci.example/4711", weight: 0.5, weights: [{ at_unix_nano: nano(NOW - 40 * MINUTE), weight: 0.1 }, { at_unix_nano: nano(NOW - 8 * MINUTE), weight: 0.5 }] } : null,
    first_seen_unix_nano: nano(NOW - (at + 1) * 7 * MINUTE), last_seen_unix_nano: nano(NOW), share: state === "NO_DATA" ? null : state === "CONTINUE" ? 0.12 : 1,
    kind: state === "NO_DATA" ? "first" : state === "NOISY" ? "rollback" : "release", state, class: of, headline, explained_by: state === "INHERITED" ? "checkout" : null,
    regressed_operations: failed ? 1 : 0, inherited_services: failed ? 2 : 0,
    rate_change: at === 6 ? null : 0.02 * (at - 4), p50_change: failed ? 0.61 : at === 6 ? null : 0.001, p95_change: failed ? 1.18 : at === 6 ? null : 0.004, p99_change: failed ? 2.02 : at === 6 ? null : -0.012, errors_change: failed ? 0.0023 : 0,
  };
}

export function deployments(service) {
  const all = STATES.map((_, at) => listed(at));
  return answer({ deployments: service ? all.filter((one) => one.service === service) : all });
}

/** Thousands of deployments of hundreds of services, some with names as long as people make them. */
export function manyDeployments(size) {
  const next = random(9);
  return answer({ deployments: Array.from({ length: size }, (_, at) => {
    const one = listed(Math.floor(next() * STATES.length));
    const name = at % 11 === 0 ? `${one.service}-${"internationalisation-gateway-".repeat(4)}${at % 300}` : `${one.service}-${at % 300}`;
    return { ...one, service: name, version: at % 13 === 0 ? `2026.11.23-${"feature-branch-with-a-name-".repeat(3)}${at}` : `v1.${at}.0`, first_seen_unix_nano: nano(NOW - at * MINUTE), headline: at % 17 === 0 ? `${one.headline}; ${"and more words than anybody reads ".repeat(8)}` : one.headline };
  }) });
}

function finding(over) {
  return {
    node: "self", service: "checkout", operation: "GET /checkout/{id}", peer: null, class: null, state: "PASS", signal: "latency", traces_before: 402_911, traces_after: 48_123,
    before_ms: { p50: 12, p95: 31, p99: 60 }, after_ms: { p50: 12.1, p95: 31.2, p99: 61 }, ratio: 1.002, ratio_low: 0.988, ratio_high: 1.014, excess_ms: 0.1,
    errors_before: 0.0002, errors_after: 0.0002, z: 0.3, e_value: 0.7, p_value: 0.76, strata: 3, own_share: null, why: "self time of GET /checkout/{id} 12.0 ms -> 12.1 ms (+0.2 %, interval -1.2 % .. +1.4 %), 48123 against 402911 traces", ...over,
  };
}

/** What a release that made its own operation slower looks like. */
function regressed() {
  const own = { traces_before: 184_220, traces_after: 21_870, before_ms: { p50: 82, p95: 190, p99: 410 }, after_ms: { p50: 131, p95: 415, p99: 1240 }, ratio: 2.18, ratio_low: 2.04, ratio_high: 2.31, excess_ms: 225, errors_before: 0.0011, errors_after: 0.0034, z: 41.2, e_value: 3.1e122, p_value: 3.2e-123 };
  return [
    finding({ ...own, operation: "POST /checkout", class: "OWN", state: "FAIL", own_share: 0.86, why: "self time of POST /checkout 82.0 ms -> 131 ms (+118 %, interval +104 % .. +131 %), 21870 against 184220 traces" }),
    finding({ ...own, operation: null, class: "OWN", state: "FAIL", own_share: 0.86, why: "self time of checkout 82.0 ms -> 131 ms (+118 %, interval +104 % .. +131 %), 21870 against 184220 traces" }),
    finding({ operation: "POST /checkout", class: "OWN", state: "WARN", signal: "errors", before_ms: null, after_ms: null, ratio: null, ratio_low: null, ratio_high: null, excess_ms: null, errors_before: 0.0011, errors_after: 0.0034, z: null, e_value: 31, p_value: 0.032, why: "POST /checkout fails by itself in 0.34 % of traces, before in 0.11 %; 21870 against 184220 traces" }),
    finding({ operation: "POST /checkout/confirm", class: "INHERITED", state: "INHERITED", traces_before: 60_113, traces_after: 7012, before_ms: { p50: 120, p95: 300, p99: 690 }, after_ms: { p50: 128, p95: 393, p99: 1010 }, ratio: 1.31, ratio_low: 1.2, ratio_high: 1.42, excess_ms: 93, e_value: 812, p_value: 0.00001, own_share: 0.08, why: "p95 +31 %, 92 % of it inside payment" }),
    finding({ node: "edge", operation: null, peer: "gateway", service: "checkout", class: "EDGE", state: "WARN", ratio: 1.06, ratio_low: 1.01, ratio_high: 1.11, why: "time on the way from gateway to checkout 0.83 ms -> 0.88 ms (+6.0 %, interval +1.0 % .. +11 %), 21870 against 184220 traces" }),
  ];
}

/** The findings that every judged release has beside what stands out. */
function usual() {
  return [
    finding({}),
    finding({ operation: "GET /health", traces_before: 90_110, traces_after: 10_010, before_ms: { p50: 0.4, p95: 0.9, p99: 2 }, after_ms: { p50: 0.4, p95: 0.9, p99: 2 }, why: "no change" }),
    finding({ operation: "DELETE /checkout/{id}", state: "NO_DATA", traces_before: 210, traces_after: 17, before_ms: { p50: 30, p95: 60, p99: 90 }, after_ms: null, ratio: null, ratio_low: null, ratio_high: null, excess_ms: null, z: null, e_value: null, p_value: null, errors_after: null, why: "only 17 traces after the release; 200 are needed, about 40 m at this rate" }),
  ];
}

function parity(service) {
  const one = (attribute, state, distance, values) => ({ service, attribute, state, distance, values: values.map(([value, before, after]) => ({ value, before, after })) });
  return [
    one("host.name", "differs", 1, [["node-1", 0.5, 0], ["node-2", 0.25, 0], ["node-3", 0.15, 0], ["node-4", 0.1, 0], ["node-9", 0, 1]]),
    one("process.runtime.version", "unknown", 0.4, [["21.0.4", 0.6, 1], ["~absent", 0.4, 0]]),
    { ...one("service.version", "alike", 0, [["v1.22.0", 1, 1]]), service: "auth" }, { ...one("service.version", "alike", 0, [["v3.7.4", 1, 1]]), service: "cart" },
  ];
}

/** The traffic in the window of a declared weight. */
export function split(declared, share) {
  const all = 57_552;
  const traces = Math.round(all * share);
  const skewed = Math.abs(share - declared) > 0.02;
  return {
    declared, share, traces, elsewhere: all - traces, mixed: 0, effective_traces: skewed ? all / 8 : all, asker: null, from_unix_nano: nano(NOW - (declared === 0.5 ? 9 : 40) * MINUTE), to_unix_nano: nano(NOW - (declared === 0.5 ? 2 : 12) * MINUTE),
    e_value: skewed ? 4.1e160 : 0.03, p_value: skewed ? 4.9e-161 : 1, skewed, sql: "SELECT new, count(*) AS traces FROM spans GROUP BY new",
  };
}

/** The shares of the last hours: nothing, a canary in steps, all; with a gap where nobody called. */
function shares(state) {
  if (state === "NO_DATA") return [];
  return Array.from({ length: 60 }, (_, at) => ({ t_unix_nano: nano(NOW - (60 - at) * MINUTE), share: at < 20 ? 0 : at < 30 ? 0.05 : at < 44 ? 0.5 : 1, traces: 800 })).filter((_, at) => at < 34 || at > 38);
}

export function deployment(service, wanted) {
  const at = SERVICES.findIndex((name, index) => name === service && version(index) === wanted);
  if (at < 0) return null;
  const { state, reason, change } = STATES[at];
  const failed = state === "FAIL";
  const nothing = state === "NO_DATA";
  const open = state === "CONTINUE" || state === "INCONCLUSIVE";
  const inherited = state === "INHERITED";
  const mine = (one) => ({ ...one, service: one.service === "checkout" ? service : one.service });
  const findings = failed ? [...regressed(), ...usual()]
    : inherited ? [finding({ node: "total", operation: null, class: "INHERITED", state: "INHERITED", ratio: 1.31, ratio_low: 1.2, ratio_high: 1.42, own_share: 0.04, why: "total time 96.0 ms -> 126 ms (+31 %, interval +20 % .. +42 %), 21870 against 184220 traces" }), ...usual()]
      : nothing ? [] : [...(["WARN", "NOISY", "CONFOUNDED"].includes(state) ? [finding({ operation: "GET /price", class: STATES[at].class, state: state === "CONFOUNDED" ? "WARN" : state, ratio: 1.31, ratio_low: 1.2, ratio_high: 1.42, e_value: 812, why: reason })] : []), ...usual()];
  const culprit = failed ? service : inherited ? "checkout" : null;
  const verdict = {
    state, class: STATES[at].class, headline: STATES[at].headline, reason, judged_at_unix_nano: nano(NOW - 4000), looks: nothing ? 0 : 12,
    baseline: nothing ? { rung: "D", version: null, meaning: "nothing to compare with", from_unix_nano: "0", to_unix_nano: "0", traces: 0 }
      : { rung: state === "WARN" || state === "NOISY" ? "C" : "B", version: listed(at).previous_version, meaning: state === "WARN" || state === "NOISY" ? "the old version before the new one came" : "concurrent traffic of the old version", from_unix_nano: nano(NOW - DAY), to_unix_nano: nano(NOW - 7 * MINUTE), traces: 184_220 },
    candidate: { version: wanted, from_unix_nano: nano(NOW - 7 * MINUTE), to_unix_nano: nano(NOW), traces: nothing ? 0 : open ? 412 : 21_870 },
    alpha: 0.005, material_ratio: 1.05, planned_traces: nothing ? 1_000 : 16_000, mde_ratio: nothing ? null : open ? 1.21 : 1.08, traces_needed: open ? 788 : null, seconds_needed: open ? 1080 : null, coverage: nothing ? 0 : 0.97,
    findings: findings.map(mine),
    affected: failed ? ["gateway", "storefront"].map((name) => finding({ node: "total", service: name, operation: null, class: "INHERITED", state: "INHERITED", ratio: 1.8, ratio_low: 1.6, ratio_high: 2, own_share: 0.03, before_ms: { p50: 96, p95: 230, p99: 500 }, after_ms: { p50: 148, p95: 470, p99: 1300 }, why: `total time of ${name} 96.0 ms -> 148 ms (+80 %), inherited from checkout (-2.1 % of its own)` })) : [],
    suspects: culprit ? [{ service: culprit, score_ms: 31.5, share: 0.93, own_ms: 30.1, edge_ms: 1.4, calls_ms: 0 }, { service: "inventory", score_ms: 2.4, share: 0.07, own_ms: 0.2, edge_ms: 0.4, calls_ms: 1.8 }] : [],
    structure: failed ? [{ caller: "checkout", callee: "inventory", calls_per_trace_before: 4, calls_per_trace_after: 96.2 }] : [],
    exemplars: nothing ? [] : traces(4).traces.slice(0, 4).map((one, index) => ({ trace_id: one.trace_id, role: ["baseline_median", "candidate_median", "candidate_slow", "error"][index], duration_ms: [84, 131, 1240, 95][index], node_ms: [61, 101, 1060, 12][index], start_unix_nano: one.start_unix_nano })),
    splits: state === "SKEWED" ? [split(0.1, 0.38)] : failed ? [split(0.1, 0.1004), split(0.5, 0.4985)] : [],
    confounders: nothing ? [] : ["host.name differs: mostly node-1 in 50.00 % before, node-9 in 100.00 % after"], parity: nothing ? [] : parity(service), what_would_change: change,
    sql: `SELECT name, CASE WHEN coalesce(service_version, '') = '${wanted}' THEN '${wanted}' ELSE 'before' END AS version, count(DISTINCT trace_id) AS traces, hdr_quantile(hdr_histogram(duration_time_unix_nano), 0.95) / 1e6 AS p95_ms FROM spans WHERE service_name = '${service}' GROUP BY 1, 2`,
  };
  return answer({ deployment: listed(at), share_series: shares(state), verdict });
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
