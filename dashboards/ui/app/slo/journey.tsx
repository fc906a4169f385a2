// Journeys: what unknown ones leave open, what the conditions alone could say, and whom bad ones are charged to.
import { digits, nines, percent } from "../core/format";
import { href } from "../core/router";
import type { Bounds as Known, Slo, SloDetail } from "../core/types";
import { pathOf } from "../core/url";
import { Bar } from "../ui/filter";
import { DataTable, type Column } from "../ui/table";

type Charged = SloDetail["by_service"][number];

const CHARGED: Column<Charged>[] = [
  { id: "service", head: "Service", class: "clip", value: (one) => one.service ?? "", cell: (one) => (one.service === null
    ? <span class="muted" title="slow without a place that took longer than usual, a step that never came, or too little traffic to know what is usual">unattributed</span>
    : <>{one.caller === null ? null : <span title="the way of calls between the two"><a href={href(pathOf("services", one.caller))}>{one.caller}</a> → </span>}<a data-row href={href(pathOf("services", one.service))}>{one.service}</a></>) },
  { id: "version", head: "Version", class: "nowrap", value: (one) => one.version, cell: (one) => (one.version && one.service !== null ? <a class="version" href={href(pathOf("deployments", one.service, one.version))}>{one.version}</a> : <span class="muted">none</span>) },
  { id: "bad", head: "Bad journeys", number: true, hint: "in parts: a slow one is shared out by who took longer than usual", value: (one) => one.bad, cell: (one) => digits(one.bad) },
  { id: "share", head: "Share of bad journeys", class: "nowrap", value: (one) => one.share, cell: (one) => <><Bar fraction={one.share} tone="bad" label={percent(one.share)} /> {percent(one.share)}</> },
];

export function ChargedTo({ rows }: { rows: Charged[] }) {
  if (rows.length === 0) return <p class="muted">No bad journey in the window.</p>;
  return <DataTable name="Who is charged" columns={CHARGED} rows={rows} rowKey={(one) => `${one.caller}|${one.service}|${one.version}`} keys={false} sortParameter="charged" pageParameter="chargedpage" />;
}

type Condition = Known["conditions"][number];

const CONDITIONS: Column<Condition>[] = [
  { id: "name", head: "Condition", class: "clip", value: (one) => one.name, cell: (one) => <span title={one.name}>{one.name.replace("<=", "≤")}</span> },
  { id: "sli", head: "Met", number: true, value: (one) => one.sli, cell: (one) => <span title={String(one.sli)}>{nines(one.sli)}</span> },
];

/** Beside the journeys that were counted one by one, what is left to say when only each condition is. */
export function Bounds({ slo, bounds }: { slo: Slo; bounds: Known }) {
  return (
    <section class="card">
      <h2>Conditions <span class="muted">each counted for itself</span></h2>
      <DataTable name="Conditions" columns={CONDITIONS} rows={bounds.conditions} rowKey={(one) => one.name} keys={false} sortParameter="conditions" pageParameter="conditionspage" />
      <p class="muted">Journeys counted one by one: <b>{nines(slo.sli)}</b>. From the conditions alone: {nines(bounds.product)} if they were independent, and anything from {nines(bounds.low)} to {nines(bounds.high)}.</p>
    </section>
  );
}
