// Words about flags that both pages share.
import type { Flag, FlagVariant } from "../core/types";

const RULES: Record<Flag["control_rule"], string> = { name: "by its name", oldest: "because it was seen first", largest: "because most traces had it when the flag came" };

/** Why the control is the control. */
export function controlWords(flag: Flag): string { return `${flag.control} is the control, ${RULES[flag.control_rule]}`; }

/** "drawn by lot" or "not drawn by lot". */
export function assignmentWord(flag: Flag): string { return flag.assignment === "randomised" ? "drawn by lot" : "observational"; }

/** Evidence as a reader can compare it: three digits, and a power of ten when it is huge. */
export function evidence(e: number): string {
  if (e >= 1e6) return `10^${Math.floor(Math.log10(e))}`;
  return e >= 100 ? Math.round(e).toLocaleString("en") : e.toPrecision(2);
}

/** The variants in the order of the answer: the control first. */
export function variantWords(variants: FlagVariant[]): string { return variants.map((one) => one.variant).join(" · "); }
