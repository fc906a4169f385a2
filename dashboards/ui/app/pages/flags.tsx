// /flags: one row per feature flag and environment, worst first: who gets which variant, and whether a variant makes any service worse.
import { count, percent } from "../core/format";
import { useApi } from "../core/load";
import { now } from "../core/refresh";
import { env, href, query, setQuery } from "../core/router";
import { ago, dateTime, nanoToMs } from "../core/time";
import type { Flag, Flags } from "../core/types";
import { pathOf, queryOf } from "../core/url";
import { assignmentWord, controlWords } from "../flag/words";
import { VerdictChip } from "../ui/chip";
import { Head, TextFilter, matches } from "../ui/filter";
import { Empty, Panel } from "../ui/panel";
import { classWord } from "../ui/states";
import { CsvButton, DataTable, type Column } from "../ui/table";

export default function FlagsPage() {
  const load = useApi<Flags>(`/flags${queryOf({ env: env.value })}`);
  const all = load.data?.flags ?? [];
  const shown = all.filter((one) => matches(query.value["q"], one.key, one.environment, one.headline, ...one.variants.map((variant) => variant.variant)));
  return (
    <>
      <Head title="Flags" note={load.data ? `${count(all.length)} ${all.length === 1 ? "flag" : "flags"} seen in the traces of the last day` : null}>
        <TextFilter label="filter…" />
        <CsvButton name="flags" columns={COLUMNS} rows={shown} />
      </Head>
      <Panel load={load} rows={6}>{() => (shown.length > 0
        ? <DataTable name="Feature flags" columns={COLUMNS} rows={shown} rowKey={(one) => `${one.key}|${one.environment}`} />
        : <Nothing any={all.length > 0} />)}</Panel>
    </>
  );
}

function Nothing({ any }: { any: boolean }) {
  if (any || env.value) return <Empty why="filter">No flag matches. <button type="button" onClick={() => setQuery({ q: null, env: null })}>Clear the filter</button></Empty>;
  return (
    <Empty why="no data">
      No span says which variant of a flag it saw. Add <code>feature_flag.key</code> and <code>feature_flag.result.variant</code> to a span, or an event <code>feature_flag.evaluation</code> with them, as the OpenTelemetry hooks of OpenFeature do.
    </Empty>
  );
}

/** Worst comparison of a flag: the first of the state that the flag has. */
function worst(flag: Flag) { return flag.comparisons.find((one) => one.state === flag.state) ?? flag.comparisons[0] ?? null; }

const COLUMNS: Column<Flag>[] = [
  { id: "flag", head: "Flag", class: "clip name", value: (one) => one.key, cell: (one) => <a data-row title={one.key} href={href(pathOf("flags", one.key), one.environment ? { env: one.environment } : {})}>{one.key}</a> },
  { id: "env", head: "Environment", class: "clip name roomy", value: (one) => one.environment, cell: (one) => one.environment || <span class="muted">none</span> },
  { id: "state", head: "Verdict", class: "nowrap", value: (one) => one.state, cell: (one) => <VerdictChip state={one.state} also={one.state === "INHERITED" ? null : classWord(one.class)} /> },
  { id: "variants", head: "Variants", class: "clip name", hint: "the control first, with the share of the traces now", value: (one) => one.variants.map((variant) => `${variant.variant} ${variant.share ?? ""}`).join(" "), cell: (one) => <Shares one={one} /> },
  { id: "assignment", head: "Assignment", class: "nowrap", hint: "whether variants are drawn by lot, so that a difference is the variant's doing", value: (one) => one.assignment, cell: (one) => <span class={`chip ${one.assignment === "randomised" ? "calm" : "warn"}`} title={one.assignment_meaning}>{assignmentWord(one)}</span> },
  { id: "traces", head: "Traces", number: true, hint: "with one variant, of the last day", value: (one) => one.traces, cell: (one) => <span title={`${count(one.mixed_traces)} more saw several variants and are not judged`}>{count(one.traces)}</span> },
  { id: "asked", head: "Asked by", class: "clip name roomy", value: (one) => one.asked_by.map((by) => by.name).join(" "), cell: (one) => one.asked_by.map((by) => by.name).join(", ") },
  { id: "changed", head: "Last change", number: true, value: (one) => nanoToMs(one.changes.at(-1)?.at_unix_nano ?? "") ?? null, cell: (one) => <Changed one={one} /> },
  { id: "worse", head: "Worse", number: true, hint: "services that a variant makes worse", value: (one) => worse(one), cell: (one) => <span class={worse(one) > 0 ? "bad strong" : "muted"}>{count(worse(one))}</span> },
  { id: "why", head: "Why", class: "wide why", value: (one) => one.headline, cell: (one) => worst(one)?.headline ?? one.headline },
];

function worse(flag: Flag): number {
  return new Set(flag.comparisons.flatMap((one) => one.services.filter((service) => service.state === "FAIL").map((service) => service.service))).size;
}

function Shares({ one }: { one: Flag }) {
  return (
    <span title={controlWords(one)}>
      {one.variants.map((variant, at) => <span key={variant.variant}>{at > 0 ? " · " : ""}<span class="version">{variant.variant}</span> <span class="muted">{percent(variant.share)}</span></span>)}
    </span>
  );
}

function Changed({ one }: { one: Flag }) {
  const last = one.changes.at(-1);
  if (!last) return <span class="muted">—</span>;
  return <span title={`${last.text}, ${dateTime(nanoToMs(last.at_unix_nano))} UTC`}>{ago(last.at_unix_nano, now.value)}</span>;
}
