// The interactive part of the trace page: fold, zoom, selection, find and the keys that drive them.
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { count, ns, percent } from "../core/format";
import { useKeys } from "../core/keys";
import { query, setQuery } from "../core/router";
import { dark } from "../core/theme";
import { closeAll, openAll, placeOf, reveal, shownRows, sibling, smartFold, toggle, type Fold } from "./fold";
import { fit, panBy, parseZoom, zoomBy, zoomText, type Zoom } from "./geometry";
import { Minimap } from "./minimap";
import { findRows, pathShares, type Model } from "./model";
import { inkOf, type Ink } from "./paint";
import { Side } from "./side";
import { Waterfall } from "./waterfall";

/** Zooming writes to the URL this long after the last step: browsers limit how often the address may change. */
const SETTLE_MS = 250;

export function WaterfallView({ model, tabs }: { model: Model; tabs: ComponentChildren }) {
  const [fold, setFold] = useState<Fold>(() => (query.value["fold"] === "all" ? openAll(model) : smartFold(model)));
  const [zoom, setZoom] = useState<Zoom>(() => parseZoom(query.value["zoom"], model.durationNs) ?? { from: 0, to: model.durationNs });
  const [ink, setInk] = useState<Ink | null>(null);
  const [cursor, setCursor] = useState(-1);
  const box = useRef<HTMLDivElement>(null);
  const find = query.value["find"] ?? "";
  const chosen = query.value["span"];
  const shown = useMemo(() => shownRows(model, fold), [model, fold]);
  const matches = useMemo(() => findRows(model, find), [model, find]);
  const matchSet = useMemo(() => new Set(matches), [matches]);
  const isDark = dark.value;
  useEffect(() => { if (box.current) setInk(inkOf(box.current, model, isDark)); }, [model, isDark]);
  const selectedRow = useMemo(() => (chosen ? model.body.columns.span_id.indexOf(chosen) : -1), [model, chosen]);
  // A trace that grew has new rows: its folds start over.
  const known = useRef(model);
  useEffect(() => { if (known.current !== model) { known.current = model; setFold(smartFold(model)); } }, [model]);
  useEffect(() => {
    if (selectedRow < 0) return;
    setCursor(selectedRow);
    setFold((old) => (old.open.length === model.size && !isShown(selectedRow) ? reveal(model, old, selectedRow) : old));
  }, [selectedRow, model]);
  useEffect(() => {
    const timer = setTimeout(() => { if ((query.value["zoom"] ?? null) !== zoomText(zoom, model.durationNs)) setQuery({ zoom: zoomText(zoom, model.durationNs) }, "replace"); }, SETTLE_MS);
    return () => clearTimeout(timer);
  }, [zoom]);
  const place = cursor < 0 ? -1 : placeOf(shown, cursor);
  function isShown(row: number): boolean { return shown.row[placeOf(shown, row)] === row; }

  /** Moves the cursor; an open side panel follows it. */
  const moveTo = (row: number, open = chosen !== undefined): void => {
    setCursor(row);
    if (!isShown(row)) setFold((old) => reveal(model, old, row));
    if (open) setQuery({ span: model.body.columns.span_id[row] ?? null }, "replace");
  };
  const step = (by: number): void => {
    const next = shown.row[Math.max(0, Math.min(shown.row.length - 1, place + by))];
    if (next !== undefined) moveTo(next);
  };
  const cycle = (rows: Int32Array, by: 1 | -1): void => {
    if (rows.length === 0) return;
    const next = by === 1 ? rows.find((row) => row > cursor) ?? rows[0] : rows.findLast((row) => row < cursor) ?? rows[rows.length - 1];
    if (next !== undefined) moveTo(next);
  };
  const flip = (at: number, want?: boolean): void => {
    const row = shown.row[at];
    if (row === undefined) return;
    const run = shown.run[at] ?? 1;
    const open = fold.open[row] === 1 && run === 1;
    if (want !== undefined && want === open) { if (!want && (model.parent[row] ?? -1) >= 0) moveTo(model.parent[row] ?? 0); return; }
    setFold(toggle(model, fold, row, run, shown.until[at] ?? row + 1));
  };
  const around = (): number => {
    if (cursor < 0) return 0.5;
    const middle = (model.start[cursor] ?? 0) + (model.length[cursor] ?? 0) / 2;
    return Math.max(0, Math.min(1, (middle - zoom.from) / (zoom.to - zoom.from)));
  };
  const pathOnly = (): void => setFold({ ...fold, onlyPath: !fold.onlyPath });
  const setMode = (next: Fold, name: string | null): void => { setFold(next); setQuery({ fold: name }, "replace"); };

  useKeys("Trace", [
    { keys: "j / ArrowDown", does: "next row", run: () => step(1) },
    { keys: "k / ArrowUp", does: "previous row", run: () => step(-1) },
    { keys: "PageDown", does: "a page down", run: () => step(20) },
    { keys: "PageUp", does: "a page up", run: () => step(-20) },
    { keys: "Home", does: "first row", run: () => step(-model.size) },
    { keys: "End", does: "last row", run: () => step(model.size) },
    { keys: "Enter", does: "show the span", run: () => { if (cursor >= 0) setQuery({ span: model.body.columns.span_id[cursor] ?? null }); else step(1); } },
    { keys: "Escape", does: "close the span", run: () => setQuery({ span: null }, "replace") },
    { keys: "h / ArrowLeft", does: "fold, or go to the parent", run: () => flip(place, false) },
    { keys: "l / ArrowRight", does: "unfold", run: () => flip(place, true) },
    { keys: "H", does: "fold everything", run: () => setFold(closeAll(model)) },
    { keys: "L", does: "unfold everything", run: () => setMode(openAll(model), "all") },
    { keys: "S", does: "smart fold", run: () => setMode(smartFold(model), null) },
    { keys: ".", does: "next sibling", run: () => { if (cursor >= 0) moveTo(sibling(model, cursor, 1)); } },
    { keys: ",", does: "previous sibling", run: () => { if (cursor >= 0) moveTo(sibling(model, cursor, -1)); } },
    { keys: "w", does: "zoom in", run: () => setZoom(zoomBy(zoom, 0.6, around(), model.durationNs)) },
    { keys: "s", does: "zoom out", run: () => setZoom(zoomBy(zoom, 1 / 0.6, around(), model.durationNs)) },
    { keys: "a", does: "pan left", run: () => setZoom(panBy(zoom, -0.2, model.durationNs)) },
    { keys: "d", does: "pan right", run: () => setZoom(panBy(zoom, 0.2, model.durationNs)) },
    { keys: "f", does: "fit the span", run: () => { if (cursor >= 0) setZoom(fit(model.start[cursor] ?? 0, model.length[cursor] ?? 0, model.durationNs)); } },
    { keys: "0", does: "whole trace", run: () => setZoom({ from: 0, to: model.durationNs }) },
    { keys: "c", does: "only the critical path", run: pathOnly },
    { keys: "e", does: "next error", run: () => cycle(model.errors, 1) },
    { keys: "n", does: "next match", run: () => cycle(matches, 1) },
    { keys: "N", does: "previous match", run: () => cycle(matches, -1) },
  ]);

  return (
    <div ref={box} class="traceview">
      <div class="tracebar">
        {tabs}
        <input type="search" class="find" placeholder="find in trace…  n N" aria-label="find in trace" value={find}
          onInput={(event) => setQuery({ find: event.currentTarget.value || null }, "replace")}
          onKeyDown={(event) => { if (event.key === "Enter") cycle(matches, event.shiftKey ? -1 : 1); }} />
        {find ? <span class="muted" role="status">{count(matches.length)} {matches.length === 1 ? "match" : "matches"}</span> : null}
        <button type="button" aria-pressed={fold.onlyPath} class={fold.onlyPath ? "on" : undefined} onClick={pathOnly} title="c">Only critical path</button>
        <button type="button" onClick={() => setMode(smartFold(model), null)} title="open only what is long or failed  S">Smart fold</button>
        <button type="button" onClick={() => setMode(openAll(model), "all")} title="L">Unfold all</button>
        {model.errors.length > 0 ? <button type="button" onClick={() => cycle(model.errors, 1)} title="e">Next error</button> : null}
        {zoomText(zoom, model.durationNs) ? <button type="button" onClick={() => setZoom({ from: 0, to: model.durationNs })} title="0">Whole trace</button> : null}
        <span class="muted">{count(shown.row.length)} rows shown of {count(model.size)} spans</span>
      </div>
      <Path model={model} />
      <Minimap model={model} ink={ink} zoom={zoom} matches={matches} onZoom={setZoom} />
      <div class="tracemain">
        <Waterfall model={model} shown={shown} fold={fold} zoom={zoom} ink={ink} selectedPlace={place} matches={matchSet}
          onZoom={setZoom} onToggle={(at) => flip(at)} onSelect={(at) => { const row = shown.row[at]; if (row !== undefined) moveTo(row, true); }} />
        {selectedRow >= 0 ? <Side model={model} row={selectedRow} close={() => setQuery({ span: null }, "replace")} /> : null}
      </div>
    </div>
  );
}

function Path({ model }: { model: Model }) {
  const shares = useMemo(() => pathShares(model, 4), [model]);
  if (shares.length === 0) return null;
  return (
    <div class="path">
      <span>Critical path:</span>
      {shares.map((one) => <span key={`${one.service}${one.operation}`} title={`${one.ns} ns in ${one.calls} spans`}><b>{percent(one.ns / model.durationNs)}</b> {one.service} {one.operation} <span class="muted">{ns(one.ns)}</span></span>)}
    </div>
  );
}
