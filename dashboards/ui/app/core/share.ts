// Hands data to the outside: clipboard, files, absolute links, cURL, CSV.
import { signal } from "@preact/signals";
import { apiUrl } from "./api";
import { from, query, to } from "./router";
import { parseTime } from "./time";

/** A short message at the bottom of the page. */
export const toast = signal("");
let toastTimer: ReturnType<typeof setTimeout> | undefined;

export function say(message: string): void {
  toast.value = message;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { toast.value = ""; }, 2500);
}

export async function copy(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Plain http on another host has no clipboard API; the old command still works there.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) { say(`Cannot copy ${what}: the browser refused`); return; }
  }
  say(`Copied ${what}`);
}

/** This page with its range made absolute, so that it shows the same to whoever opens it later. */
export function absoluteLink(nowMs: number): string {
  const url = new URL(location.href);
  for (const [key, value] of [["from", from.value], ["to", to.value]] as const) {
    const at = parseTime(value, nowMs);
    if (at !== null) url.searchParams.set(key, String(Math.round(at)));
  }
  for (const key of Object.keys(query.value)) if (!query.value[key]) url.searchParams.delete(key);
  return url.href;
}

export function curl(path: string): string {
  return `curl -sS ${quote(new URL(apiUrl(path), location.href).href)}`;
}

function quote(text: string): string {
  return `'${text.replace(/'/g, "'\\''")}'`;
}

export function download(name: string, type: string, content: string | Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** RFC 4180, with a quote before a leading = + - @ so that no spreadsheet runs a service name. */
export function csv(rows: (string | number | null)[][]): string {
  const cell = (value: string | number | null): string => {
    if (value === null) return "";
    if (typeof value === "number") return String(value);
    const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  };
  return rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}
