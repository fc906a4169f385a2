// /slo: every objective, worst budget first; the counts in the head are filters.
import { BudgetSpark } from "../charts/sparkline";
import { count, nines, percent, span, target } from "../core/format";
import { useApi } from "../core/load";
import { env, href, query, setQuery } from "../core/router";
import type { Slo, Slos, SloState } from "../core/types";
import { pathOf, queryOf } from "../core/url";
import { BurnChip, SloChip, VerdictChip } from "../ui/chip";
import { Bar, Head, TextFilter, matches } from "../ui/filter";
import { Empty, Panel } from "../ui/panel";
import { CsvButton, DataTable, type Column } from "../ui/table";

const GROUPS: { state: SloState; name: string; tone: string }[] = [
  { state: "spent", name: "budget spent", tone: "bad" },
  { state: "burning_page", name: "page-level burn (1 h & 5 m ≥ 14.4×)", tone: "bad" },
  { state: "burning_ticket", name: "ticket-level burn", tone: "warn" },
  { state: "low_traffic", name: "not enough data", tone: "" },
  { state: "no_data", name: "no traffic", tone: "" },
  { state: "ok", name: "inside", tone: "good" },
];

export default function SloBoard() {
  const load = useApi<Slos>(`/slos${queryOf({ env: env.value })}`);
  const all = load.data?.slos ?? [];
  const shown = all.filter((slo) => (!query.value["state"] || slo.state === query.value["state"])
    && matches(query.value["q"], slo.service, slo.display_name, slo.objective, slo.name));
  return (
    <>
      <Head title="SLO board" note={load.data ? `${count(all.length)} ${all.length === 1 ? "objective" : "objectives"}` : null}>
        <TextFilter label="filter…" />
        <CsvButton name="slos" columns={COLUMNS} rows={shown} />
      </Head>
      <Panel load={load} rows={10}>{(data) => (
        <>
          <Problems slos={data} />
          {data.slos.length === 0 ? <NoSlos /> : <><Counts slos={data.slos} /><Rows shown={shown} /></>}
        </>
      )}</Panel>
    </>
  );
}

function Counts({ slos }: { slos: Slo[] }) {
  const chosen = query.value["state"];
  return (
    <div class="card tiles">
      {GROUPS.map((group) => {
        const number = slos.filter((slo) => slo.state === group.state).length;
        return (
          <button key={group.state} type="button" class="tile" aria-pressed={chosen === group.state}
            onClick={() => setQuery({ state: chosen === group.state ? null : group.state })}>
            <b class={number > 0 ? group.tone : "muted"}>{number}</b><span>{group.name}</span>
          </button>
        );
      })}
    </div>
  );
}

function Rows({ shown }: { shown: Slo[] }) {
  if (shown.length === 0) {
    return <Empty why="filter">No objective matches. <button type="button" onClick={() => setQuery({ q: null, state: null })}>Clear the filter</button></Empty>;
  }
  return <DataTable name="Service level objectives" columns={COLUMNS} rows={shown} rowKey={(slo) => slo.id} />;
}

export function budgetTone(left: number | null): string {
  return left === null ? "" : left < 0 ? "bad" : left < 0.25 ? "warn" : "good";
}

const burnColumn = (window: string, text: string): Column<Slo> => ({
  id: `burn${window}`, head: text, number: true, hint: `burn rate over ${text}: 1 spends exactly the budget over the window`,
  value: (slo) => slo.burn.find((one) => one.window === window)?.rate ?? null,
  cell: (slo) => <BurnChip rate={slo.burn.find((one) => one.window === window)?.rate ?? null} />,
});

const COLUMNS: Column<Slo>[] = [
  { id: "service", head: "Service", value: (slo) => slo.service, cell: (slo) => <a data-row href={href(pathOf("slo", slo.id))} title={slo.display_name}>{slo.service}</a> },
  { id: "objective", head: "Objective", class: "nowrap", value: (slo) => slo.objective, cell: (slo) => <span title={slo.display_name}>{slo.objective.replace("<=", "≤")}</span> },
  { id: "state", head: "State", value: (slo) => slo.state, cell: (slo) => <SloChip state={slo.state} reason={slo.state_reason} /> },
  { id: "target", head: "Target", number: true, value: (slo) => slo.target, cell: (slo) => target(slo.target) },
  { id: "sli", head: "SLI", number: true, value: (slo) => slo.sli, cell: (slo) => <span title={`over ${slo.window}: ${slo.sli ?? "unknown"}`}>{nines(slo.sli)}</span> },
  { id: "budget", head: "Budget left", class: "nowrap", value: (slo) => slo.budget_left, cell: (slo) => <Budget slo={slo} /> },
  { id: "spark", head: "Budget over the window", cell: (slo) => <BudgetSpark series={slo.budget_series} /> },
  burnColumn("5m", "5 m"), burnColumn("1h", "1 h"), burnColumn("6h", "6 h"), burnColumn("3d", "3 d"),
  { id: "events", head: "Events", number: true, value: (slo) => slo.total, cell: (slo) => <span title={`${count(slo.good)} good, ${count(slo.bad)} bad${slo.state_reason ? `; ${slo.state_reason}` : ""}`}>{count(slo.total)}</span> },
  { id: "deployment", head: "Last deployment", class: "nowrap", value: (slo) => slo.last_deployment?.version ?? null, cell: (slo) => <Last slo={slo} /> },
];

function Budget({ slo }: { slo: Slo }) {
  if (slo.budget_left === null) return <><Bar fraction={null} tone="" label="unknown" /> <span class="muted">{slo.state_reason ?? "—"}</span></>;
  const tone = budgetTone(slo.budget_left);
  return (
    <>
      <Bar fraction={slo.budget_left} tone={tone} label={`${slo.budget_left * 100} % of the budget left`} />{" "}
      <span class={slo.budget_left < 0 ? "bad" : undefined}>{percent(slo.budget_left)}</span>
      {slo.exhausted_in_s !== null && slo.budget_left > 0 ? <span class="muted"> out in {span(slo.exhausted_in_s)}</span> : null}
    </>
  );
}

function Last({ slo }: { slo: Slo }) {
  const last = slo.last_deployment;
  if (!last) return <span class="muted">—</span>;
  return <><a href={href(pathOf("deployments", last.service, last.version))}>{last.version}</a> <VerdictChip state={last.state} /></>;
}

function Problems({ slos }: { slos: Slos }) {
  if (slos.problems.length === 0) return null;
  return (
    <div class="failure problems" role="alert">
      <strong>{slos.problems.length} SLO {slos.problems.length === 1 ? "file has" : "files have"} a mistake</strong>
      <ul class="lines">{slos.problems.map((one, at) => <li key={at}><code>{one.file}{one.line === null ? "" : `:${one.line}`}</code> {one.message}</li>)}</ul>
    </div>
  );
}

function NoSlos() {
  return (
    <Empty why="no data">
      No SLO is defined. Put OpenSLO v1 YAML into the folder that <code>slo</code> names in the configuration; until then the <a href={href("/deployments")}>deployments</a> and <a href={href("/services")}>services</a> work without.
    </Empty>
  );
}
