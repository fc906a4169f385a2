// The members of a composite objective: what each promised, kept, and burnt of the common budget.
import { count, digits, nines, percent, target } from "../core/format";
import { href } from "../core/router";
import type { Member } from "../core/types";
import { pathOf } from "../core/url";
import { Bar } from "../ui/filter";
import { DataTable, type Column } from "../ui/table";

export function Members({ members }: { members: Member[] }) {
  return <DataTable name="Members" columns={COLUMNS} rows={members} rowKey={(one) => `${one.name}|${one.service}|${one.objective}`} keys={false} sortParameter="members" pageParameter="memberspage" />;
}

const COLUMNS: Column<Member>[] = [
  { id: "name", head: "Member", class: "clip", value: (one) => one.name, cell: (one) => <span title={one.name}>{one.name}</span> },
  { id: "service", head: "Service", class: "clip", value: (one) => one.service, cell: (one) => <a href={href(pathOf("services", one.service))}>{one.service}</a> },
  { id: "objective", head: "Objective", class: "nowrap", value: (one) => one.objective, cell: (one) => one.objective.replace("<=", "≤") },
  { id: "target", head: "Target", number: true, value: (one) => one.target, cell: (one) => target(one.target) },
  { id: "weight", head: "Weight", number: true, value: (one) => one.weight, cell: (one) => digits(one.weight) },
  { id: "sli", head: "SLI", number: true, value: (one) => one.sli, cell: (one) => (one.sli === null
    ? <span class="chip none" title="no calls: left out of the average"><span aria-hidden="true">○</span> left out</span>
    : <span class={one.sli < one.target ? "bad" : undefined} title={String(one.sli)}>{nines(one.sli)}</span>) },
  { id: "good", head: "Good", number: true, value: (one) => one.good, cell: (one) => count(one.good) },
  { id: "bad", head: "Bad", number: true, value: (one) => one.bad, cell: (one) => count(one.bad) },
  { id: "burnt", head: "Burnt of the budget", number: true, hint: "of the composite's budget; the members' add up to what is not left", value: (one) => one.burnt, cell: (one) => <span title={String(one.burnt)}>{percent(one.burnt)}</span> },
  { id: "share", head: "Share of what is burnt", class: "nowrap", value: (one) => one.burnt_share, cell: (one) => (one.burnt_share === null
    ? <span class="muted">nothing burnt</span> : <><Bar fraction={one.burnt_share} tone="bad" label={percent(one.burnt_share)} /> {percent(one.burnt_share)}</>) },
];
