// Made-up objectives: one in each state, one composite, and a board of many with long names.
import { DAY, MINUTE, NOW, SERVICES, answer, nano, random, traces } from "./fixtures.mjs";

function slo(at, next) {
  const latency = at % 2 === 0;
  const target = latency ? 0.99 : 0.999;
  const left = at === 0 ? -0.18 : at === 1 ? 0.09 : at === 10 ? null : 0.3 + at * 0.06;
  const total = at === 10 ? 41 : Math.floor(150_000 + next() * 8e6);
  const sli = left === null ? null : 1 - (1 - target) * (1 - left);
  const rates = at < 2 ? [11.5 - at, 12.1, 15.1, 9.1, 7.2, 3.4, 1.6] : [next(), next(), next() * 1.4, next(), next(), next(), next() * 0.6];
  const windows = ["5m", "30m", "1h", "2h", "6h", "1d", "3d"];
  const state = at === 0 ? "spent" : at === 1 ? "burning_page" : at === 2 ? "burning_ticket" : at === 10 ? "low_traffic" : at === 11 ? "no_data" : "ok";
  return {
    id: `${SERVICES[at]}-${latency ? "latency" : "availability"}`, name: `${SERVICES[at]}-${latency ? "latency" : "availability"}`, display_name: `${SERVICES[at]} answers`,
    service: SERVICES[at], kind: latency ? "latency" : "availability", objective: latency ? "latency <= 300 ms" : "availability", target, window: "28d",
    sli: at === 11 ? null : sli, good: Math.floor(total * (sli ?? 1)), bad: Math.ceil(total * (1 - (sli ?? 1))), total: at === 11 ? 0 : total,
    budget_left: at === 11 ? null : left, exhausted_in_s: left !== null && left > 0 && left < 0.4 ? 19_200 : null,
    window_from_unix_nano: nano(NOW - 28 * DAY), window_to_unix_nano: null, members: [], unknown: 0, sli_low: null, sli_high: null, bounds: null,
    burn: windows.map((window, index) => ({ window, rate: state === "no_data" || state === "low_traffic" ? null : rates[index] })),
    alerts: [["page", "1h", "5m", 14.4, 2, 0], ["page", "6h", "30m", 6, 4, 1], ["ticket", "1d", "2h", 3, 5, 3], ["ticket", "3d", "6h", 1, 6, 4]].map(([severity, long, short, threshold, l, s]) => ({
      policy: null, severity, long, short, threshold, long_rate: rates[l], short_rate: rates[s], firing: rates[l] >= threshold && rates[s] >= threshold })),
    state, state_reason: state === "low_traffic" ? "41 events, needs 1000" : state === "no_data" ? "no events in 28d" : null,
    budget_series: Array.from({ length: 57 }, (_, step) => ({ t_unix_nano: nano(NOW - (56 - step) * 12 * 3_600_000), budget_left: left === null || (step > 20 && step < 24) ? null : 1 - (1 - left) * (step / 56) ** (at < 2 ? 5 : 1) })),
    last_deployment: at === 5 ? null : { service: SERVICES[at], version: at === 0 ? "v2.15.0" : `v1.${at}.0`, first_seen_unix_nano: nano(NOW - (at + 1) * 2 * DAY), state: at === 0 ? "FAIL" : at === 3 ? "INHERITED" : at === 6 ? "CONTINUE" : "PASS" },
  };
}

