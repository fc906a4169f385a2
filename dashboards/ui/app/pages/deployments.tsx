// /deployments: one row per service, environment and version, newest first, each with its verdict; a timeline above.
import { change, count, percent, points } from "../core/format";
import { useApi } from "../core/load";
import { now } from "../core/refresh";
import { env, href, query, setQuery } from "../core/router";
import { ago, dateTime, nanoToMs } from "../core/time";
import type { Deployment, Deployments, State } from "../core/types";
import { queryOf } from "../core/url";
import { deploymentHref } from "../deployment/href";
import { Strip } from "../deployment/strip";
import { Unversioned } from "../deployment/unversioned";
import { KINDS, isWarning, noteWord } from "../deployment/words";
import { VerdictChip } from "../ui/chip";
import { Bar, Choice, Head, TextFilter, matches } from "../ui/filter";
import { Empty, Panel } from "../ui/panel";
import { classWord, verdictLook } from "../ui/states";
import { CsvButton, DataTable, type Column } from "../ui/table";

const ORDER: State[] = ["FAIL", "WARN", "INHERITED", "CONTINUE", "INCONCLUSIVE", "NOISY", "CONFOUNDED", "SKEWED", "NO_DATA", "PASS"];
const AGES: [string, string][] = [["1h", "last hour"], ["6h", "last 6 hours"], ["1d", "last day"], ["7d", "last 7 days"]];
const AGE_MS: Record<string, number> = { "1h": 3_600_000, "6h": 21_600_000, "1d": 86_400_000, "7d": 604_800_000 };

export default function DeploymentsPage() {
  const load = useApi<Deployments>(`/deployments${queryOf({ env: env.value })}`);
  const all = load.data?.deployments ?? [];
  const { q, verdict, service, age } = query.value;
  const since = now.value - (AGE_MS[age ?? ""] ?? Infinity);
  const inScope = all.filter((one) => (!service || one.service === service) && (nanoToMs(one.first_seen_unix_nano) ?? 0) >= since
    && matches(q, one.service, one.version, one.environment, one.headline));
  const shown = inScope.filter((one) => !verdict || one.state === verdict);
  const services = [...new Set(all.map((one) => one.service))].sort();
  return (
    <>
      <Head title="Deployments" note={load.data ? `${count(all.length)} ${all.length === 1 ? "version" : "versions"} of ${count(services.length)} ${services.length === 1 ? "service" : "services"}` : null}>
        <Choice name="service" label="every service" options={services.map((name) => [name, name])} />
        <Choice name="age" label="any age" options={AGES} />
        <TextFilter label="filter…" />
        <CsvButton name="deployments" columns={COLUMNS} rows={shown} />
      </Head>
      <Panel load={load} rows={10}>{(data) => (data.deployments.length === 0 ? <Nothing /> : <><Counts all={inScope} /><Unversioned /><Rows shown={shown} /></>)}</Panel>
    </>
  );
}

function Counts({ all }: { all: Deployment[] }) {
  const chosen = query.value["verdict"];
  return (
    <div class="card tiles" role="group" aria-label="Filter by verdict">
      {ORDER.map((state) => {
        const number = all.filter((one) => one.state === state).length;
        if (number === 0 && chosen !== state && state !== "FAIL" && state !== "PASS") return null;
        const look = verdictLook(state);
        return (
          <button key={state} type="button" class="tile" aria-pressed={chosen === state} title={look.means}
            onClick={() => setQuery({ verdict: chosen === state ? null : state })}>
            <b class={number > 0 && look.tone !== "none" && look.tone !== "info" ? look.tone : "muted"}>{count(number)}</b><span>{look.word}</span>
          </button>
        );
      })}
    </div>
  );
}

function Rows({ shown }: { shown: Deployment[] }) {
  if (shown.length === 0) {
    return <Empty why="filter">No deployment matches. <button type="button" onClick={() => setQuery({ q: null, verdict: null, service: null, age: null })}>Clear the filter</button></Empty>;
  }
  return <><Strip deployments={shown} /><DataTable name="Deployments" columns={COLUMNS} rows={shown} rowKey={(one) => `${one.service}|${one.environment}|${one.version}`} /></>;
}

const quantile = (id: "p50" | "p95" | "p99"): Column<Deployment> => ({
  id, head: `Δ ${id}`, number: true, class: id === "p95" ? "" : "roomy", hint: `${id} of the service's total time`, value: (one) => one[`${id}_change`], cell: (one) => <span title={String(one[`${id}_change`])}>{change(one[`${id}_change`])}</span>,
});

