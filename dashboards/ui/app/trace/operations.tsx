// The trace as a table: one row per service and operation, with its calls, its time and its part of the critical path.
import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { count, ns, percent } from "../core/format";
import { serviceColour } from "../core/colour";
import { DataTable, CsvButton, type Column } from "../ui/table";
import { linesOf, type Line } from "./lines";
import type { Model } from "./model";

export function OperationsView({ model, tabs }: { model: Model; tabs: ComponentChildren }) {
  const lines = useMemo(() => linesOf(model), [model]);
  return (
    <>
      <div class="tracebar">{tabs}<CsvButton name="operations" columns={COLUMNS} rows={lines} /></div>
      <DataTable name="Operations of this trace" columns={COLUMNS} rows={lines} rowKey={(one) => `${one.service}|${one.operation}`} sort="-self" />
    </>
  );
}

const time = (id: "total" | "self" | "most", head: string, hint: string): Column<Line> => ({
  id, head, hint, number: true, value: (one) => one[id], cell: (one) => <span title={`${one[id]} ns`}>{ns(one[id])}</span>,
});

const COLUMNS: Column<Line>[] = [
  { id: "service", head: "Service", value: (one) => one.service, cell: (one) => <span class="nowrap"><span class="dot" style={{ background: serviceColour(one.service) }} />{one.service}</span> },
  { id: "operation", head: "Operation", class: "clip", value: (one) => one.operation, cell: (one) => one.operation },
  { id: "calls", head: "Calls", number: true, value: (one) => one.calls, cell: (one) => count(one.calls) },
  { id: "errors", head: "Errors", number: true, value: (one) => one.errors, cell: (one) => <span class={one.errors > 0 ? "bad" : "muted"}>{count(one.errors)}</span> },
  time("total", "Total", "sum of durations; parallel calls count twice"), time("self", "Self", "without the time its children cover"), time("most", "Longest", "the longest call"),
  { id: "path", head: "Critical path", number: true, hint: "time on the path, and its part of the trace", value: (one) => one.path, cell: (one) => <>{ns(one.path)} <span class="delta">{percent(one.path / one.whole)}</span></> },
];
