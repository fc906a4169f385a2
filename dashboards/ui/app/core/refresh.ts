// Auto refresh: one tick for the whole page. Pauses when the tab is hidden or the range is absolute; hurries when the server is lost.
import { computed, effect, signal } from "@preact/signals";
import { lostSince } from "./api";
import { query, setQuery, to } from "./router";
import { isRelative } from "./time";

/** Seconds the header offers; 0 is off. */
export const CHOICES = [0, 10, 30, 60];
const DEFAULT_SECONDS = 10;
/** How often a lost server is tried again. */
const LOST_SECONDS = 3;

/** Grows with each refresh; data loads depend on it. */
export const tick = signal(0);
/** The clock that "3 m ago" reads; moves with each tick. */
export const now = signal(Date.now());
const hidden = signal(document.hidden);

export const seconds = computed(() => {
  const chosen = Number(query.value["refresh"] ?? DEFAULT_SECONDS);
  return CHOICES.includes(chosen) ? chosen : DEFAULT_SECONDS;
});
/** Why nothing refreshes although a period is chosen, or null. */
export const paused = computed(() => {
  if (seconds.value === 0) return null;
  if (hidden.value) return "paused while hidden";
  return isRelative(to.value) ? null : "paused: the range is absolute";
});

export function refreshNow(): void {
  now.value = Date.now();
  tick.value += 1;
}

export function setSeconds(value: number): void {
  setQuery({ refresh: value === DEFAULT_SECONDS ? null : String(value) }, "replace");
}

export function startRefresh(): void {
  document.addEventListener("visibilitychange", () => {
    hidden.value = document.hidden;
    if (!document.hidden && seconds.value > 0) refreshNow();
  });
  effect(() => {
    const lost = lostSince.value !== null;
    const period = lost ? LOST_SECONDS : seconds.value;
    if (period === 0 || hidden.value || (paused.value !== null && !lost)) return undefined;
    const timer = setInterval(refreshNow, period * 1000);
    return () => clearInterval(timer);
  });
}
