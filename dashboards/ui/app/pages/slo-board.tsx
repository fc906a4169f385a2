// /slo: every objective, worst budget first, as a table, by service, or as a wall; the counts in the head are filters.
import { BudgetSpark } from "../charts/sparkline";
import { count, nines, target } from "../core/format";
import { useKeys } from "../core/keys";
import { useApi } from "../core/load";
import { env, href, query, setQuery } from "../core/router";
import type { Slo, Slos } from "../core/types";
import { pathOf, queryOf } from "../core/url";
import { Budget } from "../slo/budget";
import { SERVICE_COLUMNS, ServiceRows } from "../slo/by-service";
import { LastDeployment } from "../slo/last";
import { NoSlos } from "../slo/none";
import { Remarks } from "../slo/remarks";
import { byService } from "../slo/services";
import { Wall } from "../slo/wall";
import { GROUPS, SLO_ORDER, burnOf } from "../slo/words";
import { BurnChip, SloChip } from "../ui/chip";
import { Head, TextFilter, matches } from "../ui/filter";
import { Empty, Panel } from "../ui/panel";
import { CsvButton, DataTable, type Column } from "../ui/table";

const VIEWS: { id: string; name: string }[] = [{ id: "", name: "Table" }, { id: "service", name: "By service" }, { id: "wall", name: "Wall" }];

export default function SloBoard() {
  const load = useApi<Slos>(`/slos${queryOf({ env: env.value })}`);
  const all = load.data?.slos ?? [];
  const shown = all.filter((slo) => (!query.value["state"] || slo.state === query.value["state"])
    && matches(query.value["q"], slo.service, slo.display_name, slo.objective, slo.name));
  const view = query.value["view"] ?? "";
  const kiosk = query.value["kiosk"] === "1";
  useKeys("SLO board", [{ keys: "w", does: "table, by service, wall", run: () => setQuery({ view: VIEWS[(VIEWS.findIndex((one) => one.id === view) + 1) % VIEWS.length]?.id || null }) }]);
  return (
    <>
      <Head title="SLO board" note={load.data ? `${count(all.length)} ${all.length === 1 ? "objective" : "objectives"}` : null}>
        <div class="views" role="group" aria-label="View">{VIEWS.map((one) => (
          <button key={one.id} type="button" aria-pressed={view === one.id} class={view === one.id ? "on" : undefined} onClick={() => setQuery({ view: one.id || null, kiosk: null })}>{one.name}</button>
        ))}</div>
        {view === "wall" ? <button type="button" aria-pressed={kiosk} onClick={() => setQuery({ kiosk: kiosk ? null : "1" })}>{kiosk ? "Leave kiosk" : "Kiosk"}</button> : null}
        <TextFilter label="filter…" />
        {view === "service"
          ? <CsvButton name="slos-by-service" columns={SERVICE_COLUMNS} rows={byService(shown)} />
          : <CsvButton name="slos" columns={COLUMNS} rows={shown} />}
      </Head>
      <Panel load={load} rows={10}>{(data) => (
        <>
          <Remarks slos={data} />
          {data.slos.length === 0 ? <NoSlos /> : <><Counts slos={data.slos} /><Rows shown={shown} view={view} /></>}
        </>
      )}</Panel>
    </>
  );
}

function Counts({ slos }: { slos: Slo[] }) {
  const chosen = query.value["state"];
  return (
    <div class="card tiles" role="group" aria-label="Filter by state">
      {GROUPS.map((group) => {
        const number = slos.filter((slo) => slo.state === group.state).length;
        return (
          <button key={group.state} type="button" class="tile" aria-pressed={chosen === group.state} title={group.hint}
            onClick={() => setQuery({ state: chosen === group.state ? null : group.state })}>
            <b class={number > 0 ? group.tone : "muted"}>{count(number)}</b><span>{group.name}</span>
          </button>
        );
      })}
    </div>
  );
}

function Rows({ shown, view }: { shown: Slo[]; view: string }) {
  if (shown.length === 0) {
    return <Empty why="filter">No objective matches. <button type="button" onClick={() => setQuery({ q: null, state: null })}>Clear the filter</button></Empty>;
  }
  if (view === "wall") return <Wall slos={shown} />;
  if (view === "service") return <ServiceRows slos={shown} />;
  return <DataTable name="Service level objectives" columns={COLUMNS} rows={shown} rowKey={(slo) => slo.id} />;
}

const burnColumn = (window: string, text: string): Column<Slo> => ({
  id: `burn${window}`, head: text, number: true, hint: `burn rate over ${text}: 1 spends exactly the budget over the window`,
  value: (slo) => burnOf(slo, window), cell: (slo) => <BurnChip rate={burnOf(slo, window)} />,
});

const COLUMNS: Column<Slo>[] = [
  { id: "service", head: "Service", class: "clip name", value: (slo) => slo.service, cell: (slo) => <a data-row href={href(pathOf("slo", slo.id))} title={`${slo.service}: ${slo.display_name}`}>{slo.service}</a> },
  { id: "objective", head: "Objective", class: "clip name", value: (slo) => slo.objective, cell: (slo) => <span title={`${slo.display_name}: ${slo.objective}`}>{slo.kind === "composite" ? `${slo.members.length} members` : slo.objective.replace("<=", "≤")}</span> },
  { id: "state", head: "State", class: "nowrap", value: (slo) => SLO_ORDER.indexOf(slo.state), cell: (slo) => <SloChip state={slo.state} reason={slo.state_reason} /> },
  { id: "target", head: "Target", number: true, value: (slo) => slo.target, cell: (slo) => target(slo.target) },
  { id: "sli", head: "SLI", number: true, value: (slo) => slo.sli, cell: (slo) => <span title={`over ${slo.window}: ${slo.sli ?? "unknown"}`}>{nines(slo.sli)}</span> },
  { id: "budget", head: "Budget left", class: "nowrap", hint: "the tick is at 25 %", value: (slo) => slo.budget_left, cell: (slo) => <Budget slo={slo} /> },
  { id: "spark", head: "Over the window", class: "roomy", hint: "budget left; the tick is the last release", cell: (slo) => <BudgetSpark series={slo.budget_series} released={slo.last_deployment?.first_seen_unix_nano ?? null} /> },
  burnColumn("5m", "5 m"), burnColumn("1h", "1 h"), burnColumn("6h", "6 h"), burnColumn("3d", "3 d"),
  { id: "events", head: "Events", number: true, class: "roomy", value: (slo) => slo.total, cell: (slo) => <span title={`${count(slo.good)} good, ${count(slo.bad)} bad${slo.state_reason ? `; ${slo.state_reason}` : ""}`}>{count(slo.total)}</span> },
  { id: "deployment", head: "Last deployment", class: "nowrap", value: (slo) => slo.last_deployment?.version ?? null, cell: (slo) => <LastDeployment slo={slo} /> },
];
