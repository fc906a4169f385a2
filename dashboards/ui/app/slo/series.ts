// What the charts of an objective draw, from the answer of the server. Pure, so that tests reach it.
import { nanoToMs } from "../core/time";
import type { Alert, SloDetail } from "../core/types";
import type { Drawing, Line, Mark } from "../charts/plot-options";

/** A projection reaches at most this share of the shown time beyond now, so that it does not squeeze what was measured. */
const PROJECTED_SHARE = 0.35;

export interface Charts { budgetTimes: number[]; budget: Line[]; times: number[]; sli: Line[]; burn: Line[]; events: Line[]; levels: Drawing["levels"] }

const seconds = (nano: string): number => (nanoToMs(nano) ?? 0) / 1000;

export function chartsOf(data: SloDetail): Charts {
  const { series, slo } = data;
  const times = series.map((point) => seconds(point.t_unix_nano));
  const known = slo.budget_series.map((point) => ({ at: seconds(point.t_unix_nano), left: point.budget_left }));
  const ahead = projection(known, slo.exhausted_in_s);
  const budgetTimes = [...known.map((point) => point.at), ...ahead.map((point) => point.at)];
  const pad = (values: (number | null)[], before: number): (number | null)[] => [...Array<null>(before).fill(null), ...values];
  const budget: Line[] = [{ label: "budget left", colour: "--series", values: [...known.map((point) => point.left), ...ahead.map(() => null)], fill: { to: 0, colour: "--series-soft" } }];
  const last = known[known.length - 1];
  if (ahead.length > 0 && last) budget.push({ label: "at the speed of the last hour", colour: "--bad", values: [...pad([last.left], known.length - 1), ...ahead.map((point) => point.left)], dash: [5, 4] });
  return {
    budgetTimes, budget, times,
    sli: [
      { label: "SLI", colour: "--series", values: series.map((point) => point.sli) },
      { label: "below the target", colour: "--bad", values: below(series.map((point) => point.sli), slo.target), fill: { to: slo.target, colour: "--bad-soft" }, silent: true },
    ],
    burn: [
      { label: "long window", colour: "--after", values: series.map((point) => point.burn_long) },
      { label: "short window", colour: "--before", values: series.map((point) => point.burn_short), dash: [4, 3] },
    ],
    events: [{ label: "good", colour: "--good", values: series.map((point) => point.good) }, { label: "bad", colour: "--bad", values: series.map((point) => point.bad) }],
    levels: levelsOf(slo.alerts),
  };
}

/** From the newest known point straight to an empty budget, cut off where it leaves the chart. */
export function projection(known: { at: number; left: number | null }[], exhaustedInS: number | null): { at: number; left: number }[] {
  const first = known[0];
  const last = known[known.length - 1];
  if (!first || !last || last.left === null || last.left <= 0 || exhaustedInS === null || exhaustedInS <= 0) return [];
  const reach = Math.min(exhaustedInS, Math.max(60, (last.at - first.at) * PROJECTED_SHARE));
  return [{ at: last.at + reach, left: last.left * (1 - reach / exhaustedInS) }];
}

/** The stretches under the target; the neighbours of one lie on the target, so that a single point has an area too. */
export function below(values: (number | null)[], target: number): (number | null)[] {
  const under = (at: number): boolean => { const value = values[at]; return value !== null && value !== undefined && value < target; };
  return values.map((value, at) => (value === null ? null : under(at) ? value : under(at - 1) || under(at + 1) ? target : null));
}

/** A level for each threshold that alerts, in the colour of its severity. */
export function levelsOf(alerts: Alert[]): Drawing["levels"] {
  const found = new Map<number, string>();
  for (const alert of alerts) if (alert.severity === "page" || !found.has(alert.threshold)) found.set(alert.threshold, alert.severity === "page" ? "--bad" : "--warn");
  return [...found].map(([value, colour]) => ({ value, colour })).sort((a, b) => a.value - b.value);
}

/** The newest releases within the times that a chart shows. */
export function marksIn(times: number[], releases: { version: string; first_seen_unix_nano: string }[], most: number): Mark[] {
  const [first, last] = [times[0], times[times.length - 1]];
  if (first === undefined || last === undefined) return [];
  return releases.map((one) => ({ at: seconds(one.first_seen_unix_nano), label: one.version })).filter((one) => one.at >= first && one.at <= last)
    .sort((a, b) => b.at - a.at).slice(0, most);
}