const COLUMNS: Column<Deployment>[] = [
  { id: "service", head: "Service", class: "clip name", value: (one) => one.service, cell: (one) => <a data-row title={one.service} href={deploymentHref(one)}>{one.service}</a> },
  { id: "env", head: "Environment", class: "clip name roomy", value: (one) => one.environment, cell: (one) => one.environment || <span class="muted">none</span> },
  { id: "version", head: "Version", class: "clip name", value: (one) => one.version, cell: (one) => <Versions one={one} /> },
  { id: "state", head: "Verdict", class: "nowrap", value: (one) => ORDER.indexOf(one.state), cell: (one) => <VerdictChip state={one.state} also={one.state === "INHERITED" ? null : classWord(one.class)} /> },
  { id: "seen", head: "First seen", number: true, value: (one) => nanoToMs(one.first_seen_unix_nano), cell: (one) => <span title={`${dateTime(nanoToMs(one.first_seen_unix_nano))} UTC, ${KINDS[one.kind] ?? one.kind}`}>{ago(one.first_seen_unix_nano, now.value)}</span> },
  { id: "share", head: "Traffic", class: "nowrap", hint: "share of the service's traffic now", value: (one) => one.share, cell: (one) => <><Bar fraction={one.share} tone="before" label={one.share === null ? "share unknown" : `${percent(one.share)} of the traffic`} /> {percent(one.share)}</> },
  quantile("p50"), quantile("p95"), quantile("p99"),
  { id: "errors", head: "Δ errors", number: true, hint: "percentage points", value: (one) => one.errors_change, cell: (one) => <span title={String(one.errors_change)}>{points(one.errors_change)}</span> },
  { id: "rate", head: "Δ rate", number: true, class: "roomy", hint: "traces per second; while both serve, how the traffic is split", value: (one) => one.rate_change, cell: (one) => <span title={String(one.rate_change)}>{change(one.rate_change)}</span> },
  { id: "own", head: "Own", number: true, hint: "operations that became worse by themselves", value: (one) => one.regressed_operations, cell: (one) => <span class={one.regressed_operations > 0 ? "bad strong" : "muted"}>{count(one.regressed_operations)}</span> },
  { id: "inherited", head: "Affected", number: true, hint: "other services that inherit the change", value: (one) => one.inherited_services, cell: (one) => <span class={one.inherited_services > 0 ? "warn" : "muted"}>{count(one.inherited_services)}</span> },
  { id: "headline", head: "Why", class: "wide why", value: (one) => one.headline, cell: (one) => <><Notes one={one} />{one.headline}{one.explained_by !== null ? <> <a class="nowrap" href={href("/deployments", { service: one.explained_by })}>↳ {one.explained_by}</a></> : null}</> },
];

function Versions({ one }: { one: Deployment }) {
  return (
    <span class="version" title={`${one.previous_version ?? "nothing"} to ${one.version}`}>
      {one.previous_version !== null ? <><span class="muted">{one.previous_version}</span><span class="arrow" aria-label={one.kind === "rollback" ? "back to" : "to"}>{one.kind === "rollback" ? "↩" : "→"}</span></> : null}{one.version}
    </span>
  );
}

/** How it was rolled out, each kind of note once. */
function Notes({ one }: { one: Deployment }) {
  const kinds = [...new Set([...(one.kind === "rollback" || one.kind === "declared" ? [one.kind] : []), ...one.notes.map((note) => note.kind)])];
  return <>{kinds.map((kind) => <span key={kind}><span class={`chip ${isWarning(kind) ? "warn" : "calm"}`} title={one.notes.find((note) => note.kind === kind)?.text}>{noteWord(kind)}</span>{" "}</span>)}</>;
}

function Nothing() {
  if (env.value) return <Empty why="filter">No deployment in <code>{env.value}</code>. <button type="button" onClick={() => setQuery({ env: null })}>Show every environment</button></Empty>;
  return (
    <>
      <Empty why="no data">
        No span with a <code>service.version</code> has arrived. Set it in the resource, for example <code>OTEL_RESOURCE_ATTRIBUTES=service.version=1.4.2</code>; <a href={href("/start")}>how to send spans, language by language</a>.
      </Empty>
      <Unversioned />
    </>
  );
}
