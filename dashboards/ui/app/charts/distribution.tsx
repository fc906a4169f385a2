// Latency before (filled) and after (line) on a log axis, cumulative lines dashed, quantile marks, and a reading under the pointer.
import { useState } from "preact/hooks";
import { ms, percent } from "../core/format";
import type { Distribution, Quantiles } from "../core/types";
import { linear, linePath, logarithmic, logTicks, type Scale } from "./scale";
import { stepOf } from "./reading";
import { useWidth } from "./width";

const HEIGHT = 236;
const [TOP, BOTTOM, SIDE] = [26, 22, 12];
/** Room that the name of a quantile takes. */
const NAME_PX = 24;

export function DistributionChart({ data }: { data: Distribution }) {
  const [box, width] = useWidth<HTMLDivElement>();
  const [under, setUnder] = useState<number | null>(null);
  const { bins } = data;
  if (bins.length === 0 || bins.every((bin) => bin.before === 0 && bin.after === 0)) {
    return <div class="empty" data-why="no data"><strong>○ No measurement yet</strong><p>Neither version has finished traces with this operation.</p></div>;
  }
  const x = logarithmic(Math.max(1e-6, bins[0]?.low_ms ?? 1), bins[bins.length - 1]?.high_ms ?? 10, SIDE, Math.max(SIDE + 1, width - SIDE));
  const most = Math.max(...bins.map((bin) => Math.max(bin.before, bin.after)), 1e-9);
  const y = linear(0, most * 1.05, HEIGHT - BOTTOM, TOP);
  const bin = under === null ? undefined : bins[under];
  const point = (event: PointerEvent & { currentTarget: HTMLElement }): void => {
    const ms = x.invert(event.clientX - event.currentTarget.getBoundingClientRect().left);
    const found = bins.findIndex((one) => ms < one.high_ms);
    setUnder(found < 0 ? null : found);
  };
  const onKey = (event: KeyboardEvent): void => {
    const next = stepOf(event.key, under, bins.length);
    if (next === undefined) return;
    event.preventDefault();
    setUnder(next);
  };
  return (
    <div ref={box} class="chartbox" role="img" aria-label={`${summary(data)}; arrow keys read it`} tabIndex={0} onKeyDown={onKey} onPointerMove={point} onPointerLeave={() => setUnder(null)}>
      {width > 0 ? (
        <svg class="chart" width={width} height={HEIGHT} aria-hidden="true">
          {logTicks(bins[0]?.low_ms ?? 1, bins[bins.length - 1]?.high_ms ?? 10, Math.floor(width / 90)).map((tick) => (
            <g key={tick}><line x1={x(tick)} x2={x(tick)} y1={TOP} y2={HEIGHT - BOTTOM} stroke="var(--grid)" /><text x={x(tick)} y={HEIGHT - 7} text-anchor="middle">{ms(tick)}</text></g>
          ))}
          <path d={steps(bins.map((bin) => [bin.low_ms, bin.high_ms, bin.before]), x, y, true)} fill="var(--before-fill)" />
          <path d={steps(bins.map((bin) => [bin.low_ms, bin.high_ms, bin.after]), x, y, false)} fill="none" stroke="var(--after)" stroke-width="1.8" />
          <Cumulative values={bins.map((bin) => [bin.high_ms, bin.before])} x={x} colour="var(--before)" />
          <Cumulative values={bins.map((bin) => [bin.high_ms, bin.after])} x={x} colour="var(--after)" />
          <Marks of={data.quantiles.before} x={x} colour="var(--before)" row={0} />
          <Marks of={data.quantiles.after} x={x} colour="var(--after)" row={1} />
          <line x1={SIDE} x2={width - SIDE} y1={HEIGHT - BOTTOM} y2={HEIGHT - BOTTOM} stroke="var(--line-strong)" />
          {bin ? <rect x={x(bin.low_ms)} y={TOP} width={Math.max(1, x(bin.high_ms) - x(bin.low_ms))} height={HEIGHT - BOTTOM - TOP} fill="var(--accent)" opacity="0.18" /> : null}
        </svg>
      ) : <div style={{ height: `${HEIGHT}px` }} />}
      <div class="readout" aria-live="polite">{under === null ? "Point at it, or use the arrow keys, to read both versions." : reading(data, under)}</div>
    </div>
  );
}

/** Stairs over the bins; closed to the ground when filled. */
function steps(bins: [number, number, number][], x: Scale, y: Scale, closed: boolean): string {
  const first = bins[0];
  const last = bins[bins.length - 1];
  if (!first || !last) return "";
  const stairs = bins.map(([low, high, value]) => `L${x(low).toFixed(1)} ${y(value).toFixed(1)}L${x(high).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  return `M${x(first[0]).toFixed(1)} ${y(0).toFixed(1)}${stairs}L${x(last[1]).toFixed(1)} ${y(0).toFixed(1)}${closed ? "Z" : ""}`;
}

function Cumulative({ values, x, colour }: { values: [number, number][]; x: Scale; colour: string }) {
  const total = values.reduce((sum, [, value]) => sum + value, 0);
  if (total === 0) return null;
  const y = linear(0, total, HEIGHT - BOTTOM, TOP);
  let sum = 0;
  const points = values.map(([high, value]) => { sum += value; return { x: x(high), y: y(sum) }; });
  return <path d={linePath(points)} fill="none" stroke={colour} stroke-dasharray="4 3" opacity="0.85" />;
}

function Marks({ of, x, colour, row }: { of: Quantiles | null; x: Scale; colour: string; row: number }) {
  if (!of) return null;
  const marks = ([["p50", of.p50], ["p95", of.p95], ["p99", of.p99]] as const).flatMap(([name, value]) => (value === null ? [] : [{ name, at: x(value) }]));
  return (
    <g>{marks.map(({ name, at }, index) => {
      // Where the next name would stand on this one, both are written at the next.
      const joins = (one: number): boolean => { const [left, right] = [marks[one], marks[one + 1]]; return left !== undefined && right !== undefined && right.at - left.at < NAME_PX; };
      let first = index;
      while (joins(first - 1)) first -= 1;
      const crowded = joins(index);
      const text = marks.slice(first, index + 1).map((one) => one.name).join(" ");
      return (
        <g key={name}>
          <line x1={at} x2={at} y1={6 + row * 10} y2={TOP + 6 + row * 4} stroke={colour} stroke-width="1.5" />
          {crowded ? null : <text x={at + 3} y={11 + row * 10} style={{ fontSize: "10px", fill: colour }}>{text}</text>}
        </g>
      );
    })}</g>
  );
}

function reading(data: Distribution, at: number): string {
  const bin = data.bins[at];
  if (!bin) return "";
  const upTo = (side: "before" | "after"): number => data.bins.slice(0, at + 1).reduce((sum, one) => sum + one[side], 0);
  return `${ms(bin.low_ms)} – ${ms(bin.high_ms)}: before ${percent(bin.before)} (${percent(upTo("before"))} at most this slow), after ${percent(bin.after)} (${percent(upTo("after"))})`;
}

function summary(data: Distribution): string {
  const { before, after } = data.quantiles;
  return `self time of ${data.operation}: p50 ${ms(before?.p50)} before, ${ms(after?.p50)} after; p95 ${ms(before?.p95)} before, ${ms(after?.p95)} after`;
}
