// Traces that show the difference: a typical one before, a typical and a slow one after, and failures.
import { ms, percent, shortId } from "../core/format";
import { now } from "../core/refresh";
import { href } from "../core/router";
import { moment } from "../core/time";
import type { Exemplar } from "../core/types";
import { pathOf } from "../core/url";
import { DataTable, type Column } from "../ui/table";

const ROLES: Record<Exemplar["role"], { word: string; colour: string }> = {
  baseline_median: { word: "before, typical", colour: "var(--before)" },
  candidate_median: { word: "after, typical", colour: "var(--after)" },
  candidate_slow: { word: "after, slow", colour: "var(--after)" },
  error: { word: "after, failed", colour: "var(--bad)" },
};

const COLUMNS: Column<Exemplar>[] = [
  { id: "role", head: "Set", class: "nowrap", value: (one) => one.role, cell: (one) => <><span class="dot" style={{ background: ROLES[one.role]?.colour ?? "var(--muted)" }} />{ROLES[one.role]?.word ?? one.role}</> },
  { id: "trace", head: "Trace", cell: (one) => <a data-row class="mono" href={href(pathOf("trace", one.trace_id))} title={one.trace_id}>{shortId(one.trace_id)}</a> },
  { id: "duration", head: "Trace duration", number: true, value: (one) => one.duration_ms, cell: (one) => <span title={`${one.duration_ms} ms`}>{ms(one.duration_ms)}</span> },
  { id: "node", head: "Here", number: true, hint: "time spent in the judged operation", value: (one) => one.node_ms, cell: (one) => <span title={`${one.node_ms} ms`}>{ms(one.node_ms)} <span class="delta">{one.node_ms !== null && one.duration_ms > 0 ? percent(one.node_ms / one.duration_ms) : ""}</span></span> },
  { id: "start", head: "Start (UTC)", number: true, value: (one) => one.start_unix_nano, cell: (one) => moment(one.start_unix_nano, now.value) },
];

export function Exemplars({ exemplars }: { exemplars: Exemplar[] }) {
  if (exemplars.length === 0) return <p class="muted">No example yet: they come with the first judgement.</p>;
  return <DataTable name="Example traces" columns={COLUMNS} rows={exemplars} rowKey={(one) => one.role + one.trace_id} keys={false} sortParameter="sort3" />;
}
