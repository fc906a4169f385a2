// Made-up flags: a bad one drawn by lot, one that versions confound, a harmless one, and one with a single variant.
import { deployment, split } from "./deployments.mjs";
import { MINUTE, NOW, answer, nano } from "./fixtures.mjs";

const MEANINGS = {
  randomised: "variants are drawn by lot, so a difference between them is caused by the variant",
  observational: "variants are not drawn by lot, so a difference may be caused by the variant or by what decides who gets it",
};
const service = (name, state, of, headline, e_value) => ({ service: name, state, class: of, headline, share: name === "email" ? 0.04 : 0.6, traces_before: 9120, traces_after: 9044, e_value, e_needed: 240, discovery: e_value > 240 });
const variant = (name, control, traces, share, weight = null) => ({ variant: name, control, traces, share, weight, first_seen_unix_nano: nano(NOW - 50 * MINUTE), last_seen_unix_nano: nano(NOW) });
const change = (kind, minutes, text) => ({ kind, at_unix_nano: nano(NOW - minutes * MINUTE), text });

function flag(key, state, over = {}) {
  const { of = null, headline, services = [], assignment = "randomised", confounders = [], ...rest } = over;
  const comparison = { variant: "on", control: "off", state, class: of, headline, reason: headline, judged_from_unix_nano: nano(NOW - 50 * MINUTE), judged_at_unix_nano: nano(NOW), services, confounders };
  return {
    key, environment: "production", control: "off", control_rule: "name", assignment, assignment_meaning: MEANINGS[assignment], state, class: of, headline, traces: 18164, mixed_traces: 12,
    variants: [variant("off", true, 9120, 0.5), variant("on", false, 9044, 0.5)], comparisons: services.length > 0 ? [comparison] : [], reasons: [{ name: assignment === "randomised" ? "split" : "targeting_match", traces: 18164 }],
    asked_by: [{ name: "checkout", traces: 18164 }], versions: ["6", "7"], changes: [change("variant", 50, "variant on was seen first"), change("share", 20, "the share of on went from 10 % to 50 %"), change("version", 50, "version 7 was seen first")],
    e_value: services[0]?.e_value ?? 1, e_needed: 80, discovery: state === "FAIL", ...rest,
  };
}

const WORSE = "payment with new-tax=on made it worse: POST /charge is 62 % slower, 52.0 ms -> 84.0 ms, 9044 against 9120 traces";
const REASON = "traffic split 38 % where 10 % was declared: the compared cohorts are not alike";
const SPLIT = `half-half=on is not judged: ${REASON}`;
const ALL = [
  flag("new-tax", "FAIL", { of: "OWN", headline: WORSE, services: [service("payment", "FAIL", "OWN", WORSE, 8.1e12), service("checkout", "INHERITED", "INHERITED", "checkout with new-tax=on is slower, but not by itself: own time did not rise; payment, which it calls, became slower", 1.4), service("email", "CONTINUE", null, "email with new-tax=on is not decided yet: 31 traces with the variant and 40 with the control", 0.6)] }),
  flag("beta-cart", "CONFOUNDED", { of: "OWN", assignment: "observational", headline: "cart with beta-cart=on looks worse: HSET cart is 22 % slower, 4.10 ms -> 5.00 ms, 9044 against 9120 traces", confounders: ["cart runs other versions in the two cohorts: mostly v1 in 100.00 % before, v2 in 98.00 % after"], services: [service("cart", "CONFOUNDED", "OWN", "cart with beta-cart=on looks worse: HSET cart is 22 % slower", 5200)] }),
  flag("banner", "CONTINUE", { headline: "banner=on is not decided yet: 1 of 2 services are not decided", services: [service("gateway", "PASS", null, "gateway with banner=on is no worse: own time +0.2 %, 9044 against 9120 traces", 0.2), service("catalog", "CONTINUE", null, "catalog with banner=on is not decided yet", 0.9)] }),
  flag("half-half", "SKEWED", { headline: SPLIT, variants: [variant("off", true, 11_260, 0.62, 0.9), variant("on", false, 6904, 0.38, 0.1)], services: [service("gateway", "SKEWED", null, `gateway with half-half=on is not judged: ${REASON}`, 1), service("catalog", "SKEWED", null, `catalog with half-half=on is not judged: ${REASON}`, 1)] }),
  flag("one-sided", "NO_DATA", { headline: "one-sided has traces with one variant only", variants: [variant("off", true, 18164, 1)], changes: [] }),
];

export function flags() { return { ...answer(), flags: ALL }; }

export function flagDetail(key) {
  const found = ALL.find((one) => one.key === key);
  if (!found) return null;
  const { verdict } = deployment("checkout", "v2.15.0");
  const moved = ["FAIL", "WARN", "INHERITED"];
  const withheld = (finding) => ({ ...finding, class: null, state: moved.includes(finding.state) ? "SKEWED" : "CONTINUE" });
  const judged = (one) => ({ service: one.service, verdict: { ...verdict, state: one.state, class: one.class, headline: one.headline, reason: one.headline, baseline: { ...verdict.baseline, version: "off", meaning: "concurrent traffic with the control" }, candidate: { ...verdict.candidate, version: "on" }, ...(one.state === "SKEWED" ? { splits: [split(0.1, 0.38)], findings: verdict.findings.map(withheld) } : { splits: [] }) } });
  const series = (share) => Array.from({ length: 40 }, (_, at) => ({ t_unix_nano: nano(NOW - (40 - at) * MINUTE), share: at < 20 ? (share === 0.5 ? 0.1 : 0.9) : 0.5, traces: 400 }));
  return {
    ...answer(), flag: found, share_series: found.variants.map((one, at) => ({ variant: one.variant, series: series(at === 0 ? 0.9 : 0.5) })),
    verdicts: found.comparisons.map((one) => ({ variant: one.variant, services: one.services.map(judged) })),
  };
}
