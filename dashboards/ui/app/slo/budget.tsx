// What is left of a budget as a bar: from zero to the right while there is some, to the left in red when more than all is spent.
import { percent, span } from "../core/format";
import type { Slo } from "../core/types";
import { budgetTone } from "./words";

/** Overspending beyond the whole budget does not make the bar longer. */
const OVERSPENT_MAX = 1;

export function BudgetBar({ left, reason }: { left: number | null; reason: string | null }) {
  if (left === null) return <span class="bar hatched" role="img" aria-label={reason ?? "unknown"} title={reason ?? "unknown"} />;
  const label = left < 0 ? `${percent(-left)} more than the budget is spent` : `${percent(left)} of the budget is left`;
  const width = Math.min(OVERSPENT_MAX, Math.abs(left)) * 100;
  return <span class={`bar tick25${left < 0 ? " over" : ""}`} role="img" aria-label={label} title={label}><span class={budgetTone(left)} style={{ width: `${width}%` }} /></span>;
}

export function Budget({ slo }: { slo: Slo }) {
  if (slo.budget_left === null) return <><BudgetBar left={null} reason={slo.state_reason} /> <span class="muted">{slo.state_reason ?? "—"}</span></>;
  return (
    <>
      <BudgetBar left={slo.budget_left} reason={slo.state_reason} />{" "}
      <span class={slo.budget_left < 0 ? "bad" : undefined} title={String(slo.budget_left)}>{percent(slo.budget_left)}</span>
      {slo.exhausted_in_s !== null && slo.budget_left > 0 ? <span class="muted out"> out in {span(slo.exhausted_in_s)}</span> : null}
    </>
  );
}
