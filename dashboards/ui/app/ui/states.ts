// The words of verdicts and objectives: a glyph and a word for a chip, what the state means, and what a reader can do about it.
import type { Class, SloState, State } from "../core/types";

export type Tone = "good" | "bad" | "warn" | "info" | "none";
export interface Look { tone: Tone; glyph: string; word: string; means: string }
interface VerdictLook extends Look { todo: string }

const VERDICTS: Record<State, VerdictLook> = {
  PASS: { tone: "good", glyph: "✓", word: "healthy", means: "shown to be no worse than the margin, not merely free of alarms", todo: "Go on with the rollout." },
  FAIL: { tone: "bad", glyph: "✕", word: "regressed", means: "worse beyond chance and beyond the material change, by this version's doing", todo: "Roll back, or look at the example traces first." },
  WARN: { tone: "warn", glyph: "!", word: "suspect", means: "worse, but the comparison is too weak to blame the version alone", todo: "Let both versions serve side by side: concurrent traffic decides it." },
  CONTINUE: { tone: "info", glyph: "…", word: "watching", means: "no verdict yet: more traces are coming", todo: "Wait for the traces that are still missing." },
  INCONCLUSIVE: { tone: "none", glyph: "?", word: "inconclusive", means: "the bake time ended before the traces sufficed", todo: "Read the smallest change that these traces would have shown: anything below it may be there." },
  INHERITED: { tone: "warn", glyph: "↳", word: "inherited", means: "slower only because something that it calls is", todo: "Look at the service that explains it; rolling this one back changes nothing." },
  SKEWED: { tone: "none", glyph: "⇹", word: "skewed", means: "the versions did not get the traffic that their weights promise, so nothing is claimed", todo: "Mend the routing, then compare again." },
  CONFOUNDED: { tone: "none", glyph: "≠", word: "confounded", means: "another deployment moved along with this one and may be the reason", todo: "Compare again while every other service runs one version." },
  NOISY: { tone: "none", glyph: "≈", word: "noisy", means: "the old version by itself varies more than the change that was seen", todo: "Let both versions serve side by side: concurrent traffic shares the noise." },
  NO_DATA: { tone: "none", glyph: "○", word: "no data", means: "there is nothing to compare", todo: "A verdict needs traffic of an older version." },
};

const SLOS: Record<SloState, Look> = {
  ok: { tone: "good", glyph: "✓", word: "ok", means: "inside the objective" },
  burning_ticket: { tone: "warn", glyph: "!", word: "burning", means: "the budget burns at ticket level" },
  burning_page: { tone: "bad", glyph: "▲", word: "burning fast", means: "the budget burns at page level" },
  spent: { tone: "bad", glyph: "✕", word: "spent", means: "no error budget is left" },
  low_traffic: { tone: "none", glyph: "?", word: "low traffic", means: "too few events to tell" },
  no_data: { tone: "none", glyph: "○", word: "no data", means: "no events in the window" },
};

const CLASSES: Record<Class, { word: string; means: string }> = {
  OWN: { word: "own", means: "in its own time or its own errors" },
  EDGE: { word: "on the edge", means: "on the way to it: in the client's time that no server span shows" },
  INDUCED: { word: "induced", means: "in services below it, which do more because of it" },
  INHERITED: { word: "inherited", means: "in something else in the same traces, which explains it" },
};

const UNKNOWN: VerdictLook = { tone: "none", glyph: "?", word: "unknown", means: "a state this page does not know", todo: "" };

/** How the comparison was made, best first. */
export const RUNGS: { rung: "A" | "B" | "C" | "D"; name: string; why: string }[] = [
  { rung: "A", name: "fresh baseline", why: "the old version was deployed anew beside the new one" },
  { rung: "B", name: "concurrent traffic", why: "both versions served at the same time" },
  { rung: "C", name: "before and after", why: "the old version had gone, so its earlier traffic stands in" },
  { rung: "D", name: "none", why: "no older version was seen" },
];

export function verdictLook(state: State): VerdictLook { return VERDICTS[state] ?? UNKNOWN; }
/** Where a flag's verdict asks for something else than a release's. */
const FLAGS: Partial<Record<State, { means: string; todo: string }>> = {
  PASS: { means: "every service with a tenth of the traces is shown to be no worse than the margin", todo: "Go on with the flag." },
  FAIL: { means: "a service is worse with the variant, beyond chance among all flags and services", todo: "Turn the variant off, or look at the example traces first." },
  CONFOUNDED: { means: "services run other versions with the variant than with the control, and that may be the reason", todo: "Compare again while every service runs one version." },
  WARN: { means: "worse, but the comparison is too weak to blame the variant alone", todo: "Let both variants be served at the same time." },
  SKEWED: { means: "the variants did not get the traces that their weights promise, so nothing is claimed", todo: "Mend how variants are handed out, then compare again." },
  NO_DATA: { means: "there is nothing to compare", todo: "A verdict needs traces with two variants." },
};

export function flagLook(state: State): VerdictLook { return { ...verdictLook(state), ...FLAGS[state] }; }
export function sloLook(state: SloState): Look { return SLOS[state] ?? UNKNOWN; }
export function classWord(name: Class | null): string | null { return name === null ? null : CLASSES[name]?.word ?? String(name).toLowerCase(); }
export function classMeans(name: Class | null): string | null { return name === null ? null : CLASSES[name]?.means ?? null; }
