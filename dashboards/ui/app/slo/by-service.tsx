// The board with one row for each service: its worst objective, and how many it has.
import { count, percent } from "../core/format";
import { href } from "../core/router";
import type { Slo } from "../core/types";
import { pathOf } from "../core/url";
import { BurnChip, SloChip } from "../ui/chip";
import { DataTable, type Column } from "../ui/table";
import { BudgetBar } from "./budget";
import { LastDeployment } from "./last";
import { byService, type Row } from "./services";
import { SLO_ORDER } from "./words";

export function ServiceRows({ slos }: { slos: Slo[] }) {
  return <DataTable name="Service level objectives by service" columns={SERVICE_COLUMNS} rows={byService(slos)} rowKey={(row) => row.service} />;
}

export const SERVICE_COLUMNS: Column<Row>[] = [
  { id: "service", head: "Service", class: "clip", value: (row) => row.service, cell: (row) => <a data-row title={row.service} href={href("/slo", { q: row.service })}>{row.service}</a> },
  { id: "objectives", head: "Objectives", number: true, value: (row) => row.slos.length, cell: (row) => count(row.slos.length) },
  { id: "state", head: "Worst state", class: "nowrap", value: (row) => SLO_ORDER.indexOf(row.worst.state), cell: (row) => <SloChip state={row.worst.state} reason={row.worst.state_reason} /> },
  { id: "worst", head: "Worst objective", class: "clip", value: (row) => row.worst.objective, cell: (row) => <a title={row.worst.display_name} href={href(pathOf("slo", row.worst.id))}>{row.worst.objective.replace("<=", "≤")}</a> },
  { id: "budget", head: "Its budget left", class: "nowrap", value: (row) => row.worst.budget_left, cell: (row) => <><BudgetBar left={row.worst.budget_left} reason={row.worst.state_reason} /> {percent(row.worst.budget_left)}</> },
  { id: "hour", head: "Highest 1 h burn", number: true, value: (row) => row.hour, cell: (row) => <BurnChip rate={row.hour} /> },
  { id: "deployment", head: "Last deployment", class: "nowrap", value: (row) => row.worst.last_deployment?.version ?? null, cell: (row) => <LastDeployment slo={row.worst} /> },
];
