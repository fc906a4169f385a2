// The trace as a table: one row per service and operation, with its calls, its time and its part of the critical path.
import { useMemo } from "preact/hooks";
import { count, ns, percent } from "../core/format";
import { serviceColour } from "../core/colour";
import { DataTable, CsvButton, type Column } from "../ui/table";
import { ERROR, operationOf, pathShares, serviceOf, type Model } from "./model";

interface Line { service: string; operation: string; calls: number; errors: number; total: number; self: number; most: number; path: number; whole: number }

export function OperationsView({ model }: { model: Model }) {
  const lines = useMemo(() => linesOf(model), [model]);
  return (
    <>
      <div class="tracebar"><CsvButton name="operations" columns={COLUMNS} rows={lines} /></div>
      <DataTable name="Operations of this trace" columns={COLUMNS} rows={lines} rowKey={(one) => `${one.service}|${one.operation}`} sort="-self" />
    </>
  );
}

export function linesOf(model: Model): Line[] {
  const lines = new Map<string, Line>();
  const { service, operation, status, self_ns: self } = model.body.columns;
  for (let row = 0; row < model.size; row += 1) {
    const key = `${service[row]}|${operation[row]}`;
    const line = lines.get(key) ?? { service: serviceOf(model, row), operation: operationOf(model, row), calls: 0, errors: 0, total: 0, self: 0, most: 0, path: 0, whole: model.durationNs };
    line.calls += 1;
    line.errors += status[row] === ERROR ? 1 : 0;
    line.total += model.length[row] ?? 0;
    line.self += self[row] ?? 0;
    line.most = Math.max(line.most, model.length[row] ?? 0);
    lines.set(key, line);
  }
  const shares = new Map(pathShares(model, model.size).map((one) => [`${one.service}|${one.operation}`, one.ns]));
  return [...lines.values()].map((line) => ({ ...line, path: shares.get(`${line.service}|${line.operation}`) ?? 0 }));
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
