// What uPlot is told: axes in UTC, lines, levels, release marks. No DOM of ours in here beyond colours read from the target.
import type uPlot from "uplot";
import { clock, dateTime } from "../core/time";
import { setRange } from "../ui/range";

export interface Line {
  label: string;
  /** The colour's variable. */
  colour: string;
  values: (number | null)[];
  dash?: number[];
  /** Fills between the line and this value, in the colour of this variable. */
  fill?: { to: number; colour: string };
  /** Drawn, but neither in the legend nor read out. */
  silent?: boolean;
}
/** A release to mark, at seconds since the epoch. */
export interface Mark { at: number; label: string }
export interface Drawing {
  times: number[];
  lines: Line[];
  /** Horizontal dashed lines. */
  levels: { value: number; colour: string }[];
  marks: Mark[];
  format: (value: number) => string;
  /** The least value of the axis; absent: what the data have. */
  low: number | undefined;
  height: number;
}

/** A range longer than this has dates on its axis, not only times. */
const DATES_FROM_S = 129_600;

/** The data as uPlot takes them. */
export function dataOf({ times, lines }: Drawing): uPlot.AlignedData {
  return [times, ...lines.map((line) => line.values)];
}

/** What must be the same for a chart to take new data instead of being made anew. */
export function shapeOf({ lines, height }: Drawing): string {
  return JSON.stringify([height, ...lines.map(({ label, colour, dash, fill }) => [label, colour, dash, fill])]);
}

/** `drawing` is asked at each draw: data, levels and marks may change while the shape stays. */
export function options(target: HTMLElement, drawing: () => Drawing, moved: (index: number | null) => void): uPlot.Options {
  const { lines, height } = drawing();
  const style = getComputedStyle(target);
  const ink = (variable: string): string => style.getPropertyValue(variable).trim();
  const axis = { stroke: ink("--muted"), grid: { stroke: ink("--grid"), width: 1 }, ticks: { show: false }, font: "11px system-ui, 'DejaVu Sans', sans-serif" };
  const dates = (): boolean => { const { times } = drawing(); return (times[times.length - 1] ?? 0) - (times[0] ?? 0) > DATES_FROM_S; };
  return {
    width: target.clientWidth, height, legend: { show: false }, tzDate: (at) => new Date(at * 1000 + new Date(at * 1000).getTimezoneOffset() * 60_000),
    cursor: { sync: { key: "page" }, drag: { x: true, y: false, setScale: false }, points: { size: 6 } },
    scales: { y: { range: (_, least, most) => {
      const { levels, low } = drawing();
      const values = levels.map((one) => one.value);
      return bounds(Math.min(least, low ?? least, ...values), Math.max(most, ...values), low !== undefined);
    } } },
    axes: [
      { ...axis, size: 26, values: (_, splits) => splits.map((at) => (dates() ? dateTime(at * 1000).slice(5, 16) : clock(at * 1000).slice(0, 5))), space: () => (dates() ? 90 : 60) },
      { ...axis, size: 58, values: (_, splits) => splits.map((value) => drawing().format(value)), space: 32 },
    ],
    series: [{}, ...lines.map((line): uPlot.Series => ({
      label: line.label, stroke: ink(line.colour), width: 1.5, dash: line.dash ?? [], spanGaps: false,
      points: { show: () => drawing().times.length < 3, size: 5, fill: ink(line.colour) },
      ...(line.fill ? { fill: ink(line.fill.colour), fillTo: line.fill.to } : {}),
    }))],
    hooks: {
      draw: [(chart) => { drawLevels(chart, drawing().levels.map((one) => ({ ...one, colour: ink(one.colour) }))); drawMarks(chart, drawing().marks, ink("--text")); }],
      setCursor: [(chart) => moved(chart.cursor.idx ?? null)],
      setSelect: [(chart) => { if (chart.select.width > 4) choose(chart); }],
    },
  };
}

function choose(chart: uPlot): void {
  const at = (pixel: number): string => String(Math.round(chart.posToVal(pixel, "x") * 1000));
  setRange(at(chart.select.left), at(chart.select.left + chart.select.width));
}

function bounds(low: number, high: number, keepLow: boolean): [number, number] {
  if (!Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  const margin = (high - low || Math.abs(high) || 1) * 0.08;
  return [keepLow ? low : low - margin, high + margin];
}

function drawLevels(chart: uPlot, levels: { value: number; colour: string }[]): void {
  const { bbox } = chart;
  for (const level of levels) {
    const y = Math.round(chart.valToPos(level.value, "y", true));
    if (y >= bbox.top && y <= bbox.top + bbox.height) dashed(chart.ctx, level.colour, [6, 4], [bbox.left, y], [bbox.left + bbox.width, y]);
  }
}

function drawMarks(chart: uPlot, marks: Mark[], colour: string): void {
  const { bbox, ctx: context } = chart;
  const ratio = bbox.width / Math.max(1, chart.over.clientWidth);
  for (const mark of marks) {
    const x = Math.round(chart.valToPos(mark.at, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    dashed(context, colour, [2, 3], [x, bbox.top], [x, bbox.top + bbox.height]);
    context.save();
    context.font = `${11 * ratio}px system-ui, 'DejaVu Sans', sans-serif`;
    context.fillStyle = colour;
    // Beside the right edge there is no room to the right of the line.
    const right = x + context.measureText(mark.label).width + 6 * ratio > bbox.left + bbox.width;
    context.textAlign = right ? "right" : "left";
    context.fillText(mark.label, x + (right ? -4 : 4) * ratio, bbox.top + 10 * ratio);
    context.restore();
  }
}

function dashed(context: CanvasRenderingContext2D, colour: string, dash: number[], from: [number, number], to: [number, number]): void {
  context.save();
  context.strokeStyle = colour;
  context.setLineDash(dash);
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  context.stroke();
  context.restore();
}
