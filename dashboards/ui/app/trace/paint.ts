// Draws bars, critical path, axis and minimap on canvases. Only drawing: what to draw comes in as arguments.
import { canvasColour } from "../core/colour";
import { ns } from "../core/format";
import { ticks } from "../charts/scale";
import type { Shown } from "./fold";
import { ROW_PX, type Zoom } from "./geometry";
import { ERROR, FLAG_EVENTS, FLAG_SKEWED, type Model } from "./model";

export interface Ink {
  colours: string[];
  text: string; muted: string; grid: string; sunken: string; selected: string; bad: string; path: string; background: string;
}

/** Reads the theme once per draw cycle; a canvas knows no CSS variables. */
export function inkOf(element: Element, model: Model, dark: boolean): Ink {
  const style = getComputedStyle(element);
  const read = (name: string): string => style.getPropertyValue(name).trim();
  return {
    colours: model.body.services.map((name) => canvasColour(name, dark)),
    text: read("--text"), muted: read("--muted"), grid: read("--grid"), sunken: read("--sunken"), selected: read("--accent-soft"),
    bad: read("--bad"), path: read("--path"), background: read("--raised"),
  };
}

/** Sizes a canvas for the screen's pixels and clears it. */
export function prepare(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D | null {
  const ratio = devicePixelRatio || 1;
  const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context?.setTransform(ratio, 0, 0, ratio, 0, 0);
  context?.clearRect(0, 0, width, height);
  return context;
}

export interface BarsView { width: number; height: number; scrollTop: number; zoom: Zoom; selectedPlace: number }

const LEFT = 6;
const RIGHT = 64;
const FONT = "11px system-ui, 'DejaVu Sans', sans-serif";

export function paintBars(canvas: HTMLCanvasElement, model: Model, shown: Shown, view: BarsView, ink: Ink): void {
  const context = prepare(canvas, view.width, view.height);
  if (!context) return;
  const inner = Math.max(10, view.width - LEFT - RIGHT);
  const perNs = inner / (view.zoom.to - view.zoom.from);
  const x = (at: number): number => LEFT + (at - view.zoom.from) * perNs;
  const first = Math.max(0, Math.floor(view.scrollTop / ROW_PX));
  const last = Math.min(shown.row.length, Math.ceil((view.scrollTop + view.height) / ROW_PX));
  for (let place = first; place < last; place += 1) {
    const y = place * ROW_PX - view.scrollTop;
    if (place === view.selectedPlace) { context.fillStyle = ink.selected; context.fillRect(0, y, view.width, ROW_PX); }
    else if (place % 2 === 1) { context.globalAlpha = 0.7; context.fillStyle = ink.sunken; context.fillRect(0, y, view.width, ROW_PX); context.globalAlpha = 1; }
  }
  context.fillStyle = ink.grid;
  for (const tick of ticks(view.zoom.from, view.zoom.to, 6)) context.fillRect(Math.round(x(tick)), 0, 1, view.height);
  context.font = FONT;
  context.textBaseline = "middle";
  for (let place = first; place < last; place += 1) paintRow(context, model, shown, place, place * ROW_PX - view.scrollTop, x, view.width, ink);
}

function paintRow(context: CanvasRenderingContext2D, model: Model, shown: Shown, place: number, y: number, x: (at: number) => number, width: number, ink: Ink): void {
  const row = shown.row[place] ?? 0;
  const run = shown.run[place] ?? 1;
  const until = shown.until[place] ?? row + 1;
  const { columns } = model.body;
  const start = model.start[row] ?? 0;
  let stop = start + (model.length[row] ?? 0);
  let total = model.length[row] ?? 0;
  context.fillStyle = ink.colours[columns.service[row] ?? 0] ?? ink.muted;
  if (run > 1) {
    total = 0;
    for (let at = row; at < until; at = model.end[at] ?? at + 1) {
      const left = model.start[at] ?? 0;
      const length = model.length[at] ?? 0;
      total += length;
      stop = Math.max(stop, left + length);
      bar(context, x(left), x(left + length), y, width);
    }
  } else {
    bar(context, x(start), x(stop), y, width);
    if ((columns.flags[row] ?? 0) & FLAG_SKEWED) { context.strokeStyle = ink.muted; context.setLineDash([3, 2]); context.strokeRect(x(start), y + 4.5, Math.max(2, x(stop) - x(start)), 12); context.setLineDash([]); }
    if (columns.status[row] === ERROR) { context.fillStyle = ink.bad; context.fillRect(Math.max(0, x(start)), y + 4, 3, 13); context.fillRect(Math.max(0, x(start)), y + 4, Math.min(width, Math.max(3, x(stop) - x(start))), 2); }
    if ((columns.flags[row] ?? 0) & FLAG_EVENTS) { context.fillStyle = ink.text; context.beginPath(); context.arc(x(start) + 3, y + 3.5, 1.6, 0, 7); context.fill(); }
  }
  underline(context, model, row, until, y, x, width, ink);
  const text = run > 1 ? `${ns(total)} in ${run}` : ns(total);
  const right = x(stop) + 5;
  if (right < width - 20 && right > 0) { context.fillStyle = ink.muted; context.fillText(text, Math.max(2, right), y + 11); }
  else if (x(start) > 60 && x(start) < width) { context.fillStyle = ink.muted; context.textAlign = "right"; context.fillText(text, x(start) - 5, y + 11); context.textAlign = "left"; }
}

function bar(context: CanvasRenderingContext2D, from: number, to: number, y: number, width: number): void {
  const left = Math.max(-2, from);
  const right = Math.min(width + 2, Math.max(to, from + 1.5));
  if (right > left) context.fillRect(left, y + 5, right - left, 11);
}

/** The critical path inside what this row stands for; segments closer than a pixel are drawn once. */
function underline(context: CanvasRenderingContext2D, model: Model, row: number, until: number, y: number, x: (at: number) => number, width: number, ink: Ink): void {
  const from = model.pathStart[row] ?? 0;
  const to = model.pathStart[Math.max(until, row + 1)] ?? 0;
  context.fillStyle = ink.path;
  let drawn = -1;
  for (let at = from; at < to; at += 1) {
    const left = Math.max(0, x(model.pathFrom[at] ?? 0));
    const right = Math.min(width, x(model.pathTo[at] ?? 0));
    if (right < 0 || left > width || right <= drawn) continue;
    context.fillRect(left, y + 18, Math.max(1, right - left), 2);
    drawn = left + Math.max(1, right - left);
  }
}

export function paintAxis(canvas: HTMLCanvasElement, width: number, offset: number, zoom: Zoom, ink: Ink): void {
  const context = prepare(canvas, width, 20);
  if (!context) return;
  const inner = Math.max(10, width - offset - LEFT - RIGHT);
  context.font = FONT;
  context.fillStyle = ink.muted;
  context.textBaseline = "middle";
  for (const tick of ticks(zoom.from, zoom.to, 6)) {
    const x = offset + LEFT + ((tick - zoom.from) / (zoom.to - zoom.from)) * inner;
    context.fillText(ns(tick), x + 3, 10);
    context.fillRect(Math.round(x), 4, 1, 16);
  }
}

/** The whole trace, depth by time; spans that share a pixel are drawn once. */
export function paintMinimap(canvas: HTMLCanvasElement, model: Model, width: number, height: number, ink: Ink, matches: Int32Array): void {
  const context = prepare(canvas, width, height);
  if (!context) return;
  const rowHeight = Math.max(1, Math.min(5, (height - 4) / (model.depthMax + 1)));
  const levels = Math.max(1, Math.floor((height - 4) / rowHeight));
  const drawn = new Float64Array(levels).fill(-1);
  for (let row = 0; row < model.size; row += 1) {
    const level = model.depth[row] ?? 0;
    if (level >= levels) continue;
    const left = ((model.start[row] ?? 0) / model.durationNs) * width;
    const right = Math.max(left + 0.6, (((model.start[row] ?? 0) + (model.length[row] ?? 0)) / model.durationNs) * width);
    if (right <= (drawn[level] ?? -1)) continue;
    context.fillStyle = ink.colours[model.body.columns.service[row] ?? 0] ?? ink.muted;
    context.fillRect(left, 2 + level * rowHeight, right - left, rowHeight);
    drawn[level] = right;
  }
  context.fillStyle = ink.bad;
  for (const row of model.errors) context.fillRect(((model.start[row] ?? 0) / model.durationNs) * width, height - 4, 2, 4);
  context.fillStyle = ink.path;
  for (const row of matches) context.fillRect(((model.start[row] ?? 0) / model.durationNs) * width, 0, 1, 4);
}
