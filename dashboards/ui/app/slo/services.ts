// Objectives grouped by service, the worst service first.
import type { Slo } from "../core/types";
import { SLO_ORDER, burnOf, worstOf } from "./words";

export interface Row { service: string; slos: Slo[]; worst: Slo; hour: number | null }

export function byService(slos: Slo[]): Row[] {
  const groups = new Map<string, Slo[]>();
  for (const slo of slos) groups.set(slo.service, [...groups.get(slo.service) ?? [], slo]);
  const rows: Row[] = [];
  for (const [service, of] of groups) {
    const worst = worstOf(of);
    const rates = of.map((slo) => burnOf(slo, "1h")).filter((rate) => rate !== null);
    if (worst) rows.push({ service, slos: of, worst, hour: rates.length > 0 ? Math.max(...rates) : null });
  }
  return rows.sort((a, b) => SLO_ORDER.indexOf(a.worst.state) - SLO_ORDER.indexOf(b.worst.state) || (a.worst.budget_left ?? Infinity) - (b.worst.budget_left ?? Infinity));
}
