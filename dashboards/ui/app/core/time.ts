// Times: relative and absolute ranges as the URL and the API write them, and their text. All labels are UTC, 24 h.

/** The ranges the picker offers; `to` is always `now`. */
export const PRESETS = ["now-5m", "now-15m", "now-1h", "now-3h", "now-6h", "now-12h", "now-1d", "now-2d", "now-7d", "now-28d"];
export const DEFAULT_FROM = "now-1h";
export const DEFAULT_TO = "now";

const UNIT_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds since the epoch that `text` names, or null when it names no time. */
export function parseTime(text: string, nowMs: number): number | null {
  const trimmed = text.trim();
  if (trimmed === "now") return nowMs;
  const relative = /^now-(\d{1,9})([smhd])$/.exec(trimmed);
  if (relative) return nowMs - Number(relative[1]) * (UNIT_MS[relative[2] ?? "s"] ?? 1000);
  if (/^\d{9,15}$/.test(trimmed)) return Number(trimmed);
  const plain = /^(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)(Z|[+-]\d{2}:\d{2})?)?$/.exec(trimmed);
  if (!plain) return null;
  const at = Date.parse(`${plain[1]}T${plain[2] ?? "00:00:00"}${plain[3] ?? "Z"}`);
  return Number.isNaN(at) ? null : at;
}

export function isRelative(text: string): boolean {
  return text.startsWith("now");
}

/** The words of a range: "last 1 h", or two absolute times. */
export function rangeLabel(from: string, to: string): string {
  const relative = /^now-(\d+)([smhd])$/.exec(from);
  if (relative && to === "now") return `last ${relative[1]} ${relative[2]}`;
  return `${timeLabel(from)} – ${timeLabel(to)}`;
}

function timeLabel(text: string): string {
  if (isRelative(text)) return text;
  const at = parseTime(text, 0);
  return at === null ? text : dateTime(at);
}

/** Problem with a range in one sentence, or null. */
export function rangeProblem(from: string, to: string, nowMs: number): string | null {
  const start = parseTime(from, nowMs);
  const end = parseTime(to, nowMs);
  if (start === null) return `“${from}” is not a time; write now-1h, 2026-01-31 14:00 or milliseconds`;
  if (end === null) return `“${to}” is not a time; write now, 2026-01-31 15:00 or milliseconds`;
  return start >= end ? "the range ends before it starts" : null;
}

/** Moves a range by half its length; the result is absolute, unless it would reach into the future. */
export function shift(from: string, to: string, direction: -1 | 1, nowMs: number): { from: string; to: string } {
  const start = parseTime(from, nowMs) ?? nowMs - 3_600_000;
  const end = parseTime(to, nowMs) ?? nowMs;
  const step = (end - start) / 2;
  const later = Math.min(nowMs, end + direction * step);
  return { from: String(Math.round(later - (end - start))), to: String(Math.round(later)) };
}

/** Doubles a range around its middle, not beyond now. */
export function zoomOut(from: string, to: string, nowMs: number): { from: string; to: string } {
  const start = parseTime(from, nowMs) ?? nowMs - 3_600_000;
  const end = parseTime(to, nowMs) ?? nowMs;
  const half = end - start;
  const middle = (start + end) / 2;
  return { from: String(Math.round(middle - half)), to: String(Math.round(Math.min(nowMs, middle + half))) };
}

/** Nanoseconds as a decimal string to milliseconds; microseconds survive as a fraction. */
export function nanoToMs(nano: string | null | undefined): number | null {
  if (!nano || !/^-?\d+$/.test(nano)) return null;
  const value = BigInt(nano);
  return Number(value / 1_000_000n) + Number(value % 1_000_000n) / 1e6;
}

const two = (value: number): string => String(value).padStart(2, "0");

/** "2026-11-20 14:32:05". */
export function dateTime(atMs: number | null): string {
  if (atMs === null || !Number.isFinite(atMs)) return "—";
  const date = new Date(atMs);
  if (Number.isNaN(date.getTime())) return "—";
  return `${date.toISOString().slice(0, 10)} ${clock(atMs)}`;
}

/** "14:32:05". */
export function clock(atMs: number): string {
  const date = new Date(atMs);
  return `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`;
}

/** "14:32:05.123" on the current day, with the date before it on another. */
export function moment(nano: string, nowMs: number): string {
  const at = nanoToMs(nano);
  if (at === null) return "—";
  const text = `${clock(at)}.${String(Math.floor(((at % 1000) + 1000) % 1000)).padStart(3, "0")}`;
  return Math.floor(at / 86_400_000) === Math.floor(nowMs / 86_400_000) ? text : `${dateTime(at).slice(5, 10)} ${text}`;
}

/** "3 m ago"; the future (a clock ahead of ours) reads "now". */
export function ago(nano: string | null | undefined, nowMs: number): string {
  const at = nanoToMs(nano);
  if (at === null) return "—";
  const seconds = Math.floor((nowMs - at) / 1000);
  if (seconds < 1) return "now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ago`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}
