// The strip above the waterfall: the whole trace, with the zoom window on it. Drag to choose a window; double click shows all.
import { useEffect, useRef, useState } from "preact/hooks";
import { clampZoom, type Zoom } from "./geometry";
import type { Model } from "./model";
import { paintMinimap, type Ink } from "./paint";

const HEIGHT = 46;

interface Props { model: Model; ink: Ink | null; zoom: Zoom; matches: Int32Array; onZoom: (zoom: Zoom) => void }

export function Minimap({ model, ink, zoom, matches, onZoom }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [drag, setDrag] = useState<{ from: number; to: number } | null>(null);
  useEffect(() => {
    if (!box.current) return undefined;
    const watch = new ResizeObserver(([entry]) => setWidth(entry?.contentRect.width ?? 0));
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  useEffect(() => { if (canvas.current && ink && width > 0) paintMinimap(canvas.current, model, width, HEIGHT - 2, ink, matches); }, [model, ink, width, matches]);
  const at = (event: PointerEvent): number => {
    const bounds = box.current?.getBoundingClientRect();
    return bounds ? Math.max(0, Math.min(1, (event.clientX - bounds.left) / bounds.width)) : 0;
  };
  const done = (): void => {
    if (!drag) return;
    setDrag(null);
    const [from, to] = [Math.min(drag.from, drag.to) * model.durationNs, Math.max(drag.from, drag.to) * model.durationNs];
    // A click rather than a drag moves the window there.
    const size = zoom.to - zoom.from;
    onZoom(Math.abs(drag.to - drag.from) * width < 3 ? clampZoom({ from: from - size / 2, to: from + size / 2 }, model.durationNs) : clampZoom({ from, to }, model.durationNs));
  };
  const window = drag ? { from: Math.min(drag.from, drag.to), to: Math.max(drag.from, drag.to) } : { from: zoom.from / model.durationNs, to: zoom.to / model.durationNs };
  const whole = window.from <= 0 && window.to >= 1;
  return (
    <div class="minimap" ref={box} role="img" aria-label="the whole trace; drag to zoom" style={{ position: "relative" }}
      onPointerDown={(event) => { event.currentTarget.setPointerCapture(event.pointerId); setDrag({ from: at(event), to: at(event) }); }}
      onPointerMove={(event) => { if (drag) setDrag({ ...drag, to: at(event) }); }}
      onPointerUp={done} onDblClick={() => onZoom({ from: 0, to: model.durationNs })}>
      <canvas ref={canvas} />
      {whole ? null : (
        <>
          <span class="veil" style={{ left: 0, width: `${window.from * 100}%` }} />
          <span class="veil" style={{ left: `${window.to * 100}%`, right: 0 }} />
        </>
      )}
    </div>
  );
}
