// The pairs of windows and the conditions that alert, with both rates now, whether they fire, and since when.
import { useApi } from "../core/load";
import { now } from "../core/refresh";
import { ago, dateTime, nanoToMs } from "../core/time";
import type { Alert, Alerts as Answer, FiringAlert, Slo } from "../core/types";
import { BurnChip } from "../ui/chip";
import { DataTable, type Column } from "../ui/table";

export function Alerts({ slo }: { slo: Slo }) {
  const told = useApi<Answer>("/alerts");
  const since = (one: Alert): FiringAlert | undefined => (one.firing
    ? told.data?.alerts.find((alert) => alert.status === "firing" && alert.labels["slo"] === slo.id && alert.labels["severity"] === one.severity) : undefined);
  return <DataTable name="Burn alerts" columns={columns(since)} rows={slo.alerts} rowKey={(one) => `${one.policy ?? ""}|${one.severity}|${one.long}|${one.short}|${one.threshold}`} keys={false} sortParameter="alerts" />;
}

function columns(since: (one: Alert) => FiringAlert | undefined): Column<Alert>[] {
  return [
    { id: "severity", head: "Severity", class: "nowrap", cell: (one) => <>{one.severity}{one.policy !== null ? <span class="muted"> {one.policy}</span> : null}</> },
    { id: "threshold", head: "Threshold", number: true, cell: (one) => `${one.threshold}×` },
    { id: "long", head: "Long window", number: true, cell: (one) => <>{one.long} <BurnChip rate={one.long_rate} /></> },
    { id: "short", head: "Short window", number: true, cell: (one) => <>{one.short} <BurnChip rate={one.short_rate} /></> },
    { id: "firing", head: "State", class: "nowrap", cell: (one) => <State one={one} since={since(one)} /> },
  ];
}

function State({ one, since }: { one: Alert; since: FiringAlert | undefined }) {
  if (one.firing) {
    return (
      <>
        <span class={`chip ${one.severity === "page" ? "bad" : "warn"}`}><span aria-hidden="true">▲</span> firing</span>
        {since ? <span class="muted" title={`${dateTime(nanoToMs(since.starts_at_unix_nano))} UTC`}> since {ago(since.starts_at_unix_nano, now.value)}</span> : null}
      </>
    );
  }
  if (one.long_rate === null) return <span class="chip none"><span aria-hidden="true">○</span> no data</span>;
  const half = one.long_rate >= one.threshold || (one.short_rate ?? 0) >= one.threshold;
  return <span class="chip calm" title={half ? "one window is above the threshold; both must be, with events enough to be sure" : undefined}>{half ? "one window" : "quiet"}</span>;
}
