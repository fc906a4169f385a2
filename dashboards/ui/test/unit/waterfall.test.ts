// The waterfall's arithmetic: subtrees, folds, runs, siblings, the window of rows, zoom. Expected values come from a naive tree walk.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TraceBody } from "../../app/core/types";
import { closeAll, openAll, placeOf, reveal, RUN_LEAST, shownRows, sibling, smartFold, toggle } from "../../app/trace/fold";
import { clampZoom, fit, panBy, parseZoom, ROW_PX, windowOf, zoomBy, zoomText } from "../../app/trace/geometry";
import { buildModel, findRows, onPath, pathShares } from "../../app/trace/model";
import { linesOf } from "../../app/trace/lines";

interface Given { parent: number; ns?: number; operation?: number; status?: number }

/** A trace of one service from parents in depth-first order; every span is light unless it says otherwise. */
function body(spans: Given[], path: TraceBody["critical_path"] = []): TraceBody {
  const of = <T>(pick: (span: Given, row: number) => T): T[] => spans.map(pick);
  return {
    trace_id: "0".repeat(32), start_unix_nano: "0", duration_ns: "1000000", spans: spans.length, services: ["shop"], operations: ["a", "b", "c", "d"], anomalies: [],
    columns: {
      span_id: of((_, row) => row.toString(16).padStart(16, "0")), parent: of((span) => span.parent), depth: of(() => 0), service: of(() => 0), operation: of((span) => span.operation ?? 0),
      kind: of(() => "SERVER"), status: of((span) => span.status ?? 0), start_offset_ns: of((_, row) => row), duration_ns: of((span) => span.ns ?? 1), self_ns: of(() => 1), flags: of(() => 0),
    },
    critical_path: path, stats: { files_total: 1, files_scanned: 1, index_bytes: 1, data_bytes: 1, elapsed_ms: 1 },
  };
}

/** root(a) > [b > [c, c], d x5] with the failed span in the first branch. */
const SMALL: Given[] = [{ parent: -1, ns: 1_000_000 }, { parent: 0, operation: 1 }, { parent: 1, operation: 2, status: 2 }, { parent: 1, operation: 2 }, ...Array.from({ length: 5 }, () => ({ parent: 0, operation: 3 }))];

function randomTree(size: number, seed: number): Given[] {
  let state = seed;
  const next = (): number => { state = (Math.imul(state, 1103515245) + 12345) >>> 0; return state / 4294967296; };
  const spans: Given[] = [{ parent: -1 }];
  const open = [0];
  while (spans.length < size) {
    while (open.length > 1 && next() < 0.45) open.pop();
    spans.push({ parent: open[open.length - 1] ?? 0, operation: Math.floor(next() * 4), ns: next() < 0.02 ? 20_000 : 1, status: next() < 0.01 ? 2 : 0 });
    open.push(spans.length - 1);
  }
  return spans;
}

test("subtrees end where a naive walk says", () => {
  const spans = randomTree(500, 7);
  const model = buildModel(body(spans));
  const inside = (row: number, above: number): boolean => {
    for (let at = row; at >= 0; at = spans[at]?.parent ?? -1) if (at === above) return true;
    return false;
  };
  for (let row = 0; row < spans.length; row += 1) {
    let end = row;
    while (end < spans.length && inside(end, row)) end += 1;
    assert.equal(model.end[row], end, `row ${row}`);
  }
});

test("unfolded, every span has its row; folded, only the roots", () => {
  const model = buildModel(body(randomTree(300, 3)));
  assert.deepEqual([...shownRows(model, openAll(model)).row], Array.from({ length: 300 }, (_, row) => row));
  const folded = shownRows(model, closeAll(model));
  assert.deepEqual([...folded.row], [0]);
  assert.equal(folded.until[0], 300);
});

test("every span is in exactly one shown row, whatever the fold", () => {
  const model = buildModel(body(randomTree(2000, 11)));
  for (const fold of [smartFold(model), openAll(model), { ...openAll(model), runs: true }, closeAll(model)]) {
    const shown = shownRows(model, fold);
    let at = 0;
    for (let place = 0; place < shown.row.length; place += 1) {
      assert.equal(shown.row[place], at);
      at = shown.until[place] ?? -1;
    }
    assert.equal(at, 2000);
  }
});

test("smart fold opens what holds an error or a long span, in traces too big for the screen", () => {
  const model = buildModel(body(randomTree(2000, 11)));
  const fold = smartFold(model);
  for (let row = 0; row < model.size; row += 1) {
    let heavy = false;
    for (let below = row + 1; below < (model.end[row] ?? 0); below += 1) heavy ||= model.body.columns.status[below] === 2 || (model.length[below] ?? 0) >= 10_000;
    assert.equal(fold.open[row], heavy ? 1 : 0, `row ${row}`);
  }
  assert.ok(shownRows(model, fold).row.length < 2000);
});

