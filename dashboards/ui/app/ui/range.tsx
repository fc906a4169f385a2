// The time range picker: relative presets, two absolute fields, shift and zoom. The range lives in the URL.
import { useEffect, useRef, useState } from "preact/hooks";
import { useKeys } from "../core/keys";
import { from, setQuery, to } from "../core/router";
import { dateTime, isRelative, parseTime, PRESETS, DEFAULT_FROM, DEFAULT_TO, rangeLabel, rangeProblem, shift, zoomOut } from "../core/time";

export function setRange(start: string, end: string): void {
  setQuery({ from: start === DEFAULT_FROM ? null : start, to: end === DEFAULT_TO ? null : end });
}

export function RangePicker() {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const move = (direction: -1 | 1): void => { const next = shift(from.value, to.value, direction, Date.now()); setRange(next.from, next.to); };
  const wider = (): void => { const next = zoomOut(from.value, to.value, Date.now()); setRange(next.from, next.to); };
  useKeys("Time range", [
    { keys: "[", does: "earlier", run: () => move(-1) },
    { keys: "]", does: "later", run: () => move(1) },
    { keys: "-", does: "wider", run: wider },
  ]);
  useEffect(() => {
    if (!open) return undefined;
    const close = (event: Event): void => { if (!box.current?.contains(event.target as Node)) setOpen(false); };
    addEventListener("pointerdown", close);
    return () => removeEventListener("pointerdown", close);
  }, [open]);
  return (
    <div class="range" ref={box} onKeyDown={(event) => { if (event.key === "Escape") setOpen(false); }}>
      <button type="button" class="step" aria-label="earlier" title="Earlier  [" onClick={() => move(-1)}>‹</button>
      <button type="button" class="current" aria-haspopup="dialog" aria-expanded={open} onClick={() => setOpen(!open)}
        title={`${from.value} to ${to.value}, times in UTC`}>{rangeLabel(from.value, to.value)}</button>
      <button type="button" class="step" aria-label="later" title="Later  ]" onClick={() => move(1)}>›</button>
      {open ? <Popup close={() => setOpen(false)} wider={wider} /> : null}
    </div>
  );
}

function Popup({ close, wider }: { close: () => void; wider: () => void }) {
  const [start, setStart] = useState(editable(from.value));
  const [end, setEnd] = useState(editable(to.value));
  const problem = rangeProblem(start, end, Date.now());
  const apply = (event: Event): void => {
    event.preventDefault();
    if (problem) return;
    setRange(canonical(start), canonical(end));
    close();
  };
  return (
    <div class="popup" role="dialog" aria-label="Time range">
      <div class="presets">
        {PRESETS.map((preset) => (
          <button key={preset} type="button" class={preset === from.value && to.value === "now" ? "on" : undefined}
            onClick={() => { setRange(preset, "now"); close(); }}>{rangeLabel(preset, "now")}</button>
        ))}
        <button type="button" onClick={() => { wider(); close(); }}>wider  -</button>
      </div>
      <form onSubmit={apply}>
        <label>From <input value={start} onInput={(event) => setStart(event.currentTarget.value)} spellcheck={false} /></label>
        <label>To <input value={end} onInput={(event) => setEnd(event.currentTarget.value)} spellcheck={false} /></label>
        <p class={problem ? "problem" : "muted"}>{problem ?? "UTC; now-90m, 2026-01-31 14:00 or milliseconds"}</p>
        <button type="submit" class="primary" disabled={problem !== null}>Apply</button>
      </form>
    </div>
  );
}

function editable(text: string): string {
  const at = isRelative(text) ? null : parseTime(text, 0);
  return at === null ? text : dateTime(at);
}

/** The API knows relative times, RFC 3339 and milliseconds; typed dates become milliseconds. */
function canonical(text: string): string {
  if (isRelative(text.trim())) return text.trim();
  return String(parseTime(text, 0) ?? text);
}
