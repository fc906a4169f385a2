// /services: what every service answers: rate, errors, latency, versions. Biggest impact (rate x p95) first.
import { count, ms, percent, rate } from "../core/format";
import { useApi } from "../core/load";
import { now } from "../core/refresh";
import { env, from, href, query, setQuery, to } from "../core/router";
import { rangeLabel, ago } from "../core/time";
import type { Service, Services } from "../core/types";
import { pathOf, queryOf } from "../core/url";
import { Head, TextFilter, matches } from "../ui/filter";
import { Empty, Panel } from "../ui/panel";
import { setRange } from "../ui/range";
import { CsvButton, DataTable, type Column } from "../ui/table";

export default function ServicesPage() {
  const load = useApi<Services>(`/services${queryOf({ from: from.value, to: to.value, env: env.value })}`);
  const all = load.data?.services ?? [];
  const shown = all.filter((one) => matches(query.value["q"], one.service, one.environment, ...one.versions));
  return (
    <>
      <Head title="Services" note={load.data ? `${count(all.length)} · ${rangeLabel(from.value, to.value)}` : null}>
        <TextFilter label="filter…" />
        <CsvButton name="services" columns={COLUMNS} rows={shown} />
      </Head>
      <Panel load={load} rows={10}>{() => (shown.length > 0
        ? <DataTable name="Services" columns={COLUMNS} rows={shown} rowKey={(one) => `${one.service}|${one.environment}`} sort="-impact" />
        : <Nothing any={all.length > 0} />)}</Panel>
    </>
  );
}

function Nothing({ any }: { any: boolean }) {
  if (any || env.value) {
    return <Empty why="filter">No service matches. <button type="button" onClick={() => setQuery({ q: null, env: null })}>Clear the filter</button></Empty>;
  }
  return (
    <Empty why="range">
      No service answered a request in {rangeLabel(from.value, to.value)}. <button type="button" onClick={() => setRange("now-7d", "now")}>Look at the last 7 d</button> or <a href={href("/start")}>send spans</a>.
    </Empty>
  );
}

export function errorClass(fraction: number | null): string | undefined {
  return fraction !== null && fraction >= 0.01 ? "bad" : fraction !== null && fraction > 0 ? undefined : "muted";
}

const latency = (id: "p50_ms" | "p95_ms" | "p99_ms", head: string): Column<Service> => ({
  id, head, number: true, hint: "at most 1 % relative error", value: (one) => one[id], cell: (one) => <span title={`${one[id] ?? "unknown"} ms`}>{ms(one[id])}</span>,
});

const COLUMNS: Column<Service>[] = [
  { id: "service", head: "Service", class: "nowrap", value: (one) => one.service, cell: (one) => <a data-row href={href(pathOf("services", one.service), { env: env.value || null })}>{one.service}</a> },
  { id: "env", head: "Environment", class: "nowrap", value: (one) => one.environment, cell: (one) => one.environment || <span class="muted">none</span> },
  { id: "impact", head: "Impact", number: true, hint: "rate × p95: seconds of waiting per second", value: (one) => (one.rate_per_s === null || one.p95_ms === null ? null : (one.rate_per_s * one.p95_ms) / 1000), cell: (one) => (one.rate_per_s === null || one.p95_ms === null ? "—" : ms(one.rate_per_s * one.p95_ms).replace(/$/, "/s")) },
  { id: "rate", head: "Rate", number: true, value: (one) => one.rate_per_s, cell: (one) => <span title={String(one.rate_per_s)}>{rate(one.rate_per_s)}</span> },
  { id: "errors", head: "Errors", number: true, value: (one) => one.errors_fraction, cell: (one) => <span class={errorClass(one.errors_fraction)} title={String(one.errors_fraction)}>{percent(one.errors_fraction)}</span> },
  latency("p50_ms", "p50"), latency("p95_ms", "p95"), latency("p99_ms", "p99"),
  { id: "spans", head: "Requests", number: true, value: (one) => one.spans, cell: (one) => count(one.spans) },
  { id: "operations", head: "Operations", number: true, value: (one) => one.operations, cell: (one) => count(one.operations) },
  { id: "versions", head: "Versions", value: (one) => one.versions.join(" "), cell: (one) => one.versions.map((version, at) => <span key={version}>{at > 0 ? ", " : ""}<a class="version" href={href(pathOf("deployments", one.service, version), one.environment ? { env: one.environment } : {})}>{version}</a></span>) },
  { id: "seen", head: "Last seen", number: true, value: (one) => Number(one.last_seen_unix_nano), cell: (one) => ago(one.last_seen_unix_nano, now.value) },
  { id: "traces", head: "", cell: (one) => <a href={href("/traces", { service: one.service })}>traces</a> },
];
