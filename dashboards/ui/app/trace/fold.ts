// Which rows are shown. Smart fold opens a subtree only where something long or failed is inside, and draws runs of equal
// short siblings as one row ("SELECT cart ×96").
import { onPath, type Model } from "./model";

/** Siblings alike in a row before they become one. */
export const RUN_LEAST = 4;
/** Traces up to this size open whole. */
export const OPEN_MOST = 100;

export interface Fold {
  open: Uint8Array;
  /** Rows that stay out of runs: a run was opened, or a search went there. */
  single: Uint8Array;
  runs: boolean;
  onlyPath: boolean;
}

export interface Shown {
  row: Int32Array;
  /** Spans a row stands for as a run of siblings; 1 is a plain span. */
  run: Int32Array;
  /** One past the last row hidden in it. */
  until: Int32Array;
}

export function smartFold(model: Model): Fold {
  // A small trace fits the screen: hiding parts of it would only cost clicks.
  const open = model.size <= OPEN_MOST ? new Uint8Array(model.size).fill(1) : model.heavyBelow.slice();
  return { open, single: new Uint8Array(model.size), runs: true, onlyPath: false };
}

export function openAll(model: Model): Fold {
  return { open: new Uint8Array(model.size).fill(1), single: new Uint8Array(model.size), runs: false, onlyPath: false };
}

export function closeAll(model: Model): Fold {
  return { open: new Uint8Array(model.size), single: new Uint8Array(model.size), runs: true, onlyPath: false };
}

/** The rows to draw, top to bottom; visits only what is shown, plus the siblings of each run. */
export function shownRows(model: Model, fold: Fold): Shown {
  const row: number[] = [];
  const run: number[] = [];
  const until: number[] = [];
  let at = 0;
  while (at < model.size) {
    const end = model.end[at] ?? at + 1;
    if (fold.onlyPath && !onPath(model, at)) { at = end; continue; }
    const alike = fold.runs && !fold.onlyPath ? runFrom(model, fold, at) : { count: 1, end };
    row.push(at);
    if (alike.count >= RUN_LEAST) {
      run.push(alike.count);
      until.push(alike.end);
      at = alike.end;
    } else {
      const opened = fold.open[at] === 1 && end > at + 1;
      run.push(1);
      until.push(opened ? at + 1 : end);
      at = opened ? at + 1 : end;
    }
  }
  return { row: Int32Array.from(row), run: Int32Array.from(run), until: Int32Array.from(until) };
}

/** How many siblings from `first` on are alike, light and not singled out. */
function runFrom(model: Model, fold: Fold, first: number): { count: number; end: number } {
  const { service, operation } = model.body.columns;
  let at = first;
  let count = 0;
  while (at < model.size && model.parent[at] === model.parent[first] && model.parent[at] !== -1
    && service[at] === service[first] && operation[at] === operation[first]
    && !model.heavy[at] && !model.heavyBelow[at] && !fold.single[at]) {
    count += 1;
    at = model.end[at] ?? at + 1;
  }
  return { count, end: at };
}

/** Opens or closes one row; a run opens into its spans. Returns a new fold. */
export function toggle(model: Model, fold: Fold, row: number, run: number, until: number): Fold {
  const next = { ...fold, open: fold.open.slice(), single: fold.single.slice() };
  if (run > 1) {
    for (let at = row; at < until; at = model.end[at] ?? at + 1) next.single[at] = 1;
  } else next.open[row] = next.open[row] ? 0 : 1;
  return next;
}

/** Opens everything above `row`, so that it is shown. */
export function reveal(model: Model, fold: Fold, row: number): Fold {
  const next = { ...fold, open: fold.open.slice(), single: fold.single.slice() };
  next.single[row] = 1;
  for (let above = model.parent[row] ?? -1; above >= 0; above = model.parent[above] ?? -1) {
    next.open[above] = 1;
    next.single[above] = 1;
  }
  if (next.onlyPath && !onPath(model, row)) next.onlyPath = false;
  return next;
}

/** Where `row` is drawn: its own place, or that of the row which hides it. */
export function placeOf(shown: Shown, row: number): number {
  let low = 0;
  let high = shown.row.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((shown.row[middle] ?? 0) <= row) low = middle;
    else high = middle - 1;
  }
  return shown.row.length === 0 ? -1 : low;
}

/** The next or previous sibling, or the row itself when there is none. */
export function sibling(model: Model, row: number, step: 1 | -1): number {
  const above = model.parent[row] ?? -1;
  if (step === 1) {
    const next = model.end[row] ?? row + 1;
    return next < model.size && model.parent[next] === above ? next : row;
  }
  // The row before is the last of the previous sibling's subtree: climb to the same level.
  let at = row - 1;
  while (at > above && at >= 0 && model.parent[at] !== above) at = model.parent[at] ?? -1;
  return at > above && at >= 0 ? at : row;
}
