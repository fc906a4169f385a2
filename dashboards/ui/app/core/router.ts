// Moves between URLs without loading the page again. State: `here` (path and query as signals).
import { computed, signal } from "@preact/signals";
import { DEFAULT_FROM, DEFAULT_TO } from "./time";
import { buildHref, parseLocation, type Location } from "./url";

/** Where the site's root is, told from where this script came from: works below any proxy prefix without <base>. */
export const base = new URL("../", import.meta.url).pathname;

export const here = signal<Location>(parseLocation(location.pathname, location.search, base));
export const query = computed(() => here.value.query);
export const from = computed(() => query.value["from"] ?? DEFAULT_FROM);
export const to = computed(() => query.value["to"] ?? DEFAULT_TO);
export const env = computed(() => query.value["env"] ?? "");

/** A link to another page; range, environment and the other shared parameters go along. */
export function href(path: string, extra: Record<string, string | null | undefined> = {}): string {
  return buildHref(base, path, query.value, extra);
}

/** Goes to an address made by `href`; `replace` leaves no step in the history. */
export function go(address: string, replace = false): void {
  const url = new URL(address, location.href);
  if (replace) history.replaceState(history.state, "", url);
  else {
    history.replaceState({ scroll: scrollY }, "");
    history.pushState(null, "", url);
  }
  const moved = parseLocation(url.pathname, url.search, base);
  const samePage = moved.path === here.value.path;
  here.value = moved;
  if (!replace && !samePage) scrollTo(0, 0);
}

/** Changes parameters of this page; null removes one. Typing replaces, choosing pushes. */
export function setQuery(changes: Record<string, string | null>, how: "push" | "replace" = "push"): void {
  const merged: Record<string, string | null> = { ...query.value, ...changes };
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(merged)) if (value) parameters.set(key, value);
  const text = parameters.toString();
  go(location.pathname + (text ? `?${text}` : ""), how === "replace");
}

/** Follows the browser's back and forward, and plain clicks on links below the root. Call once. */
export function startRouter(): void {
  history.scrollRestoration = "manual";
  addEventListener("popstate", (event) => {
    here.value = parseLocation(location.pathname, location.search, base);
    const scroll = (event.state as { scroll?: number } | null)?.scroll ?? 0;
    requestAnimationFrame(() => requestAnimationFrame(() => scrollTo(0, scroll)));
  });
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest?.("a");
    if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (!link.pathname.startsWith(base) || link.pathname.startsWith(`${base}api/`)) return;
    event.preventDefault();
    go(link.href);
  });
}
