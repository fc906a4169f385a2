// The findings of a verdict as one table: what was measured where, before and after, whose fault, and why.
import { change, count, ms, percent, short } from "../core/format";
import { href, query, setQuery } from "../core/router";
import type { Finding, Quantiles } from "../core/types";
import { pathOf } from "../core/url";
import { VerdictChip, classWord } from "../ui/chip";
import { DataTable, type Column } from "../ui/table";

export function findingKey(one: Finding): string {
  return [one.node, one.service, one.operation ?? "", one.peer ?? "", one.signal].join("|");
}

/** Words for the place of a finding: an operation, an edge, or the whole service. */
export function placeWords(one: Finding): string {
  if (one.node === "edge") return `call ${one.peer ?? "?"} → ${one.service}${one.operation ? ` ${one.operation}` : ""}`;
  return one.operation ?? (one.node === "total" ? "whole requests" : "all operations");
}

/** What was measured, where it is not the self time. */
function signalWords(one: Finding): string {
  if (one.signal === "errors") return "errors";
  return one.node === "edge" ? "edge gap" : one.node === "total" ? "total time" : "";
}

export function FindingsTable({ findings, selected, name, own }: { findings: Finding[]; selected: Finding | null; name: string; own: boolean }) {
  const columns = own ? COLUMNS : [SERVICE, ...COLUMNS];
  return (
    <DataTable name={name} columns={columns} rows={findings} rowKey={findingKey} keys={own} sortParameter={own ? "sort" : "sort2"}
      selected={(one) => selected !== null && findingKey(one) === findingKey(selected)} />
  );
}

function fromTo(before: number | null | undefined, after: number | null | undefined, show: (value: number | null | undefined) => string) {
  return (
    <span class="nowrap" title={`${before ?? "unknown"} to ${after ?? "unknown"}`}>
      {alike(show(before), show(after))}<span class="arrow">→</span>{show(after)}
    </span>
  );
}

/** "82 ms → 131 ms" says the unit twice: the first is left out when both are the same. */
function alike(before: string, after: string): string {
  const unit = / \D+$/.exec(before)?.[0];
  return unit && after.endsWith(unit) ? before.slice(0, -unit.length) : before;
}

const quantile = (id: keyof Quantiles): Column<Finding> => ({
  id, head: id, number: true, value: (one) => one.after_ms?.[id] ?? null,
  cell: (one) => (one.signal === "errors" ? <span class="muted">—</span> : fromTo(one.before_ms?.[id], one.after_ms?.[id], ms)),
});

const SERVICE: Column<Finding> = {
  id: "service", head: "Service", class: "nowrap", value: (one) => one.service, cell: (one) => <a data-row href={href(pathOf("services", one.service))}>{one.service}</a>,
};

const COLUMNS: Column<Finding>[] = [
  { id: "operation", head: "Operation", class: "clip place", value: (one) => placeWords(one), cell: (one) => <Place one={one} /> },
  { id: "verdict", head: "Verdict", class: "nowrap", value: (one) => one.state, cell: (one) => <VerdictChip state={one.state} also={one.state === "INHERITED" ? null : classWord(one.class)} /> },
  { id: "before", head: "Traces", number: true, value: (one) => one.traces_before, cell: (one) => <span class="muted" title={count(one.traces_before)}>{short(one.traces_before)}</span> },
  { id: "after", head: "after", number: true, value: (one) => one.traces_after, cell: (one) => <span class="muted" title={count(one.traces_after)}>{short(one.traces_after)}</span> },
  quantile("p50"), quantile("p95"), quantile("p99"),
  { id: "errors", head: "Errors", number: true, value: (one) => one.errors_after, cell: (one) => <span class="nowrap" title={`${one.errors_before ?? "unknown"} to ${one.errors_after ?? "unknown"}`}>{alike(percent(one.errors_before), percent(one.errors_after))}<span class="arrow">→</span>{percent(one.errors_after)}</span> },
  { id: "ratio", head: "Change, interval", number: true, hint: "ratio after to before, with its confidence interval", value: (one) => one.ratio, cell: (one) => <Interval one={one} /> },
  { id: "own", head: "Own / rest", class: "nowrap", hint: "how much of the slowdown is spent here, and how much in what it calls", value: (one) => one.own_share, cell: (one) => <Split share={one.own_share} /> },
  { id: "why", head: "Why", class: "wide why", value: (one) => one.why, cell: (one) => one.why },
];

function Place({ one }: { one: Finding }) {
  const key = findingKey(one);
  return (
    <>
      <button type="button" class="rowlink" data-row aria-pressed={query.value["op"] === key} title={`${placeWords(one)}: show its latency below`} onClick={() => setQuery({ op: key }, "replace")}>
        {placeWords(one)}
      </button>{" "}
      {signalWords(one) ? <span class="muted">{signalWords(one)}</span> : null}
    </>
  );
}

function Interval({ one }: { one: Finding }) {
  if (one.ratio === null) return <span class="muted">—</span>;
  const interval = one.ratio_low !== null && one.ratio_high !== null ? `${change(one.ratio_low - 1).replace(" %", "")}…${change(one.ratio_high - 1)}` : "";
  return <span class="nowrap" title={`ratio ${one.ratio}, from ${one.ratio_low} to ${one.ratio_high}`}>{change(one.ratio - 1)} <span class="muted">{interval}</span></span>;
}

function Split({ share }: { share: number | null }) {
  if (share === null) return <span class="muted">—</span>;
  const own = Math.max(0, Math.min(1, share));
  const text = `${percent(own)} own time, ${percent(1 - own)} in what it calls`;
  return <span class="split" role="img" aria-label={text} title={text}><span class="own" style={{ width: `${own * 100}%` }} /><span class="other" /></span>;
}
