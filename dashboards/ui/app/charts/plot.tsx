// Line charts over time, drawn by uPlot, which arrives as a chunk of its own. One cursor moves through all charts of a page; a drag
// chooses the time range; with the focus on a chart the arrow keys read it point by point.
import { useEffect, useRef, useState } from "preact/hooks";
import type uPlot from "uplot";
import { dark } from "../core/theme";
import { dateTime } from "../core/time";
import { type Drawing, type Line, type Mark, dataOf, options, shapeOf } from "./plot-options";
import { stepOf } from "./reading";

interface Props {
  name: string;
  /** Seconds since the epoch, ascending. */
  times: number[];
  lines: Line[];
  levels?: Drawing["levels"];
  marks?: Mark[];
  format: (value: number) => string;
  low?: number;
  height?: number;
}

const NONE: never[] = [];

export function Plot({ name, times, lines, levels = NONE, marks = NONE, format, low, height = 170 }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const [problem, setProblem] = useState("");
  const isDark = dark.value;
  const drawing: Drawing = { times, lines, levels, marks, format, low, height };
  const latest = useRef(drawing);
  latest.current = drawing;
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    let wanted = true;
    const watch = new ResizeObserver(() => chart.current?.setSize({ width: element.clientWidth, height }));
    void import("uplot").then(({ default: Chart }) => {
      if (!wanted) return;
      chart.current = new Chart(options(element, () => latest.current, setAt), dataOf(latest.current), element);
      watch.observe(element);
    }, () => setProblem("The chart did not load; reload the page."));
    return () => { wanted = false; watch.disconnect(); chart.current?.destroy(); chart.current = null; };
  }, [shapeOf(drawing), isDark]);
  // New data of the same shape go into the chart that is there: it does not flicker, and a reading stays.
  useEffect(() => { chart.current?.setData(dataOf(latest.current)); }, [times, lines, marks]);
  const onKey = (event: KeyboardEvent): void => {
    const next = stepOf(event.key, at, times.length);
    const plot = chart.current;
    if (next === undefined || !plot) return;
    event.preventDefault();
    if (next === null) plot.setCursor({ left: -10, top: -10 });
    else plot.setCursor({ left: plot.valToPos(times[next] ?? 0, "x"), top: plot.over.clientHeight / 2 });
  };
  const spoken = lines.filter((line) => !line.silent);
  return (
    <div>
      <div class="legend">{spoken.map((line) => <span key={line.label}><span class="dot" style={{ background: `var(${line.colour})` }} />{line.label}</span>)}</div>
      <div ref={box} class="plot" role="img" aria-label={`${name}; arrow keys read it`} tabIndex={0} onKeyDown={onKey} style={{ minHeight: `${height}px` }} />
      <div class="readout" aria-live="polite">{problem || reading(times, spoken, format, at)}</div>
    </div>
  );
}

function reading(times: number[], lines: Line[], format: (value: number) => string, index: number | null): string {
  const at = index === null ? undefined : times[index];
  if (at === undefined || index === null) return "";
  return `${dateTime(at * 1000)} UTC · ${lines.map((line) => { const value = line.values[index]; return `${line.label} ${value === null || value === undefined ? "no data" : format(value)}`; }).join(" · ")}`;
}
