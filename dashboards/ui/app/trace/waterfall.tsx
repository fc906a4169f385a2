// The waterfall: labels as real, selectable rows (only those in view), bars on one canvas that stays in view.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ns } from "../core/format";
import { serviceColour } from "../core/colour";
import type { Fold, Shown } from "./fold";
import { ROW_PX, windowOf, zoomBy, type Zoom } from "./geometry";
import { ERROR, FLAG_MISSING_PARENT, operationOf, serviceOf, type Model } from "./model";
import { paintAxis, paintBars, type Ink } from "./paint";

interface Props {
  model: Model; shown: Shown; fold: Fold; zoom: Zoom; ink: Ink | null; selectedPlace: number; matches: Set<number>;
  onZoom: (zoom: Zoom) => void; onSelect: (place: number) => void; onToggle: (place: number) => void;
}

const LABELS_LEAST = 160;
/** Deeper levels are indented no further, so that a name stays readable in a chain of thousands. */
const INDENT_MOST = 24;
const INDENT_PX = 9;

export function Waterfall(props: Props) {
  const { model, shown, zoom, ink, selectedPlace } = props;
  const box = useRef<HTMLDivElement>(null);
  const bars = useRef<HTMLCanvasElement>(null);
  const axis = useRef<HTMLCanvasElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  const [labels, setLabels] = useState(352);
  const [rows, setRows] = useState({ first: 0, last: 60 });
  const frame = useRef(0);
  const width = Math.max(LABELS_LEAST, Math.min(labels, size.width - 200));
  const paint = (): void => {
    frame.current = 0;
    if (!box.current || !bars.current || !ink || size.width === 0) return;
    const scrollTop = box.current.scrollTop;
    const next = windowOf(scrollTop, size.height, shown.row.length);
    setRows((old) => (old.first === next.first && old.last === next.last ? old : next));
    paintBars(bars.current, model, shown, { width: size.width - width, height: size.height, scrollTop, zoom, selectedPlace }, ink);
  };
  const latest = useRef(paint);
  latest.current = paint;
  const soon = (): void => { frame.current ||= requestAnimationFrame(() => latest.current()); };
  useEffect(() => {
    if (!box.current) return undefined;
    const element = box.current;
    const watch = new ResizeObserver(() => setSize({ width: element.clientWidth, height: element.clientHeight }));
    watch.observe(element);
    return () => { watch.disconnect(); cancelAnimationFrame(frame.current); };
  }, []);
  useLayoutEffect(paint, [model, shown, zoom, ink, selectedPlace, size, width]);
  useEffect(() => { if (axis.current && ink && size.width > 0) paintAxis(axis.current, size.width, width, zoom, ink); }, [zoom, ink, size, width]);
  useEffect(() => { if (box.current && selectedPlace >= 0 && size.height > 0) keepInView(box.current, selectedPlace, size.height); }, [selectedPlace, size.height, shown]);
  const onWheel = (event: WheelEvent): void => {
    if (!event.ctrlKey || !box.current) return;
    event.preventDefault();
    const bounds = box.current.getBoundingClientRect();
    const around = Math.max(0, Math.min(1, (event.clientX - bounds.left - width) / (size.width - width)));
    props.onZoom(zoomBy(zoom, event.deltaY > 0 ? 1.25 : 0.8, around, model.durationNs));
  };
  const onClick = (event: MouseEvent): void => {
    if (!box.current) return;
    const y = event.clientY - box.current.getBoundingClientRect().top + box.current.scrollTop;
    const place = Math.floor(y / ROW_PX);
    if (place >= 0 && place < shown.row.length) props.onSelect(place);
  };
  const places = Array.from({ length: Math.max(0, Math.min(rows.last, shown.row.length) - rows.first) }, (_, at) => rows.first + at);
  return (
    <div style={{ flex: 1, minWidth: 0, display: "flex", flexDirection: "column", position: "relative" }}>
      <canvas class="axis" ref={axis} aria-hidden="true" />
      <div class="waterfall" ref={box} role="treegrid" tabIndex={0} aria-label="Spans" aria-rowcount={shown.row.length} aria-colcount={2}
        aria-activedescendant={selectedPlace >= rows.first && selectedPlace < rows.last ? `w${selectedPlace}` : undefined}
        onScroll={soon} onWheel={onWheel} onClick={onClick}>
        <div class="space" style={{ height: `${shown.row.length * ROW_PX}px` }}>
          <canvas class="bars" ref={bars} style={{ marginLeft: `${width}px` }} aria-hidden="true" />
          <div class="labels" style={{ width: `${width}px` }} role="presentation">
            {places.map((place) => <Row key={place} place={place} {...props} />)}
          </div>
        </div>
      </div>
      <Divider left={width} onMove={setLabels} />
    </div>
  );
}

