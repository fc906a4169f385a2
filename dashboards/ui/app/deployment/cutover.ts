// Self time around the cut-over, by version: the question in SQL, and its answer as lines. Pure, so that tests reach it.
import type { Line } from "../charts/plot-options";
import { nanoToMs } from "../core/time";
import type { Deployment, SqlAnswer } from "../core/types";

const MINUTE_NS = 60_000_000_000n;
/** How long before the release the chart begins, and how long after it ends at the latest. */
const BEFORE_NS = 60n * MINUTE_NS;
const AFTER_NS = 120n * MINUTE_NS;

const text = (value: string): string => `'${value.replace(/'/g, "''")}'`;

/** Quantiles of each minute and version; null when there is no older version to draw beside it. */
export function cutoverSql(deployment: Deployment, operation: string): string | null {
  const { service, environment, version, previous_version: previous, first_seen_unix_nano: seen } = deployment;
  if (previous === null || !/^\d+$/.test(seen)) return null;
  const from = BigInt(seen) - BEFORE_NS;
  const to = BigInt(seen) + AFTER_NS;
  return `SELECT at, version, hdr_quantile(h, 0.5) AS p50_ns, hdr_quantile(h, 0.95) AS p95_ns FROM (SELECT window_start_unix_nano - window_start_unix_nano % ${MINUTE_NS} AS at, version, hdr_merge(self_time) AS h `
    + `FROM slis WHERE service = ${text(service)} AND environment = ${text(environment)} AND operation = ${text(operation)} AND version IN (${text(previous)}, ${text(version)}) `
    + `AND window_start_unix_nano >= ${from} AND window_start_unix_nano < ${to} GROUP BY 1, 2) ORDER BY at, version LIMIT 1000`;
}

export interface Cutover { times: number[]; lines: Line[] }

/** A line for each version and quantile, in milliseconds; minutes without traffic of a version are gaps. */
export function cutoverLines(answer: SqlAnswer, deployment: Deployment): Cutover {
  const [at, version, p50, p95] = ["at", "version", "p50_ns", "p95_ns"].map((name) => answer.columns.findIndex((one) => one.name === name));
  const cell = (row: unknown[], column: number | undefined): string | null => { const value = row[column ?? -1]; return value === null || value === undefined ? null : String(value); };
  const byTime = new Map<number, Record<string, number | null>>();
  for (const row of answer.rows) {
    const ms = nanoToMs(cell(row, at));
    if (ms === null) continue;
    const values = byTime.get(ms / 1000) ?? {};
    for (const [name, column] of [["p50", p50], ["p95", p95]] as const) { const ns = cell(row, column); values[`${cell(row, version)}|${name}`] = ns === null ? null : Number(ns) / 1e6; }
    byTime.set(ms / 1000, values);
  }
  const times = [...byTime.keys()].sort((a, b) => a - b);
  const line = (of: string, name: string, colour: string): Line => ({ label: `${of} ${name}`, colour, values: times.map((time) => byTime.get(time)?.[`${of}|${name}`] ?? null), ...(name === "p50" ? { dash: [4, 3] } : {}) });
  const old = deployment.previous_version ?? "";
  return { times, lines: [line(old, "p50", "--before"), line(old, "p95", "--before"), line(deployment.version, "p50", "--after"), line(deployment.version, "p95", "--after")] };
}
