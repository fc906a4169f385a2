// Verdicts and states as colour + word + glyph; never colour alone, and no data is never green.
import type { SloState, State } from "../core/types";

type Tone = "good" | "bad" | "warn" | "info" | "none";
interface Look { tone: Tone; glyph: string; word: string; means: string }

const VERDICTS: Record<State, Look> = {
  PASS: { tone: "good", glyph: "✓", word: "healthy", means: "shown not to be materially worse" },
  FAIL: { tone: "bad", glyph: "✕", word: "regressed", means: "worse by itself, beyond chance" },
  WARN: { tone: "warn", glyph: "!", word: "suspect", means: "worse, but small or rare" },
  CONTINUE: { tone: "info", glyph: "…", word: "watching", means: "more traces are coming; no verdict yet" },
  INCONCLUSIVE: { tone: "none", glyph: "?", word: "inconclusive", means: "not enough evidence either way" },
  INHERITED: { tone: "warn", glyph: "↳", word: "inherited", means: "slower because of something it calls" },
  SKEWED: { tone: "none", glyph: "◷", word: "clock skew", means: "clocks disagree too much to judge" },
  CONFOUNDED: { tone: "none", glyph: "≠", word: "confounded", means: "something else changed with the version" },
  NOISY: { tone: "none", glyph: "≈", word: "noisy", means: "the baseline itself varies too much" },
  NO_DATA: { tone: "none", glyph: "○", word: "no data", means: "nothing was measured" },
};

const SLOS: Record<SloState, Look> = {
  ok: { tone: "good", glyph: "✓", word: "ok", means: "inside the objective" },
  burning_ticket: { tone: "warn", glyph: "!", word: "burning", means: "the budget burns at ticket level" },
  burning_page: { tone: "bad", glyph: "▲", word: "burning fast", means: "the budget burns at page level" },
  spent: { tone: "bad", glyph: "✕", word: "spent", means: "no error budget is left" },
  low_traffic: { tone: "none", glyph: "?", word: "low traffic", means: "too few events to tell" },
  no_data: { tone: "none", glyph: "○", word: "no data", means: "no events in the window" },
};

const UNKNOWN: Look = { tone: "none", glyph: "?", word: "unknown", means: "a state this page does not know" };

export function verdictLook(state: State): Look { return VERDICTS[state] ?? UNKNOWN; }
export function sloLook(state: SloState): Look { return SLOS[state] ?? UNKNOWN; }

export function VerdictChip({ state, large, also }: { state: State; large?: boolean; also?: string | null }) {
  const look = verdictLook(state);
  return (
    <span class={`chip ${look.tone}${large ? " large" : ""}`} data-state={state} title={`${state}: ${look.means}`}>
      <span aria-hidden="true">{look.glyph}</span> {look.word}{also ? <span class="also"> · {also}</span> : null}
    </span>
  );
}

export function SloChip({ state, reason }: { state: SloState; reason?: string | null }) {
  const look = sloLook(state);
  return (
    <span class={`chip ${look.tone}`} data-state={state} title={reason ?? look.means}>
      <span aria-hidden="true">{look.glyph}</span> {look.word}
    </span>
  );
}

/** A burn rate: grey below 1, amber from 1, red from 6, dark red from 14.4. */
export function BurnChip({ rate }: { rate: number | null }) {
  if (rate === null) return <span class="chip none" title="no events in this window">○</span>;
  const tone = rate >= 14.4 ? "worst" : rate >= 6 ? "bad" : rate >= 1 ? "warn" : "calm";
  return <span class={`chip burn ${tone}`} title={`${rate} times the budgeted rate`}>{rate >= 100 ? Math.round(rate) : rate.toFixed(1)}×</span>;
}

const CLASSES: Record<string, string> = {
  OWN: "own", EDGE: "on the edge", INDUCED: "induced", INHERITED: "inherited",
};
export function classWord(name: string | null): string | null {
  return name === null ? null : CLASSES[name] ?? name.toLowerCase();
}
