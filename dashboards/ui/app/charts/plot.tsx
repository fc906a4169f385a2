// Line charts over time, drawn by uPlot, which arrives as a chunk of its own. One cursor moves through all charts of a page;
// a drag chooses the time range.
import { useEffect, useRef } from "preact/hooks";
import type uPlot from "uplot";
import { dark } from "../core/theme";
import { clock, dateTime } from "../core/time";
import { setRange } from "../ui/range";

export interface Line { label: string; colour: string; values: (number | null)[]; dash?: number[]; fill?: string }
interface Props {
  /** Seconds since the epoch, ascending. */
  times: number[];
  lines: Line[];
  /** Horizontal lines: value and colour variable. */
  levels?: { value: number; colour: string }[];
  format: (value: number) => string;
  low?: number;
  height?: number;
  name: string;
}

export function Plot({ times, lines, levels = [], format, low, height = 170, name }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const readout = useRef<HTMLDivElement>(null);
  const isDark = dark.value;
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    let plot: uPlot | null = null;
    let wanted = true;
    const watch = new ResizeObserver(() => plot?.setSize({ width: element.clientWidth, height }));
    void import("uplot").then(({ default: Chart }) => {
      if (!wanted) return;
      const data: uPlot.AlignedData = [times, ...lines.map((line) => line.values)];
      plot = new Chart(optionsFor(element, readout.current), data, element);
      watch.observe(element);
    }, () => { if (readout.current) readout.current.textContent = "The chart did not load; reload the page."; });
    return () => { wanted = false; watch.disconnect(); plot?.destroy(); };

    function optionsFor(target: HTMLElement, text: HTMLElement | null): uPlot.Options {
      const style = getComputedStyle(target);
      const ink = (variable: string): string => style.getPropertyValue(variable).trim();
      const axis = { stroke: ink("--muted"), grid: { stroke: ink("--grid"), width: 1 }, ticks: { show: false }, font: "11px system-ui, 'DejaVu Sans', sans-serif" };
      return {
        width: target.clientWidth, height, legend: { show: false }, tzDate: (at) => new Date(at * 1000 + new Date(at * 1000).getTimezoneOffset() * 60_000),
        cursor: { sync: { key: "page" }, drag: { x: true, y: false, setScale: false }, points: { size: 6 } },
        scales: { y: { range: (_, least, most) => bounds(Math.min(least, low ?? least, ...levels.map((one) => one.value)), Math.max(most, ...levels.map((one) => one.value)), low !== undefined) } },
        axes: [
          { ...axis, size: 26, values: (_, splits) => splits.map((at) => (longRange() ? dateTime(at * 1000).slice(5, 16) : clock(at * 1000).slice(0, 5))), space: longRange() ? 90 : 60 },
          { ...axis, size: 58, values: (_, splits) => splits.map((value) => format(value)), space: 32 },
        ],
        series: [{}, ...lines.map((line): uPlot.Series => ({ label: line.label, stroke: ink(line.colour), width: 1.5, dash: line.dash ?? [], spanGaps: false, points: { show: false }, ...(line.fill ? { fill: ink(line.fill) } : {}) }))],
        hooks: {
          draw: [(chart) => drawLevels(chart, levels.map((one) => ({ ...one, colour: ink(one.colour) })))],
          setCursor: [(chart) => { if (text) text.textContent = readingAt(chart.cursor.idx); }],
          setSelect: [(chart) => { if (chart.select.width > 4) setRange(String(Math.round(chart.posToVal(chart.select.left, "x") * 1000)), String(Math.round(chart.posToVal(chart.select.left + chart.select.width, "x") * 1000))); }],
        },
      };
    }
    function longRange(): boolean { return (times[times.length - 1] ?? 0) - (times[0] ?? 0) > 129_600; }
    function readingAt(index: number | null | undefined): string {
      const at = index === null || index === undefined ? undefined : times[index];
      if (at === undefined) return lines.length > 1 ? "" : " ";
      return `${dateTime(at * 1000)} UTC · ${lines.map((line) => { const value = line.values[index ?? 0]; return `${line.label} ${value === null || value === undefined ? "no data" : format(value)}`; }).join(" · ")}`;
    }
  }, [times, lines, isDark, height]);
  return (
    <div>
      <div class="legend">{lines.map((line) => <span key={line.label}><span class="dot" style={{ background: `var(${line.colour})` }} />{line.label}</span>)}</div>
      <div ref={box} role="img" aria-label={name} style={{ minHeight: `${height}px` }} />
      <div class="readout" ref={readout} />
    </div>
  );
}

function bounds(low: number, high: number, keepLow: boolean): [number, number] {
  if (!Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  const margin = (high - low || Math.abs(high) || 1) * 0.08;
  return [keepLow ? low : low - margin, high + margin];
}

function drawLevels(chart: uPlot, levels: { value: number; colour: string }[]): void {
  const { ctx: context, bbox } = chart;
  context.save();
  for (const level of levels) {
    const y = Math.round(chart.valToPos(level.value, "y", true));
    if (y < bbox.top || y > bbox.top + bbox.height) continue;
    context.strokeStyle = level.colour;
    context.setLineDash([6, 4]);
    context.beginPath();
    context.moveTo(bbox.left, y);
    context.lineTo(bbox.left + bbox.width, y);
    context.stroke();
  }
  context.restore();
}
