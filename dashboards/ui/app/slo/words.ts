// Order and tone of objectives, shared by the views of the board.
import type { Slo, SloState } from "../core/types";

/** Worst first. */
export const SLO_ORDER: SloState[] = ["spent", "burning_page", "burning_ticket", "low_traffic", "no_data", "ok"];

export const GROUPS: { state: SloState; name: string; tone: string; hint: string }[] = [
  { state: "spent", name: "budget spent", tone: "bad", hint: "nothing of the error budget is left" },
  { state: "burning_page", name: "page-level burn", tone: "bad", hint: "both windows of a page-level pair are above their threshold" },
  { state: "burning_ticket", name: "ticket-level burn", tone: "warn", hint: "both windows of a ticket-level pair are above their threshold" },
  { state: "low_traffic", name: "not enough data", tone: "", hint: "too few events to tell" },
  { state: "no_data", name: "no traffic", tone: "", hint: "no event in the window" },
  { state: "ok", name: "inside", tone: "good", hint: "inside the objective" },
];

export function budgetTone(left: number | null): string {
  return left === null ? "" : left < 0 ? "bad" : left < 0.25 ? "warn" : "good";
}

export function burnOf(slo: Slo, window: string): number | null {
  return slo.burn.find((one) => one.window === window)?.rate ?? null;
}

/** The worst of a service's objectives: by state, then by budget. */
export function worstOf(slos: Slo[]): Slo | undefined {
  const rank = (slo: Slo): number => { const at = SLO_ORDER.indexOf(slo.state); return at < 0 ? SLO_ORDER.length : at; };
  return [...slos].sort((a, b) => rank(a) - rank(b) || (a.budget_left ?? Infinity) - (b.budget_left ?? Infinity))[0];
}
