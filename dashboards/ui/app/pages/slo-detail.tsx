// /slo/{id}: the numbers, budget and burn over time, alerts, members, who burned it, bad traces, and the definition.
import { count, nines, percent, span, target } from "../core/format";
import { useApi } from "../core/load";
import { env, href } from "../core/router";
import { copy } from "../core/share";
import { dateTime, nanoToMs } from "../core/time";
import type { Slo, SloDetail } from "../core/types";
import { pathOf, queryOf } from "../core/url";
import { Alerts } from "../slo/alerts";
import { Charts } from "../slo/charts";
import { Bounds, ChargedTo } from "../slo/journey";
import { Members } from "../slo/members";
import { budgetTone } from "../slo/words";
import { SloChip, VerdictChip } from "../ui/chip";
import { Bar, Head } from "../ui/filter";
import { Panel } from "../ui/panel";
import { sloLook } from "../ui/states";
import { DataTable, type Column } from "../ui/table";
import { TRACE_COLUMNS } from "../ui/traces";

export default function SloPage({ parameters }: { parameters: Record<string, string> }) {
  const id = parameters["id"] ?? "";
  const load = useApi<SloDetail>(`${pathOf("slos", id)}${queryOf({ env: env.value })}`);
  const slo = load.data?.slo;
  return (
    <>
      <Head title={<><a href={href("/slo")}>SLOs</a> / {slo ? slo.service : id}</>} note={slo ? `${slo.display_name} · ${slo.objective.replace("<=", "≤")}` : null}>
        {slo ? <a href={href(pathOf("services", slo.service))}>service</a> : null}
        {slo ? <a href={href("/deployments", { service: slo.service })}>deployments</a> : null}
        {load.data ? <a href={href("/sql", { q: load.data.sql })}>Open in SQL</a> : null}
      </Head>
      <Panel load={load} rows={14}>{(data) => <Shown data={data} />}</Panel>
    </>
  );
}

function Shown({ data }: { data: SloDetail }) {
  const { slo } = data;
  return (
    <>
      <Numbers slo={slo} />
      {slo.members.length > 0 ? <section class="card"><h2>Members <span class="muted">the error ratio is their average by weight</span></h2><Members members={slo.members} /></section> : null}
      <Charts data={data} />
      {slo.bounds !== null ? <div class="columns"><section class="card"><h2>Who is charged <span class="muted">where errors began and time was lost</span></h2><ChargedTo rows={data.by_service} /></section><Bounds slo={slo} bounds={slo.bounds} /></div> : null}
      <div class="columns">
        <section class="card"><h2>Alerts <span class="muted">both windows must be above the threshold</span></h2><Alerts slo={slo} /></section>
        <section class="card"><h2>Who burned it <span class="muted">bad events by operation and version</span></h2><Burners data={data} /></section>
      </div>
      <section class="card">
        <h2>Bad events <span class="muted">traces that cost budget</span></h2>
        {data.bad_traces.length > 0
          ? <DataTable name="Traces that cost budget" columns={TRACE_COLUMNS} rows={data.bad_traces} rowKey={(one) => one.trace_id} />
          : <p class="muted">None is stored{slo.bad > 0 ? `, though ${count(slo.bad)} were counted: they are older than the retention.` : "."}</p>}
      </section>
      <div class="columns">
        <Definition title="Definition" text={data.yaml} />
        <Definition title="The SLI as SQL" text={data.sql} wrap />
      </div>
    </>
  );
}

