// A trace as typed arrays: what the waterfall computes from, whatever the size. No recursion anywhere: depth may equal the span count.
import type { TraceBody } from "../core/types";

export const ERROR = 2;
export const FLAG_MISSING_PARENT = 1;
export const FLAG_SKEWED = 2;
export const FLAG_EVENTS = 4;
export const FLAG_LINKS = 8;
/** A span this long, as a fraction of the trace, is worth a row of its own under smart fold. */
export const HEAVY_FRACTION = 0.01;

export interface Model {
  body: TraceBody;
  size: number;
  durationNs: number;
  parent: Int32Array;
  depth: Int32Array;
  start: Float64Array;
  length: Float64Array;
  /** One past the last row of the subtree of each row. */
  end: Int32Array;
  /** 1 where the span is long or failed; and where any span below it is. */
  heavy: Uint8Array;
  heavyBelow: Uint8Array;
  errors: Int32Array;
  /** Critical-path segments of row i are pathFrom/pathTo[pathStart[i] .. pathStart[i + 1]]. */
  pathStart: Int32Array;
  pathFrom: Float64Array;
  pathTo: Float64Array;
  depthMax: number;
}

export function buildModel(body: TraceBody): Model {
  const { columns } = body;
  const size = columns.span_id.length;
  const durationNs = Math.max(1, Number(body.duration_ns) || 1);
  const parent = Int32Array.from(columns.parent, (above, row) => (above >= 0 && above < row ? above : -1));
  const depth = new Int32Array(size);
  const end = new Int32Array(size);
  const below = new Int32Array(size).fill(1);
  const heavy = new Uint8Array(size);
  const heavyBelow = new Uint8Array(size);
  const failed: number[] = [];
  let depthMax = 0;
  for (let row = 0; row < size; row += 1) {
    const above = parent[row] ?? -1;
    const level = above < 0 ? 0 : (depth[above] ?? 0) + 1;
    depth[row] = level;
    if (level > depthMax) depthMax = level;
    const error = columns.status[row] === ERROR;
    if (error) failed.push(row);
    if (error || (columns.duration_ns[row] ?? 0) >= durationNs * HEAVY_FRACTION) heavy[row] = 1;
  }
  // Children come after their parent, so that one walk from the back adds up every subtree.
  for (let row = size - 1; row >= 0; row -= 1) {
    end[row] = row + (below[row] ?? 1);
    const above = parent[row] ?? -1;
    if (above < 0) continue;
    below[above] = (below[above] ?? 1) + (below[row] ?? 1);
    if (heavy[row] || heavyBelow[row]) heavyBelow[above] = 1;
  }
  return {
    body, size, durationNs, parent, depth, end, heavy, heavyBelow, depthMax, errors: Int32Array.from(failed),
    start: Float64Array.from(columns.start_offset_ns), length: Float64Array.from(columns.duration_ns), ...pathOfRows(body, size),
  };
}

/** Sorts the path's segments by row, by counting. */
function pathOfRows(body: TraceBody, size: number): Pick<Model, "pathStart" | "pathFrom" | "pathTo"> {
  const segments = body.critical_path.filter((one) => one.row >= 0 && one.row < size);
  const pathStart = new Int32Array(size + 1);
  for (const one of segments) pathStart[one.row + 1] = (pathStart[one.row + 1] ?? 0) + 1;
  for (let row = 0; row < size; row += 1) pathStart[row + 1] = (pathStart[row + 1] ?? 0) + (pathStart[row] ?? 0);
  const next = pathStart.slice();
  const pathFrom = new Float64Array(segments.length);
  const pathTo = new Float64Array(segments.length);
  for (const one of segments) {
    const at = next[one.row] ?? 0;
    next[one.row] = at + 1;
    pathFrom[at] = one.start_offset_ns;
    pathTo[at] = one.end_offset_ns;
  }
  return { pathStart, pathFrom, pathTo };
}

export function serviceOf(model: Model, row: number): string {
  return model.body.services[model.body.columns.service[row] ?? -1] ?? "?";
}

export function operationOf(model: Model, row: number): string {
  return model.body.operations[model.body.columns.operation[row] ?? -1] ?? "?";
}

/** Whether the critical path runs through the subtree of `row`. */
export function onPath(model: Model, row: number): boolean {
  return (model.pathStart[model.end[row] ?? row + 1] ?? 0) > (model.pathStart[row] ?? 0);
}

export interface Share { service: string; operation: string; ns: number; calls: number }

/** Who the critical path's time belongs to, largest first. */
export function pathShares(model: Model, most: number): Share[] {
  const shares = new Map<string, Share>();
  for (let row = 0; row < model.size; row += 1) {
    const from = model.pathStart[row] ?? 0;
    const to = model.pathStart[row + 1] ?? 0;
    if (to === from) continue;
    let ns = 0;
    for (let at = from; at < to; at += 1) ns += (model.pathTo[at] ?? 0) - (model.pathFrom[at] ?? 0);
    const key = `${model.body.columns.service[row]}|${model.body.columns.operation[row]}`;
    const share = shares.get(key) ?? { service: serviceOf(model, row), operation: operationOf(model, row), ns: 0, calls: 0 };
    share.ns += ns;
    share.calls += 1;
    shares.set(key, share);
  }
  return [...shares.values()].sort((a, b) => b.ns - a.ns).slice(0, most);
}

/** Rows whose service or operation contains `text`, or whose span id is it. */
export function findRows(model: Model, text: string): Int32Array {
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return new Int32Array(0);
  const hit = (name: string): boolean => name.toLowerCase().includes(wanted);
  const services = model.body.services.map(hit);
  const operations = model.body.operations.map(hit);
  const found: number[] = [];
  const { service, operation, span_id: ids } = model.body.columns;
  for (let row = 0; row < model.size; row += 1) {
    if (services[service[row] ?? -1] || operations[operation[row] ?? -1] || ids[row] === wanted) found.push(row);
  }
  return Int32Array.from(found);
}
