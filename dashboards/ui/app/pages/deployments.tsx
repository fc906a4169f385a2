// /deployments: one row per service, environment and version, newest first, each with its verdict.
import { change, count, percent, points } from "../core/format";
import { useApi } from "../core/load";
import { now } from "../core/refresh";
import { env, href, query, setQuery } from "../core/router";
import { ago, dateTime, nanoToMs } from "../core/time";
import type { Deployment, Deployments, State } from "../core/types";
import { pathOf, queryOf } from "../core/url";
import { VerdictChip, classWord, verdictLook } from "../ui/chip";
import { Bar, Choice, Head, TextFilter, matches } from "../ui/filter";
import { Empty, Panel } from "../ui/panel";
import { CsvButton, DataTable, type Column } from "../ui/table";

const ORDER: State[] = ["FAIL", "WARN", "INHERITED", "CONTINUE", "INCONCLUSIVE", "NOISY", "CONFOUNDED", "SKEWED", "NO_DATA", "PASS"];

export default function DeploymentsPage() {
  const load = useApi<Deployments>(`/deployments${queryOf({ env: env.value })}`);
  const all = load.data?.deployments ?? [];
  const { q, verdict, service } = query.value;
  const shown = all.filter((one) => (!verdict || one.state === verdict) && (!service || one.service === service)
    && matches(q, one.service, one.version, one.environment, one.headline));
  const services = [...new Set(all.map((one) => one.service))].sort();
  return (
    <>
      <Head title="Deployments" note={load.data ? `${count(all.length)} versions of ${count(services.length)} services` : null}>
        <Choice name="service" label="every service" options={services.map((name) => [name, name])} />
        <TextFilter label="filter…" />
        <CsvButton name="deployments" columns={COLUMNS} rows={shown} />
      </Head>
      <Panel load={load} rows={10}>{(data) => (data.deployments.length === 0 ? <Nothing /> : <><Counts all={data.deployments} /><Rows shown={shown} /></>)}</Panel>
    </>
  );
}

function Counts({ all }: { all: Deployment[] }) {
  const chosen = query.value["verdict"];
  return (
    <div class="card tiles">
      {ORDER.map((state) => {
        const number = all.filter((one) => one.state === state).length;
        if (number === 0 && chosen !== state && state !== "FAIL" && state !== "PASS") return null;
        const look = verdictLook(state);
        return (
          <button key={state} type="button" class="tile" aria-pressed={chosen === state} title={look.means}
            onClick={() => setQuery({ verdict: chosen === state ? null : state })}>
            <b class={number > 0 && look.tone !== "none" && look.tone !== "info" ? look.tone : "muted"}>{number}</b><span>{look.word}</span>
          </button>
        );
      })}
    </div>
  );
}

function Rows({ shown }: { shown: Deployment[] }) {
  if (shown.length === 0) {
    return <Empty why="filter">No deployment matches. <button type="button" onClick={() => setQuery({ q: null, verdict: null, service: null })}>Clear the filter</button></Empty>;
  }
  return <DataTable name="Deployments" columns={COLUMNS} rows={shown} rowKey={(one) => `${one.service}|${one.environment}|${one.version}`} />;
}

export function deploymentHref(one: { service: string; version: string; environment?: string }): string {
  return href(pathOf("deployments", one.service, one.version), one.environment ? { env: one.environment } : {});
}

const KINDS: Record<Deployment["kind"], string> = { first: "first version seen", release: "release", rollback: "rollback", declared: "declared, no span yet" };

const COLUMNS: Column<Deployment>[] = [
  { id: "service", head: "Service", class: "nowrap", value: (one) => one.service, cell: (one) => <a data-row href={deploymentHref(one)}>{one.service}</a> },
  { id: "env", head: "Environment", class: "nowrap", value: (one) => one.environment, cell: (one) => one.environment || <span class="muted">none</span> },
  { id: "version", head: "Version", class: "nowrap", value: (one) => one.version, cell: (one) => <Versions one={one} /> },
  { id: "state", head: "Verdict", class: "nowrap", value: (one) => ORDER.indexOf(one.state), cell: (one) => <VerdictChip state={one.state} also={one.state === "INHERITED" ? null : classWord(one.class)} /> },
  { id: "seen", head: "First seen", number: true, value: (one) => nanoToMs(one.first_seen_unix_nano), cell: (one) => <span title={`${dateTime(nanoToMs(one.first_seen_unix_nano))} UTC, ${KINDS[one.kind]}`}>{ago(one.first_seen_unix_nano, now.value)}</span> },
  { id: "share", head: "Traffic", class: "nowrap", hint: "share of the service's traffic now", value: (one) => one.share, cell: (one) => <><Bar fraction={one.share} tone="before" label={`${percent(one.share)} of the traffic`} /> {percent(one.share)}</> },
  { id: "p95", head: "Δ p95", number: true, value: (one) => one.p95_change, cell: (one) => <span title={String(one.p95_change)}>{change(one.p95_change)}</span> },
  { id: "errors", head: "Δ errors", number: true, hint: "percentage points", value: (one) => one.errors_change, cell: (one) => <span title={String(one.errors_change)}>{points(one.errors_change)}</span> },
  { id: "rate", head: "Δ rate", number: true, value: (one) => one.rate_change, cell: (one) => <span title={String(one.rate_change)}>{change(one.rate_change)}</span> },
  { id: "own", head: "Regressed", number: true, hint: "operations that became worse by themselves", value: (one) => one.regressed_operations, cell: (one) => <span class={one.regressed_operations > 0 ? "bad strong" : "muted"}>{one.regressed_operations}</span> },
  { id: "inherited", head: "Affected", number: true, hint: "other services that inherit the change", value: (one) => one.inherited_services, cell: (one) => <span class={one.inherited_services > 0 ? "warn" : "muted"}>{one.inherited_services}</span> },
  { id: "headline", head: "Why", class: "wide why", value: (one) => one.headline, cell: (one) => one.headline },
];

function Versions({ one }: { one: Deployment }) {
  return (
    <span class="version">
      {one.previous_version !== null ? <><span class="muted">{one.previous_version}</span><span class="arrow">{one.kind === "rollback" ? "↩" : "→"}</span></> : null}{one.version}
    </span>
  );
}

function Nothing() {
  if (env.value) return <Empty why="filter">No deployment in <code>{env.value}</code>. <button type="button" onClick={() => setQuery({ env: null })}>Show every environment</button></Empty>;
  return (
    <Empty why="no data">
      No span with a <code>service.version</code> has arrived. Set it in the resource, for example <code>OTEL_RESOURCE_ATTRIBUTES=service.version=1.4.2</code>; <a href={href("/start")}>how to send spans</a>.
    </Empty>
  );
}
