// A verdict as Markdown, for the incident channel.
import { change, count, ms, percent } from "../core/format";
import type { Deployment, Finding, Verdict } from "../core/types";

export function markdown(deployment: Deployment, verdict: Verdict, link: string): string {
  const lines = [
    `**${verdict.state}** ${escape(deployment.service)} ${escape(deployment.previous_version ?? "?")} → ${escape(deployment.version)}${deployment.environment ? ` (${escape(deployment.environment)})` : ""}`,
    "", escape(verdict.headline),
    "", "| where | verdict | p95 before | p95 after | errors | change | traces |", "|---|---|---|---|---|---|---|",
    ...[...verdict.findings, ...verdict.affected].map(row),
  ];
  if (verdict.baseline) lines.push("", `Baseline: ${escape(verdict.baseline.meaning)}, ${count(verdict.baseline.traces)} traces against ${count(verdict.candidate.traces)}.`);
  if (verdict.exemplars.length > 0) lines.push("", ...verdict.exemplars.map((one) => `- ${one.role.replace(/_/g, " ")}: \`${one.trace_id}\`, ${ms(one.duration_ms)}`));
  lines.push("", link);
  return lines.join("\n");
}

function row(one: Finding): string {
  return `| ${[
    `${escape(one.service)} ${escape(one.operation ?? one.peer ?? "")}`, `${one.state}${one.class ? ` ${one.class}` : ""}`,
    ms(one.before_ms?.p95), ms(one.after_ms?.p95), `${percent(one.errors_before)} → ${percent(one.errors_after)}`,
    change(one.ratio === null ? null : one.ratio - 1), `${count(one.traces_before)} / ${count(one.traces_after)}`,
  ].join(" | ")} |`;
}

/** Keeps names from ending a table cell or becoming markup. */
function escape(text: string): string {
  return text.replace(/[\\|*_`<>[\]]/g, "\\$&").replace(/\s+/g, " ");
}
