// Verdicts, states and burn rates as colour + word + glyph; never colour alone, and no data is never green.
import type { SloState, State } from "../core/types";
import { sloLook, verdictLook } from "./states";

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
  if (rate === null) return <span class="chip none" title="no events in this window"><span aria-hidden="true">○</span><span class="sr">no events</span></span>;
  const tone = rate >= 14.4 ? "worst" : rate >= 6 ? "bad" : rate >= 1 ? "warn" : "calm";
  return <span class={`chip burn ${tone}`} title={`${rate} times the budgeted rate`}>{rate >= 100 ? Math.round(rate) : rate.toFixed(1)}×</span>;
}
