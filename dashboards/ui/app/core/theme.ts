// Light, dark, or as the system says. The choice is kept in the browser; `?theme=` overrides it for one address.
import { computed, effect, signal } from "@preact/signals";
import { query } from "./router";

export type Theme = "auto" | "light" | "dark";
const KEY = "daytwo.theme";
const ORDER: Theme[] = ["auto", "light", "dark"];

const chosen = signal<Theme>(stored());
const systemDark = signal(matchMedia("(prefers-color-scheme: dark)").matches);
export const theme = computed<Theme>(() => {
  const wanted = query.value["theme"] as Theme | undefined;
  return wanted && ORDER.includes(wanted) ? wanted : chosen.value;
});
export const dark = computed(() => (theme.value === "auto" ? systemDark.value : theme.value === "dark"));

export function nextTheme(): void {
  chosen.value = ORDER[(ORDER.indexOf(chosen.value) + 1) % ORDER.length] ?? "auto";
  try { localStorage.setItem(KEY, chosen.value); } catch { /* a browser without storage forgets the choice, nothing more */ }
}

export function startTheme(): void {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => { systemDark.value = event.matches; });
  effect(() => { document.documentElement.dataset["theme"] = dark.value ? "dark" : "light"; });
}

function stored(): Theme {
  try {
    const value = localStorage.getItem(KEY) as Theme | null;
    return value && ORDER.includes(value) ? value : "auto";
  } catch { return "auto"; }
}
