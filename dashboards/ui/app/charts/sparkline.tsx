// The budget over the window as a small line: gaps where nothing is known, a dotted zero line, red below zero, a tick at the last release.
import { nanoToMs } from "../core/time";
import type { BudgetPoint } from "../core/types";
import { linear, linePath } from "./scale";

const WIDTH = 136;
const HEIGHT = 24;

export function BudgetSpark({ series, released }: { series: BudgetPoint[]; released: string | null }) {
  const known = series.filter((point) => point.budget_left !== null);
  if (known.length < 2) return <span class="muted" title="too few points">—</span>;
  const times = series.map((point) => nanoToMs(point.t_unix_nano) ?? 0);
  const values = known.map((point) => point.budget_left ?? 0);
  const low = Math.min(0, ...values);
  const x = linear(times[0] ?? 0, times[times.length - 1] ?? 1, 1, WIDTH - 1);
  const y = linear(Math.max(low, -1.5), 1, HEIGHT - 2, 2);
  const path = linePath(series.map((point, at) => ({ x: x(times[at] ?? 0), y: point.budget_left === null ? null : y(Math.max(-1.5, point.budget_left)) })));
  const last = values[values.length - 1] ?? 0;
  const at = nanoToMs(released);
  const inside = at !== null && at >= (times[0] ?? 0) && at <= (times[times.length - 1] ?? 0);
  return (
    <svg width={WIDTH} height={HEIGHT} role="img" aria-label={`budget over the window, now ${Math.round(last * 100)} %${inside ? "; a tick marks the last release" : ""}`}>
      <line x1="0" x2={WIDTH} y1={y(0)} y2={y(0)} stroke="var(--line-strong)" stroke-dasharray="2 3" />
      {inside ? <line x1={x(at)} x2={x(at)} y1="1" y2={HEIGHT - 1} stroke="var(--text)" stroke-dasharray="2 2" /> : null}
      <path d={path} fill="none" stroke={last < 0 ? "var(--bad)" : "var(--series)"} stroke-width="1.4" />
    </svg>
  );
}
