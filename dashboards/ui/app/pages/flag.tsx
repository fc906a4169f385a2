// /flags/{key}: who gets which variant, what that does to every service of their traces, and the evidence behind it.
import { useMemo } from "preact/hooks";
import { Plot } from "../charts/plot";
import { count, percent, short } from "../core/format";
import { useApi } from "../core/load";
import { now } from "../core/refresh";
import { env, href, query, setQuery } from "../core/router";
import { ago, dateTime, nanoToMs } from "../core/time";
import type { FlagComparison, FlagDetail, FlagService, Verdict } from "../core/types";
import { pathOf, queryOf } from "../core/url";
import { Exemplars } from "../deployment/exemplars";
import { FindingsTable } from "../deployment/findings";
import { Splits } from "../deployment/splits";
import { Suspects } from "../deployment/suspects";
import { shareLines } from "../flag/shares";
import { controlWords, evidence } from "../flag/words";
import { VerdictChip } from "../ui/chip";
import { Head } from "../ui/filter";
import { Empty, Panel } from "../ui/panel";
import { classMeans, classWord, flagLook } from "../ui/states";
import { DataTable, type Column } from "../ui/table";

export default function FlagPage({ parameters }: { parameters: Record<string, string> }) {
  const key = parameters["key"] ?? "";
  const load = useApi<FlagDetail>(`${pathOf("flags", key)}${queryOf({ env: env.value })}`);
  return (
    <>
      <Head title={<><a href={href("/flags")}>Flags</a> / <span class="version">{key}</span></>} note={load.data?.flag.environment || null}>
        <a href={href("/traces", { attribute: `feature_flag.key=${key}` })}>traces that ask for it</a>
      </Head>
      <Panel load={load} rows={12}>{(data) => <Shown data={data} />}</Panel>
    </>
  );
}

interface Row { comparison: FlagComparison; service: FlagService }
const rowKey = (row: Row): string => `${row.comparison.variant}|${row.service.service}`;

function Shown({ data }: { data: FlagDetail }) {
  const rows = data.flag.comparisons.flatMap((comparison) => comparison.services.map((service) => ({ comparison, service })));
  const selected = rows.find((row) => rowKey(row) === query.value["of"]) ?? rows[0] ?? null;
  return (
    <>
      <Said data={data} />
      <Figures data={data} />
      {rows.length > 0
        ? <DataTable name="Services by variant" columns={SERVICES} rows={rows} rowKey={rowKey} selected={(row) => selected !== null && rowKey(row) === rowKey(selected)} />
        : <Empty why="no data">Nothing was compared yet: it takes twenty traces with the control and with another variant.</Empty>}
      {selected ? <Judged data={data} row={selected} /> : null}
      <div class="columns charts">
        <section class="card"><h2>Variants <span class="muted">share of the traces that asked</span></h2><Shares data={data} /></section>
        <section class="card"><h2>What changed</h2><Changes data={data} /></section>
      </div>
    </>
  );
}

function Said({ data: { flag } }: { data: FlagDetail }) {
  const look = flagLook(flag.state);
  const confounders = [...new Set(flag.comparisons.flatMap((one) => one.confounders))];
  return (
    <div class={`card banner ${look.tone}`}>
      <VerdictChip state={flag.state} large />
      <div class="said">
        <p class="headline" role="status">{flag.headline}</p>
        <p>{flag.state}: {look.means}{flag.class && flag.state !== "INHERITED" ? <> – <strong>{classWord(flag.class)}</strong>, {classMeans(flag.class)}</> : null}. {look.todo}</p>
        {flag.state === "SKEWED" ? <p class="warn">The reason given for the variants is {flag.assignment === "randomised" ? "a lot" : "no lot"}, but they were not handed out as declared.</p>
          : <p class={flag.assignment === "randomised" ? undefined : "warn"}>{flag.assignment}: {flag.assignment_meaning}.</p>}
        {confounders.slice(0, 2).map((text) => <p key={text} class="warn"><span aria-hidden="true">≠</span> {text}</p>)}
      </div>
      <span class="end">{controlWords(flag)}<br />asked by {flag.asked_by.slice(0, 3).map((by) => by.name).join(", ") || "nobody"}{flag.versions.length > 0 ? <><br />version {flag.versions.at(-1)}</> : null}</span>
    </div>
  );
}

function Figures({ data: { flag } }: { data: FlagDetail }) {
  return (
    <div class="card tiles figures">
      {flag.variants.map((one) => <div class="tile" key={one.variant}><b>{percent(one.share)}</b><span>{one.variant}{one.control ? ", the control" : ""}: {short(one.traces)} traces{one.weight === null ? "" : `, ${percent(one.weight)} declared`}</span></div>)}
      <div class="tile"><b class={flag.mixed_traces > 0 ? "warn" : undefined}>{count(flag.mixed_traces)}</b><span>traces saw several variants and are not judged</span></div>
      <div class="tile" title={String(flag.e_value)}><b class={flag.discovery ? "bad" : undefined}>{evidence(flag.e_value)}</b><span>evidence that any variant does harm; {evidence(flag.e_needed)} is enough among all flags</span></div>
    </div>
  );
}

