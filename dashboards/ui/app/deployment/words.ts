// Words of a deployment and its findings that several parts of the page share.
import type { Deployment, Finding, Verdict } from "../core/types";

export const KINDS: Record<Deployment["kind"], string> = { first: "first version seen", release: "release", rollback: "rollback", declared: "declared, no span yet" };

const NOTES: Record<string, string> = {
  canary: "canary", blue_green: "blue/green", restart: "restarted", rebuilt: "several builds", reconfigured: "several pod templates", contradiction: "contradicting versions",
  flapping: "flapping", withdrawn: "rolled back", replaced: "replaced", idle: "idle", redeployed: "declared again",
};

export function noteWord(kind: string): string { return NOTES[kind] ?? kind.replace(/_/g, " "); }

/** Notes that say that the comparison or the rollout is not as it should be. */
export function isWarning(kind: string): boolean { return ["withdrawn", "contradiction", "flapping", "rebuilt", "reconfigured", "idle"].includes(kind); }

export function findingKey(one: Finding): string {
  return [one.node, one.service, one.operation ?? "", one.peer ?? "", one.signal].join("|");
}

/** Words for the place of a finding: an operation, an edge, or the whole service. */
export function placeWords(one: Finding): string {
  if (one.node === "edge") return `call ${one.peer ?? "?"} → ${one.service}${one.operation ? ` ${one.operation}` : ""}`;
  return one.operation ?? (one.node === "total" ? "whole requests" : "all operations");
}

/** What was measured there. */
export function signalWords(one: Finding): string {
  if (one.signal === "errors") return "errors";
  return one.node === "edge" ? "edge gap" : one.node === "total" ? "total time" : "self time";
}

/** The service other than the judged one that explains most of the change, if the verdict says so. */
export function culpritOf(service: string, verdict: Verdict): string | null {
  const first = verdict.suspects[0]?.service;
  const owner = verdict.affected.find((one) => one.class === "OWN" || one.class === "EDGE")?.service;
  const found = verdict.state === "INHERITED" ? first ?? owner : first;
  return found !== undefined && found !== service ? found : null;
}

/** Operations of the judged service by how they fared. */
export function tally(verdict: Verdict): { operations: number; worse: number; open: number; inheriting: number } {
  const own = verdict.findings.filter((one) => one.operation !== null && one.node === "self");
  const named = (of: Finding[]): number => new Set(of.map((one) => one.operation)).size;
  return {
    operations: named(own),
    worse: named(own.filter((one) => one.state === "FAIL" || one.state === "WARN")),
    open: named(own.filter((one) => ["NO_DATA", "CONTINUE", "INCONCLUSIVE"].includes(one.state))),
    inheriting: new Set(verdict.affected.filter((one) => one.class === "INHERITED").map((one) => one.service)).size,
  };
}
