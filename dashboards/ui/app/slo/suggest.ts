// First objectives suggested from what was seen: availability, and latency at the p95 rounded up. Pure, so that tests reach it.
import type { Service } from "../core/types";

/** Fewer calls in the time looked at say too little. */
export const SPANS_MIN = 1000;
const STEPS = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];

export interface Suggestion { service: string; environment: string; spans: number; latencyMs: number | null; errors: number | null; p95: number | null; yaml: string }

/** The next round number of milliseconds above `value`. */
export function roundedUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 0.1)));
  const step = STEPS.find((one) => one * power >= value * 0.999999) ?? 10;
  return Number((step * power).toPrecision(3));
}

/** The busiest services first; quiet ones are left out. */
export function suggestions(services: Service[]): Suggestion[] {
  const used = new Set<string>();
  return services.filter((one) => one.spans >= SPANS_MIN).sort((a, b) => b.spans - a.spans || a.service.localeCompare(b.service)).map((one) => {
    const latencyMs = one.p95_ms === null ? null : roundedUp(one.p95_ms);
    return { service: one.service, environment: one.environment, spans: one.spans, latencyMs, errors: one.errors_fraction, p95: one.p95_ms, yaml: yamlOf(stemOf(one, used), one.service, one.environment, latencyMs) };
  });
}

/** The part of the names of its objectives that tells the service from all others; room is left for what follows it in 63 characters. */
function stemOf(one: Service, used: Set<string>): string {
  const plain = [one.service, one.environment].join("-").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+/, "").slice(0, 44).replace(/-+$/, "") || "service";
  let stem = plain;
  for (let more = 2; used.has(stem); more += 1) stem = `${plain}-${more}`;
  used.add(stem);
  return stem;
}

function yamlOf(stem: string, service: string, environment: string, latencyMs: number | null): string {
  const calls = `service: ${quoted(service)}${environment ? `, environment: ${quoted(environment)}` : ""}`;
  const documents = [slo(service, `${stem}-availability`, "answers", `signal: availability, ${calls}`, calls, "0.999")];
  if (latencyMs !== null) documents.push(slo(service, `${stem}-latency`, `answers within ${latencyMs} ms`, `signal: latency, ${calls}, threshold: ${quoted(threshold(latencyMs))}`, calls, "0.99"));
  return documents.join("---\n");
}

function slo(service: string, name: string, says: string, good: string, total: string, target: string): string {
  return [
    "apiVersion: openslo/v1", "kind: SLO", `metadata: {name: ${quoted(name)}, displayName: ${quoted(`${service} ${says}`)}}`, "spec:", `  service: ${quoted(service)}`,
    "  budgetingMethod: Occurrences", "  timeWindow: [{duration: 28d, isRolling: true}]", "  indicator:", `    metadata: {name: ${quoted(name)}}`, "    spec:", "      ratioMetric:", "        counter: true",
    `        good: {metricSource: {type: daytwo, spec: {${good}}}}`, `        total: {metricSource: {type: daytwo, spec: {${total}}}}`, "  objectives:", `    - target: ${target}`, "",
  ].join("\n");
}

function threshold(ms: number): string { return ms < 1 ? `${Math.round(ms * 1000)}us` : Number.isInteger(ms) ? `${ms}ms` : `${Math.round(ms * 1000)}us`; }

/** A YAML string in double quotes, which JSON's are. */
function quoted(text: string): string { return JSON.stringify(text); }
