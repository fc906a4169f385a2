// The findings of a verdict as one table: what was measured where, before and after, whose fault, and why.
import { change, count, ms, percent, short } from "../core/format";
import { href, query, setQuery } from "../core/router";
import type { Finding, Quantiles } from "../core/types";
import { pathOf } from "../core/url";
import { VerdictChip } from "../ui/chip";
import { classWord } from "../ui/states";
import { DataTable, type Column } from "../ui/table";
import { findingKey, placeWords, signalWords } from "./words";

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
  { id: "traces", head: "Traces", number: true, hint: "before and after", value: (one) => one.traces_after, cell: (one) => <span class="muted" title={`${count(one.traces_before)} before, ${count(one.traces_after)} after`}>{short(one.traces_before)}<span class="arrow">→</span>{short(one.traces_after)}</span> },
  { ...quantile("p50"), class: "roomy" }, quantile("p95"), { ...quantile("p99"), class: "roomy" },
  { id: "errors", head: "Errors", number: true, value: (one) => one.errors_after, cell: (one) => <span class="nowrap" title={`${one.errors_before ?? "unknown"} to ${one.errors_after ?? "unknown"}`}>{alike(percent(one.errors_before), percent(one.errors_after))}<span class="arrow">→</span>{percent(one.errors_after)}</span> },
  { id: "ratio", head: "Change, interval", number: true, hint: "ratio after to before, with its confidence interval", value: (one) => one.ratio, cell: (one) => <Interval one={one} /> },
  { id: "own", head: "Own / rest", class: "nowrap roomy", hint: "how much of the slowdown is spent here, and how much in what it calls", value: (one) => one.own_share, cell: (one) => <Split share={one.own_share} /> },
  { id: "why", head: "Why", class: "wide why", value: (one) => one.why, cell: (one) => one.why },
];

function Place({ one }: { one: Finding }) {
  const key = findingKey(one);
  return (
    <>
      <button type="button" class="rowlink" data-row aria-pressed={query.value["op"] === key} title={`${placeWords(one)}: show its times below and its test in the evidence`} onClick={() => setQuery({ op: key }, "replace")}>
        {placeWords(one)}
      </button>{" "}
      <span class="muted">{signalWords(one)}</span>
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
