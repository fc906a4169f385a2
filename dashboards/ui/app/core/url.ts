// The URL is the state. This file takes it apart and puts it together; router.ts moves between URLs.

/** Query parameters that every page shares and every link carries on. */
export const SHARED = ["from", "to", "env", "refresh", "theme"];

export interface Location { path: string; query: Record<string, string> }

/** The path below `base` ("/" or "/prefix/"), still encoded, and the query. */
export function parseLocation(pathname: string, search: string, base: string): Location {
  const below = pathname.startsWith(base) ? `/${pathname.slice(base.length)}` : pathname;
  const path = below.length > 1 && below.endsWith("/") ? below.slice(0, -1) : below;
  const query: Record<string, string> = {};
  for (const [key, value] of new URLSearchParams(search)) query[key] = value;
  return { path, query };
}

/** The URL of `path` (already encoded) with the shared parameters of `current` and those of `extra`; empty values are left out. */
export function buildHref(base: string, path: string, current: Record<string, string>, extra: Record<string, string | null | undefined> = {}): string {
  const parameters = new URLSearchParams();
  for (const key of SHARED) {
    const value = key in extra ? extra[key] : current[key];
    if (value) parameters.set(key, value);
  }
  for (const [key, value] of Object.entries(extra)) {
    if (value && !SHARED.includes(key)) parameters.set(key, value);
  }
  const text = parameters.toString();
  return base + path.replace(/^\//, "") + (text ? `?${text}` : "");
}

/** `pattern` like "/slo/:id" against an encoded path; decoded parameters or null. */
export function match(pattern: string, path: string): Record<string, string> | null {
  const want = pattern.split("/");
  const have = path.split("/");
  if (want.length !== have.length) return null;
  const found: Record<string, string> = {};
  for (let at = 0; at < want.length; at += 1) {
    const part = want[at] ?? "";
    const text = have[at] ?? "";
    if (part.startsWith(":")) {
      const decoded = decode(text);
      if (decoded === null || decoded === "") return null;
      found[part.slice(1)] = decoded;
    } else if (part !== text) return null;
  }
  return found;
}

/** A path from parts, each encoded. */
export function pathOf(...parts: string[]): string {
  return parts.map((part) => `/${encodeURIComponent(part)}`).join("");
}

/** Query text for the API from a record; null and empty values are left out. */
export function queryOf(values: Record<string, string | number | null | undefined>): string {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) {
    if (value !== null && value !== undefined && value !== "") parameters.set(key, String(value));
  }
  const text = parameters.toString();
  return text ? `?${text}` : "";
}

function decode(text: string): string | null {
  try { return decodeURIComponent(text); } catch { return null; }
}