function Row({ place, model, shown, fold, selectedPlace, matches, onToggle }: Props & { place: number }) {
  const row = shown.row[place] ?? 0;
  const run = shown.run[place] ?? 1;
  const end = model.end[row] ?? row + 1;
  const hidden = end - row - 1;
  const parent = run > 1 || hidden > 0;
  const open = run === 1 && fold.open[row] === 1;
  const service = serviceOf(model, row);
  const operation = operationOf(model, row);
  const error = model.body.columns.status[row] === ERROR;
  const missing = ((model.body.columns.flags[row] ?? 0) & FLAG_MISSING_PARENT) !== 0;
  const length = ns(model.length[row]);
  const level = model.depth[row] ?? 0;
  const more = run > 1 ? `×${run}` : !open && hidden > 0 ? `+${hidden}` : "";
  return (
    <div id={`w${place}`} role="row" aria-rowindex={place + 1} aria-level={level + 1} aria-selected={place === selectedPlace} aria-expanded={parent ? open : undefined}
      aria-label={`${service} ${operation} ${length}${run > 1 ? `, ${run} alike` : ""}${error ? ", error" : ""}`}
      class={`wrow${place % 2 === 1 ? " odd" : ""}${place === selectedPlace ? " sel" : ""}${matches.has(row) ? " hit" : ""}`}
      style={{ top: `${place * ROW_PX}px`, paddingLeft: `${Math.min(level, INDENT_MOST) * INDENT_PX}px` }}
      title={`${service} ${operation}\n${length}, depth ${level}${hidden > 0 ? `, ${hidden} below` : ""}${missing ? "\nits parent was not received" : ""}`}>
      <span class="fold" aria-hidden="true" onClick={(event) => { if (parent) { event.stopPropagation(); onToggle(place); } }}>{parent ? (open ? "▾" : "▸") : ""}</span>
      <span class="tone" style={{ background: serviceColour(service) }} />
      <span role="gridcell" class="svc">{service}</span>
      <span role="gridcell" class="op">{operation}</span>
      {more ? <span class="more">{more}</span> : null}
      {error ? <span class="err">✕</span> : null}
      {missing ? <span class="more" aria-hidden="true">⌁</span> : null}
    </div>
  );
}

function keepInView(element: HTMLElement, place: number, height: number): void {
  const top = place * ROW_PX;
  if (top < element.scrollTop) element.scrollTop = top;
  else if (top + ROW_PX > element.scrollTop + height) element.scrollTop = top + ROW_PX - height;
}

function Divider({ left, onMove }: { left: number; onMove: (left: number) => void }) {
  const begin = useRef<{ x: number; left: number } | null>(null);
  return (
    <div class="divider" style={{ left: `${left}px` }} aria-hidden="true"
      onPointerDown={(event) => { event.currentTarget.setPointerCapture(event.pointerId); begin.current = { x: event.clientX, left }; }}
      onPointerMove={(event) => { if (begin.current) onMove(begin.current.left + event.clientX - begin.current.x); }}
      onPointerUp={() => { begin.current = null; }} />
  );
}