function Numbers({ slo }: { slo: Slo }) {
  const allowed = (1 - slo.target) * slo.total;
  const left = slo.budget_left;
  const one = allowed > 0 ? 1 / allowed : null;
  // The budget of a composite is an average, which no number of events stands for.
  const inEvents = slo.members.length === 0;
  return (
    <div class="card tiles">
      <SloChip state={slo.state} reason={slo.state_reason} />
      <div class="tile"><b>{target(slo.target)}</b><span>objective over {slo.window}</span></div>
      <div class="tile" title={String(slo.sli)}><b class={slo.sli !== null && slo.sli < slo.target ? "bad" : undefined}>{nines(slo.sli)}</b><span>measured</span></div>
      <div class="tile" title={String(left)}><b class={budgetTone(left)}>{percent(left)}</b><span>of the budget left</span></div>
      {inEvents ? <div class="tile"><b class={left !== null && left < 0 ? "bad" : undefined}>{left === null ? "—" : `${left < 0 ? "−" : ""}${count(Math.abs(allowed * left))}`}</b><span>bad events left of {count(allowed)}</span></div> : null}
      <div class="tile"><b>{slo.exhausted_in_s === null || left === null || left <= 0 ? "—" : span(slo.exhausted_in_s)}</b><span>until spent at this rate</span></div>
      <div class="tile" title={`${count(slo.good)} good`}><b>{count(slo.total)}</b><span>events, {count(slo.bad)} bad</span></div>
      {slo.unknown > 0 ? <div class="tile" title="required steps may be among spans that never came"><b>{count(slo.unknown)}</b><span>unknown: {nines(slo.sli_low)} to {nines(slo.sli_high)}</span></div> : null}
      <span class="end">
        {slo.state_reason ?? sloLook(slo.state).means}
        {slo.window_to_unix_nano !== null ? <><br />the budget starts anew {dateTime(nanoToMs(slo.window_to_unix_nano))} UTC</> : null}
        {slo.last_deployment ? <><br />last deployment <a href={href(pathOf("deployments", slo.last_deployment.service, slo.last_deployment.version))}>{slo.last_deployment.version}</a> <VerdictChip state={slo.last_deployment.state} /></> : null}
        {inEvents && one !== null && one > 0.05 ? <span class="warn"><br />! one bad event is {percent(one)} of the budget</span> : null}
      </span>
    </div>
  );
}

type Burner = SloDetail["by_operation"][number];

/** The share of the bad events, and what that was of the whole budget. */
function burners(slo: Slo): Column<Burner>[] {
  const allowed = (1 - slo.target) * slo.total;
  const cost = (one: Burner): number | null => (slo.members.length === 0 && allowed > 0 ? one.bad / allowed : null);
  return [
    { id: "operation", head: "Operation", class: "clip", value: (one) => one.operation, cell: (one) => <a data-row title={one.operation} href={href("/traces", { service: slo.service, operation: one.operation })}>{one.operation}</a> },
    { id: "version", head: "Version", class: "nowrap", value: (one) => one.version, cell: (one) => (one.version ? <a class="version" href={href(pathOf("deployments", slo.service, one.version))}>{one.version}</a> : <span class="muted">none</span>) },
    { id: "bad", head: "Bad events", number: true, value: (one) => one.bad, cell: (one) => count(one.bad) },
    { id: "cost", head: "Of the budget", number: true, hint: "of the whole budget of the window", value: cost, cell: (one) => percent(cost(one)) },
    { id: "share", head: "Share of bad events", class: "nowrap", value: (one) => one.share, cell: (one) => <><Bar fraction={one.share} tone="bad" label={percent(one.share)} /> {percent(one.share)}</> },
  ];
}

function Burners({ data }: { data: SloDetail }) {
  if (data.by_operation.length === 0) return <p class="muted">{data.slo.bad > 0 ? "Which operations the bad events were of is not known: they were counted before a restart." : "No bad event in the window."}</p>;
  return <DataTable name="Who burned the budget" columns={burners(data.slo)} rows={data.by_operation} rowKey={(one) => `${one.operation}|${one.version}`} keys={false} sortParameter="burners" pageParameter="burnerspage" />;
}

function Definition({ title, text, wrap }: { title: string; text: string; wrap?: boolean }) {
  return (
    <section class="card">
      <h2>{title}</h2>
      <div class="copyable"><pre class={`code${wrap ? " wrap" : ""}`} tabIndex={0} aria-label={title}>{text}</pre><button type="button" aria-label={`Copy ${title.toLowerCase()}`} onClick={() => void copy(text, title.toLowerCase())}>Copy</button></div>
    </section>
  );
}
