// No objective yet: what a week of traffic suggests, ready to be copied.
import { count, ms, percent } from "../core/format";
import { useApi } from "../core/load";
import { env, href } from "../core/router";
import { copy } from "../core/share";
import type { Services } from "../core/types";
import { queryOf } from "../core/url";
import { Empty } from "../ui/panel";
import { DataTable, type Column } from "../ui/table";
import { SPANS_MIN, suggestions, type Suggestion } from "./suggest";

export function NoSlos() {
  const load = useApi<Services>(`/services${queryOf({ from: "now-7d", env: env.value })}`, false);
  const found = suggestions(load.data?.services ?? []);
  return (
    <>
      <Empty why="no data">
        No SLO is defined. Put OpenSLO v1 YAML into the folder that <code>engine.slo_dir</code> names in the configuration; until then the <a href={href("/deployments")}>deployments</a> and <a href={href("/services")}>services</a> work without.
      </Empty>
      {found.length > 0 ? (
        <section class="card">
          <h2>Suggested from 7 days of traffic <span class="muted">99.9 % without error, 99 % within the p95 rounded up; services with {count(SPANS_MIN)} calls and more</span></h2>
          <DataTable name="Suggested objectives" columns={COLUMNS} rows={found} rowKey={(one) => `${one.service}|${one.environment}`} />
          <div class="controls"><button type="button" onClick={() => void copy(found.map((one) => one.yaml).join("---\n"), "the YAML of all")}>Copy YAML of all</button></div>
        </section>
      ) : null}
    </>
  );
}

const COLUMNS: Column<Suggestion>[] = [
  { id: "service", head: "Service", class: "clip", value: (one) => one.service, cell: (one) => <a data-row href={href(`/services/${encodeURIComponent(one.service)}`)}>{one.service}</a> },
  { id: "env", head: "Environment", class: "nowrap", value: (one) => one.environment, cell: (one) => one.environment || <span class="muted">none</span> },
  { id: "calls", head: "Calls", number: true, value: (one) => one.spans, cell: (one) => count(one.spans) },
  { id: "errors", head: "Errors", number: true, value: (one) => one.errors, cell: (one) => percent(one.errors) },
  { id: "p95", head: "p95", number: true, value: (one) => one.p95, cell: (one) => ms(one.p95) },
  { id: "latency", head: "Suggested latency", number: true, value: (one) => one.latencyMs, cell: (one) => (one.latencyMs === null ? "—" : `≤ ${ms(one.latencyMs)}`) },
  { id: "yaml", head: "OpenSLO", cell: (one) => <button type="button" aria-label={`Copy YAML for ${one.service}`} onClick={() => void copy(one.yaml, `the YAML for ${one.service}`)}>Copy YAML</button> },
];