test("equal light siblings become one row, which opens into them", () => {
  const model = buildModel(body(SMALL));
  const fold = smartFold(model);
  const shown = shownRows(model, fold);
  assert.deepEqual([...shown.row], [0, 1, 2, 3, 4]);
  assert.deepEqual([...shown.run], [1, 1, 1, 1, 5]);
  assert.equal(shown.until[4], 9);
  assert.ok(RUN_LEAST <= 5);
  const opened = shownRows(model, toggle(model, fold, 4, 5, 9));
  assert.deepEqual([...opened.row], [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  assert.deepEqual([...shownRows(model, toggle(model, fold, 1, 1, 2)).row], [0, 1, 4]);
});

test("a hidden row is found where it hides, and revealed in place", () => {
  const model = buildModel(body(randomTree(1000, 5)));
  const folded = closeAll(model);
  assert.equal(placeOf(shownRows(model, folded), 777), 0);
  const shown = shownRows(model, reveal(model, folded, 777));
  assert.equal(shown.row[placeOf(shown, 777)], 777);
  assert.equal(placeOf({ row: new Int32Array(0), run: new Int32Array(0), until: new Int32Array(0) }, 1), -1);
});

test("siblings lead to siblings, both ways", () => {
  const spans = randomTree(400, 9);
  const model = buildModel(body(spans));
  for (let row = 0; row < 400; row += 1) {
    const brothers = spans.map((span, at) => (span.parent === spans[row]?.parent ? at : -1)).filter((at) => at >= 0);
    const at = brothers.indexOf(row);
    assert.equal(sibling(model, row, 1), brothers[at + 1] ?? row, `next of ${row}`);
    assert.equal(sibling(model, row, -1), brothers[at - 1] ?? row, `previous of ${row}`);
  }
});

test("the critical path is found by row, hidden in subtrees, and shared out", () => {
  const path = [{ row: 2, start_offset_ns: 5, end_offset_ns: 105 }, { row: 0, start_offset_ns: 0, end_offset_ns: 5 }, { row: 2, start_offset_ns: 200, end_offset_ns: 300 }, { row: 99, start_offset_ns: 0, end_offset_ns: 1 }];
  const model = buildModel(body(SMALL, path));
  assert.deepEqual([0, 1, 2, 3, 4].map((row) => onPath(model, row)), [true, true, true, false, false]);
  assert.deepEqual(pathShares(model, 5).map((one) => [one.operation, one.ns, one.calls]), [["c", 200, 1], ["a", 5, 1]]);
  assert.deepEqual([...shownRows(model, { ...openAll(model), onlyPath: true }).row], [0, 1, 2]);
  assert.deepEqual(linesOf(model).map((line) => [line.operation, line.calls, line.errors, line.path]), [["a", 1, 0, 5], ["b", 1, 0, 0], ["c", 2, 1, 200], ["d", 5, 0, 0]]);
});

test("search looks at names and at the span id", () => {
  const model = buildModel(body(SMALL));
  assert.deepEqual([...findRows(model, "D")], [4, 5, 6, 7, 8]);
  assert.deepEqual([...findRows(model, "0000000000000003")], [3]);
  assert.equal(findRows(model, "shop").length, 9);
  assert.equal(findRows(model, "  ").length, 0);
});

test("a chain of 50,000 spans and a flat trace of 50,000 need no recursion", () => {
  const chain = Array.from({ length: 50_000 }, (_, row) => ({ parent: row - 1 }));
  const deep = buildModel(body(chain));
  assert.equal(deep.depthMax, 49_999);
  assert.equal(deep.end[0], 50_000);
  assert.equal(shownRows(deep, openAll(deep)).row.length, 50_000);
  assert.equal(shownRows(deep, reveal(deep, closeAll(deep), 49_999)).row.length, 50_000);
  const flat = buildModel(body(Array.from({ length: 50_000 }, (_, row) => ({ parent: row === 0 ? -1 : 0 }))));
  assert.deepEqual([...shownRows(flat, { ...closeAll(flat), open: new Uint8Array(50_000).fill(1) }).run], [1, 49_999]);
});

test("broken parents make roots instead of loops", () => {
  const model = buildModel(body([{ parent: 3 }, { parent: 1 }, { parent: -7 }, { parent: 2 }]));
  assert.deepEqual([...model.parent], [-1, -1, -1, 2]);
  assert.deepEqual([...shownRows(model, openAll(model)).row], [0, 1, 2, 3]);
});

test("the window of rows covers the view and stays inside", () => {
  assert.deepEqual(windowOf(0, 10 * ROW_PX, 5), { first: 0, last: 5 });
  const middle = windowOf(1000 * ROW_PX, 10 * ROW_PX, 50_000);
  assert.ok(middle.first <= 1000 && middle.last >= 1010 && middle.last - middle.first < 40);
  assert.deepEqual(windowOf(9e9, 100, 50), { first: 50, last: 50 });
});

test("zoom keeps its point, pans inside the trace, and returns through the URL", () => {
  const whole = { from: 0, to: 1_000_000 };
  const closer = zoomBy(whole, 0.5, 0.25, 1_000_000);
  assert.deepEqual(closer, { from: 125_000, to: 625_000 });
  assert.deepEqual(zoomBy(closer, 100, 0.5, 1_000_000), whole);
  assert.deepEqual(panBy(closer, -9, 1_000_000), { from: 0, to: 500_000 });
  assert.deepEqual(panBy(closer, 9, 1_000_000), { from: 500_000, to: 1_000_000 });
  assert.ok(zoomBy(whole, 1e-12, 0.5, 1_000_000).to - zoomBy(whole, 1e-12, 0.5, 1_000_000).from >= 100);
  assert.deepEqual(parseZoom(zoomText(closer, 1_000_000) ?? "", 1_000_000), closer);
  assert.equal(zoomText(whole, 1_000_000), null);
  for (const text of [undefined, "", "5", "9-3", "2000000-3000000", "a-b"]) assert.equal(parseZoom(text, 1_000_000), null);
  assert.deepEqual(clampZoom({ from: -5, to: 50 }, 40), { from: 0, to: 40 });
  assert.ok(fit(500, 100, 1_000_000).from < 500 && fit(500, 100, 1_000_000).to > 600);
});