/** Two members, one of which burnt nearly all; alerts of its own; a calendar window. */
function composite() {
  const member = (name, service, objective, target, weight, sli, burnt, share) => ({ name, service, objective, target, weight, sli, good: sli === null ? 0 : 99_120, bad: sli === null ? 0 : 880, burnt, burnt_share: share });
  return {
    ...slo(3, random(8)), id: "buying", name: "buying", display_name: "Buying works and is fast", service: "storefront", kind: "composite", objective: "weighted average of payments work (3), checkout is fast (1), refunds work (1)",
    target: 0.9967, window: "1M (calendar, Europe/Berlin)", window_to_unix_nano: nano(NOW + 9 * DAY), budget_left: 0.21, sli: 0.9974, exhausted_in_s: 259_200, state: "ok", state_reason: "burnt by payments work 92 %, checkout is fast 8 %",
    members: [member("payments work", "payment", "availability", 0.999, 3, 0.9964, 0.727, 0.92), member("checkout is fast", "checkout", "latency <= 300 ms", 0.99, 1, 0.9938, 0.063, 0.08), member("refunds work", "refund", "availability", 0.999, 1, null, null, null)],
    alerts: [["slow-burn", "ticket", "6h", "30m", 2], ["fast-burn", "page", "1h", "5m", 14]].map(([policy, severity, long, short, threshold]) => ({ policy, severity, long, short, threshold, long_rate: 0.8, short_rate: 2.4, firing: false })),
    last_deployment: null,
  };
}

/** Journeys: conditions that fail together, some unknown. */
function journey() {
  return {
    ...slo(4, random(9)), id: "checkout-joint", name: "checkout-joint", display_name: "Checkout works from end to end", service: "storefront", kind: "journey",
    objective: "journey storefront:POST /checkout: the root succeeds, latency <= 800 ms, payment:POST /charge succeeds, no error begins in cart", target: 0.995, sli: 0.9962, good: 99_620, bad: 380, total: 100_000,
    unknown: 412, sli_low: 0.9921, sli_high: 0.9962, budget_left: 0.24, state: "ok", state_reason: "charged to payment 71 %, storefront to cart 18 %",
    bounds: { conditions: [["the root succeeds", 0.9974], ["latency <= 800 ms", 0.9983], ["payment:POST /charge succeeds", 0.9974], ["no error begins in cart", 0.9998]].map(([name, sli]) => ({ name, sli })), product: 0.9929, low: 0.9929, high: 0.9974 },
    last_deployment: null,
  };
}

const CHARGED = [["payment", null, "v2.15.0", 269.8, 0.71], ["cart", "storefront", "v1.4.0", 68.4, 0.18], ["storefront", null, "v5.3.2", 19, 0.05], [null, null, "", 22.8, 0.06]]
  .map(([service, caller, version, bad, share]) => ({ service, caller, version, bad, share }));

export function slos() {
  const next = random(3);
  return answer({
    slos: [...SERVICES.map((_, at) => slo(at, next)), composite(), journey()],
    problems: [{ file: "slo/broken.yaml", line: 7, message: "unknown field `objectve`; did you mean `objectives`?" }],
    notes: [{ file: "slo/targets.yaml", line: 1, message: "AlertNotificationTarget has no effect: webhooks are in the configuration" }],
  });
}

/** Hundreds of objectives, some with names as long as people make them. */
export function manySlos(size) {
  const { slos: some } = slos();
  return answer({ problems: [], notes: [], slos: Array.from({ length: size }, (_, at) => {
    const one = some[at % some.length];
    return { ...one, id: `${one.id}-${at}`, service: at % 5 === 0 ? `${one.service}-${"internationalisation-gateway-".repeat(4)}${at}` : `${one.service}-${at}`, objective: at % 7 === 0 ? `${one.objective} for ${"the operation with a long name ".repeat(3)}` : one.objective };
  }) });
}

/** What the alerts say of the objectives: since when the spent one pages. */
export function alerts() {
  return answer({ webhooks: [], alerts: [{ status: "firing", labels: { alertname: "SloBurnRate", service: "checkout", severity: "page", slo: "checkout-latency" }, annotations: {}, page: "/slos/checkout-latency", starts_at_unix_nano: nano(NOW - 42 * MINUTE), ends_at_unix_nano: null }] });
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
    by_service: found.kind === "journey" ? CHARGED : [],
    bad_traces: traces(6).traces, sql: "SELECT count(*) FILTER (WHERE duration_time_unix_nano <= 300000000) AS good, count(*) AS total\nFROM spans WHERE service_name = 'checkout' AND kind = 'SERVER'",
  });
}

