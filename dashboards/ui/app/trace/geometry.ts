// Pixels of the waterfall: the window of rows to draw, and the zoomed time axis.

/** Keep in step with .wrow in styles/trace.css. */
export const ROW_PX = 22;
/** Rows drawn beyond each edge, so that a fast scroll shows no blank. */
const OVERSCAN = 6;
/** No closer than this: 100 ns across the screen. */
const ZOOM_LEAST_NS = 100;

export interface Zoom { from: number; to: number }

export function windowOf(scrollTop: number, height: number, total: number): { first: number; last: number } {
  const inside = (row: number): number => Math.max(0, Math.min(total, row));
  return {
    first: inside(Math.floor(scrollTop / ROW_PX) - OVERSCAN),
    last: inside(Math.ceil((scrollTop + height) / ROW_PX) + OVERSCAN),
  };
}

export function clampZoom(zoom: Zoom, duration: number): Zoom {
  const least = Math.min(duration, ZOOM_LEAST_NS);
  const size = Math.min(duration, Math.max(least, zoom.to - zoom.from));
  const from = Math.max(0, Math.min(duration - size, zoom.from));
  return { from, to: from + size };
}

/** Zooms by `factor` (below 1 is closer) around a point given as a fraction of the window. */
export function zoomBy(zoom: Zoom, factor: number, around: number, duration: number): Zoom {
  const size = zoom.to - zoom.from;
  const point = zoom.from + size * around;
  const next = Math.max(Math.min(duration, ZOOM_LEAST_NS), size * factor);
  return clampZoom({ from: point - next * around, to: point + next * (1 - around) }, duration);
}

export function panBy(zoom: Zoom, fraction: number, duration: number): Zoom {
  const step = (zoom.to - zoom.from) * fraction;
  return clampZoom({ from: zoom.from + step, to: zoom.to + step }, duration);
}

/** The window that shows one span with a margin. */
export function fit(start: number, length: number, duration: number): Zoom {
  const margin = Math.max(length * 0.05, ZOOM_LEAST_NS / 2);
  return clampZoom({ from: start - margin, to: start + length + margin }, duration);
}

/** "1200-5300" in nanoseconds; null for anything else and for the whole trace. */
export function parseZoom(text: string | undefined, duration: number): Zoom | null {
  const found = /^(\d{1,16})-(\d{1,16})$/.exec(text ?? "");
  if (!found) return null;
  const zoom = { from: Number(found[1]), to: Number(found[2]) };
  return zoom.to > zoom.from && zoom.from < duration ? clampZoom(zoom, duration) : null;
}

export function zoomText(zoom: Zoom, duration: number): string | null {
  return zoom.from <= 0 && zoom.to >= duration ? null : `${Math.round(zoom.from)}-${Math.round(zoom.to)}`;
}