const SERVICES: Column<Row>[] = [
  { id: "service", head: "Service", class: "clip name", value: (row) => row.service.service, cell: (row) => <Choose row={row} /> },
  { id: "variant", head: "Variant", class: "clip name", value: (row) => row.comparison.variant, cell: (row) => <span class="version"><span class="muted">{row.comparison.control}</span><span class="arrow" aria-label="to">→</span>{row.comparison.variant}</span> },
  { id: "state", head: "Verdict", class: "nowrap", value: (row) => row.service.state, cell: (row) => <VerdictChip state={row.service.state} also={row.service.state === "INHERITED" ? null : classWord(row.service.class)} /> },
  { id: "share", head: "Share", number: true, hint: "of the variant's traces go through the service", value: (row) => row.service.share, cell: (row) => percent(row.service.share) },
  { id: "traces", head: "Traces", number: true, hint: "with the control and with the variant", value: (row) => row.service.traces_after, cell: (row) => <span class="muted" title={`${count(row.service.traces_before)} with the control, ${count(row.service.traces_after)} with the variant`}>{short(row.service.traces_before)} / {short(row.service.traces_after)}</span> },
  { id: "evidence", head: "Evidence", number: true, hint: "e-value, all nodes of the service together, and what is enough among the flag's services", value: (row) => row.service.e_value, cell: (row) => <span class={row.service.discovery ? "bad strong" : undefined} title={`${row.service.e_value}, ${row.service.discovery ? "a discovery" : "not a discovery"}`}>{evidence(row.service.e_value)} <span class="muted">of {evidence(row.service.e_needed)}</span></span> },
  { id: "why", head: "Why", class: "wide why", value: (row) => row.service.headline, cell: (row) => row.service.headline },
];

function Choose({ row }: { row: Row }) {
  const key = rowKey(row);
  return <button type="button" class="rowlink" data-row aria-pressed={query.value["of"] === key} title={`${row.service.service}: show its findings below`} onClick={() => setQuery({ of: key, op: null }, "replace")}>{row.service.service}</button>;
}

function Judged({ data, row }: { data: FlagDetail; row: Row }) {
  const variant = data.verdicts.find((one) => one.variant === row.comparison.variant);
  const verdict: Verdict | undefined = variant?.services.find((one) => one.service === row.service.service)?.verdict;
  if (!verdict) return null;
  return (
    <>
      <section class="card" style={{ marginTop: "12px" }}>
        <h2>{row.service.service} with {row.comparison.variant} <span class="muted">{verdict.baseline.meaning}</span></h2>
        <p>{capital(verdict.reason)}.</p>
        {verdict.splits.length > 0 ? <dl class="facts"><Splits splits={verdict.splits} /></dl> : null}
        {verdict.findings.length > 0 ? <FindingsTable name="Findings" findings={verdict.findings} selected={null} own={false} /> : <p class="muted">Nothing was compared yet.</p>}
        <a href={href("/sql", { q: verdict.sql })}>Open this comparison in SQL</a>
      </section>
      <div class="columns charts">
        <section class="card"><h2>Example traces <span class="muted">each beside a typical one with the control</span></h2><Exemplars exemplars={verdict.exemplars} /></section>
        <section class="card"><h2>Who explains it <span class="muted">over all services of the traces</span></h2><Suspects suspects={verdict.suspects} service={row.service.service} /></section>
      </div>
    </>
  );
}

function Shares({ data }: { data: FlagDetail }) {
  const drawn = useMemo(() => shareLines(data.share_series), [data]);
  if (drawn.times.length < 2) return <p class="muted">Fewer than two minutes of it were seen.</p>;
  return <Plot name="Share of the traces by variant" times={drawn.times} lines={drawn.lines} low={0} format={(value) => percent(value)} />;
}

function Changes({ data: { flag } }: { data: FlagDetail }) {
  if (flag.changes.length === 0) return <p class="muted">Nothing changed in the last day.</p>;
  return (
    <ul class="notes" aria-label="Changes of the flag">
      {[...flag.changes].reverse().slice(0, 12).map((change) => (
        <li key={change.at_unix_nano + change.text}><span class="chip calm">{change.kind}</span> {change.text} <span class="muted" title={`${dateTime(nanoToMs(change.at_unix_nano))} UTC`}>{ago(change.at_unix_nano, now.value)}</span></li>
      ))}
    </ul>
  );
}

function capital(text: string): string { return text.charAt(0).toUpperCase() + text.slice(1); }
