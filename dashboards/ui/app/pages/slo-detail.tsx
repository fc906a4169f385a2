// /slo/{id}: the three numbers, budget and burn over time, alerts, who burned it, bad traces, and the definition.
import { useMemo } from "preact/hooks";
import { Plot, type Line } from "../charts/plot";
import { count, digits, nines, percent, span, target } from "../core/format";
import { useApi } from "../core/load";
import { env, href } from "../core/router";
import { copy } from "../core/share";
import { nanoToMs } from "../core/time";
import type { Alert, Slo, SloDetail } from "../core/types";
import { pathOf, queryOf } from "../core/url";
import { BurnChip, SloChip, VerdictChip } from "../ui/chip";
import { Bar, Head } from "../ui/filter";
import { Empty, Panel } from "../ui/panel";
import { DataTable, type Column } from "../ui/table";
import { TRACE_COLUMNS } from "../ui/traces";
import { budgetTone } from "./slo-board";

export default function SloPage({ parameters }: { parameters: Record<string, string> }) {
  const id = parameters["id"] ?? "";
  const load = useApi<SloDetail>(`${pathOf("slos", id)}${queryOf({ env: env.value })}`);
  const slo = load.data?.slo;
  return (
    <>
      <Head title={<><a href={href("/slo")}>SLOs</a> / {slo ? slo.service : id}</>} note={slo ? `${slo.objective.replace("<=", "≤")} · ${slo.display_name}` : null}>
        {slo ? <a href={href(pathOf("services", slo.service))}>service</a> : null}
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
      <Charts data={data} />
      <div class="columns">
        <section class="card"><h2>Alerts <span class="muted">both windows must be above the threshold</span></h2><Alerts alerts={slo.alerts} /></section>
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
  return (
    <div class="card tiles">
      <SloChip state={slo.state} reason={slo.state_reason} />
      <div class="tile"><b>{target(slo.target)}</b><span>objective over {slo.window}</span></div>
      <div class="tile" title={String(slo.sli)}><b class={slo.sli !== null && slo.sli < slo.target ? "bad" : undefined}>{nines(slo.sli)}</b><span>measured</span></div>
      <div class="tile" title={String(left)}><b class={budgetTone(left)}>{percent(left)}</b><span>of the budget left</span></div>
      <div class="tile"><b>{left === null ? "—" : count(Math.max(0, allowed * left))}</b><span>bad events left of {count(allowed)}</span></div>
      <div class="tile"><b>{slo.exhausted_in_s === null || left === null || left <= 0 ? "—" : span(slo.exhausted_in_s)}</b><span>until spent at this rate</span></div>
      <div class="tile" title={`${count(slo.good)} good`}><b>{count(slo.total)}</b><span>events, {count(slo.bad)} bad</span></div>
      {slo.state_reason ? <span class="end">{slo.state_reason}</span> : null}
      {one !== null && one > 0.05 ? <span class="end warn">! one bad event is {percent(one)} of the budget</span> : null}
      {slo.last_deployment ? <span class="end">last deployment <a href={href(pathOf("deployments", slo.last_deployment.service, slo.last_deployment.version))}>{slo.last_deployment.version}</a> <VerdictChip state={slo.last_deployment.state} /></span> : null}
    </div>
  );
}

/** Series of the charts, kept as long as their data is the same: uPlot starts over when they change. */
function useSeries(data: SloDetail) {
  const stamp = `${data.slo.id}|${data.series.length}|${data.as_of_unix_nano}`;
  return useMemo(() => {
    const seconds = (nano: string): number => (nanoToMs(nano) ?? 0) / 1000;
    const { series } = data;
    const one = (label: string, colour: string, values: (number | null)[], more: Partial<Line> = {}): Line[] => [{ label, colour, values, ...more }];
    return {
      budgetTimes: data.slo.budget_series.map((point) => seconds(point.t_unix_nano)),
      budget: one("budget left", "--series", data.slo.budget_series.map((point) => point.budget_left)),
      times: series.map((point) => seconds(point.t_unix_nano)),
      sli: one("SLI", "--series", series.map((point) => point.sli)),
      burn: [...one("long window", "--after", series.map((point) => point.burn_long)), ...one("short window", "--before", series.map((point) => point.burn_short), { dash: [4, 3] })],
      events: [...one("good", "--good", series.map((point) => point.good)), ...one("bad", "--bad", series.map((point) => point.bad))],
    };
  }, [stamp]);
}

const ZERO = [{ value: 0, colour: "--bad" }];
const BURN_LEVELS = [{ value: 1, colour: "--muted" }, { value: 6, colour: "--warn" }, { value: 14.4, colour: "--bad" }];

function Charts({ data }: { data: SloDetail }) {
  const drawn = useSeries(data);
  if (drawn.times.length < 2 && drawn.budgetTimes.length < 2) return <Empty why="no data">Fewer than two points in the window; the charts begin with the second.</Empty>;
  const share = (value: number): string => percent(value);
  return (
    <div class="columns charts">
      <section class="card"><h2>Error budget <span class="muted">over {data.slo.window}</span></h2><Plot name="error budget over time" times={drawn.budgetTimes} lines={drawn.budget} levels={ZERO} format={share} /></section>
      <section class="card"><h2>SLI <span class="muted">dashed: target {target(data.slo.target)}</span></h2><Plot name="SLI over time" times={drawn.times} lines={drawn.sli} levels={[{ value: data.slo.target, colour: "--bad" }]} format={(value) => `${digits(value * 100, 5)} %`} /></section>
      <section class="card"><h2>Burn rate <span class="muted">dashed: 1, 6 and 14.4</span></h2><Plot name="burn rate over time" times={drawn.times} lines={drawn.burn} levels={BURN_LEVELS} low={0} format={(value) => `${digits(value)}×`} /></section>
      <section class="card"><h2>Events</h2><Plot name="events over time" times={drawn.times} lines={drawn.events} low={0} format={(value) => digits(value)} /></section>
    </div>
  );
}

const ALERT_COLUMNS: Column<Alert>[] = [
  { id: "severity", head: "Severity", cell: (one) => one.severity },
  { id: "threshold", head: "Threshold", number: true, cell: (one) => `${one.threshold}×` },
  { id: "long", head: "Long window", number: true, cell: (one) => <>{one.long} <BurnChip rate={one.long_rate} /></> },
  { id: "short", head: "Short window", number: true, cell: (one) => <>{one.short} <BurnChip rate={one.short_rate} /></> },
  { id: "firing", head: "State", cell: (one) => (one.firing
    ? <span class={`chip ${one.severity === "page" ? "bad" : "warn"}`}>▲ firing</span>
    : one.long_rate === null ? <span class="chip none">○ no data</span> : <span class="chip calm">quiet</span>) },
];

function Alerts({ alerts }: { alerts: Alert[] }) {
  return <DataTable name="Burn alerts" columns={ALERT_COLUMNS} rows={alerts} rowKey={(one) => `${one.severity}${one.long}`} keys={false} sortParameter="alerts" />;
}

type Burner = SloDetail["by_operation"][number];
const BURNER_COLUMNS: Column<Burner>[] = [
  { id: "operation", head: "Operation", class: "clip", cell: (one) => one.operation },
  { id: "version", head: "Version", cell: (one) => <span class="version">{one.version}</span> },
  { id: "bad", head: "Bad events", number: true, cell: (one) => count(one.bad) },
  { id: "share", head: "Share", class: "nowrap", cell: (one) => <><Bar fraction={one.share} tone="bad" label={percent(one.share)} /> {percent(one.share)}</> },
];

function Burners({ data }: { data: SloDetail }) {
  if (data.by_operation.length === 0) return <p class="muted">No bad event in the window.</p>;
  return <DataTable name="Who burned the budget" columns={BURNER_COLUMNS} rows={data.by_operation} rowKey={(one) => `${one.operation}|${one.version}`} keys={false} sortParameter="burners" />;
}

function Definition({ title, text, wrap }: { title: string; text: string; wrap?: boolean }) {
  return (
    <section class="card">
      <h2>{title}</h2>
      <div class="copyable"><pre class={`code${wrap ? " wrap" : ""}`}>{text}</pre><button type="button" onClick={() => void copy(text, title.toLowerCase())}>Copy</button></div>
    </section>
  );
}
