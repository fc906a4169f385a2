// /services/{service}: its operations with total and self time.
import { count, ms, percent, rate } from "../core/format";
import { useApi } from "../core/load";
import { env, from, href, query, to } from "../core/router";
import { rangeLabel } from "../core/time";
import type { Operation, Operations } from "../core/types";
import { queryOf } from "../core/url";
import { Head, TextFilter, matches } from "../ui/filter";
import { Empty, Panel } from "../ui/panel";
import { setRange } from "../ui/range";
import { CsvButton, DataTable, type Column } from "../ui/table";
import { errorClass } from "./services";

export default function ServicePage({ parameters }: { parameters: Record<string, string> }) {
  const service = parameters["service"] ?? "";
  const load = useApi<Operations>(`/services/${encodeURIComponent(service)}/operations${queryOf({ from: from.value, to: to.value, env: env.value })}`);
  const all = load.data?.operations ?? [];
  const shown = all.filter((one) => matches(query.value["q"], one.operation, one.kind));
  const columns = columnsOf(service);
  return (
    <>
      <Head title={<><a href={href("/services")}>Services</a> / {service}</>} note={rangeLabel(from.value, to.value)}>
        <a href={href("/deployments", { service })}>deployments</a>
        <a href={href("/traces", { service })}>traces</a>
        <a href={href("/traces", { service, status: "error" })}>failed traces</a>
        <TextFilter label="filter…" />
        <CsvButton name={`${service}-operations`} columns={columns} rows={shown} />
      </Head>
      <Panel load={load} rows={8}>{() => (shown.length > 0
        ? <DataTable name={`Operations of ${service}`} columns={columns} rows={shown} rowKey={(one) => `${one.operation}|${one.kind}`} sort="-calls" />
        : all.length > 0
          ? <Empty why="filter">No operation matches.</Empty>
          : <Empty why="range">{service} has no spans in {rangeLabel(from.value, to.value)}. <button type="button" onClick={() => setRange("now-7d", "now")}>Look at the last 7 d</button></Empty>)}</Panel>
    </>
  );
}

function columnsOf(service: string): Column<Operation>[] {
  const time = (id: "p50_ms" | "p95_ms" | "p99_ms" | "self_p50_ms" | "self_p95_ms", head: string, hint: string): Column<Operation> => ({
    id, head, hint, number: true, value: (one) => one[id], cell: (one) => <span title={`${one[id] ?? "unknown"} ms`}>{ms(one[id])}</span>,
  });
  return [
    { id: "operation", head: "Operation", class: "clip", value: (one) => one.operation, cell: (one) => <a data-row href={href("/traces", { service, operation: one.operation })}>{one.operation}</a> },
    { id: "kind", head: "Kind", value: (one) => one.kind, cell: (one) => <span class="muted">{one.kind.toLowerCase()}</span> },
    { id: "calls", head: "Calls", number: true, value: (one) => one.calls, cell: (one) => count(one.calls) },
    { id: "rate", head: "Rate", number: true, value: (one) => one.rate_per_s, cell: (one) => rate(one.rate_per_s) },
    { id: "errors", head: "Errors", number: true, value: (one) => one.errors_fraction, cell: (one) => <span class={errorClass(one.errors_fraction)}>{percent(one.errors_fraction)}</span> },
    time("p50_ms", "p50", "whole duration"), time("p95_ms", "p95", "whole duration"), time("p99_ms", "p99", "whole duration"),
    time("self_p50_ms", "self p50", "without the time its children cover"), time("self_p95_ms", "self p95", "without the time its children cover"),
  ];
}
