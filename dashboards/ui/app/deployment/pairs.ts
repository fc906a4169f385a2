// Which trace of the new version is held against which of the old.
import type { Exemplar } from "../core/types";

const ROLES: Record<Exemplar["role"], string> = { baseline_median: "typical", candidate_median: "typical", candidate_slow: "slow", error: "failed" };

export interface Pair { role: string; before: Exemplar | null; after: Exemplar | null }

/** Each trace after with one before it can be held against; a lone trace before stands alone. */
export function pairsOf(exemplars: Exemplar[]): Pair[] {
  const before = exemplars.filter((one) => one.role === "baseline_median");
  const after = exemplars.filter((one) => one.role !== "baseline_median");
  if (after.length === 0) return before.map((one) => ({ role: "typical", before: one, after: null }));
  return after.map((one, at) => ({ role: ROLES[one.role] ?? one.role, before: before[at] ?? before[0] ?? null, after: one }));
}
