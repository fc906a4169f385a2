// /traces: search. Summaries only; a pasted trace id goes straight to its trace.
import { useState } from "preact/hooks";
import { count, ms } from "../core/format";
import { useApi } from "../core/load";
import { env, from, go, href, query, setQuery, to } from "../core/router";
import { rangeLabel } from "../core/time";
import type { Services, Traces } from "../core/types";
import { pathOf, queryOf } from "../core/url";
import { Head } from "../ui/filter";
import { Empty, Panel } from "../ui/panel";
import { setRange } from "../ui/range";
import { CsvButton, DataTable } from "../ui/table";
import { TRACE_COLUMNS } from "../ui/traces";

const FIELDS = ["service", "operation", "status", "min_duration_ms", "max_duration_ms", "attribute"];
const LIMITS = ["20", "50", "100", "200", "1000"];

export default function TracesPage() {
  const limit = query.value["limit"] ?? "50";
  const filter = Object.fromEntries(FIELDS.map((name) => [name, query.value[name]]));
  const load = useApi<Traces>(`/traces${queryOf({ ...filter, limit, from: from.value, to: to.value, env: env.value })}`);
  const data = load.data;
  return (
    <>
      <Head title="Traces" note={data ? `${data.truncated ? "newest " : ""}${count(data.traces.length)} · ${rangeLabel(from.value, to.value)}` : null}>
        {data ? <span class="muted">{data.stats.files_scanned} of {data.stats.files_total} files, {ms(data.stats.elapsed_ms)}</span> : null}
        <CsvButton name="traces" columns={TRACE_COLUMNS} rows={data?.traces ?? []} />
      </Head>
      <Form key={JSON.stringify(filter)} limit={limit} />
      <Panel load={load} rows={12}>{(answer) => (answer.traces.length === 0 ? <Nothing /> : (
        <>
          <DataTable name="Traces" columns={TRACE_COLUMNS} rows={answer.traces} rowKey={(one) => one.trace_id} />
          {answer.truncated ? <p class="muted">The newest {count(answer.traces.length)}; there are more. Narrow the filter or raise the limit.</p> : null}
        </>
      ))}</Panel>
    </>
  );
}

function Form({ limit }: { limit: string }) {
  const services = useApi<Services>("/services?from=now-7d", false);
  const names = [...new Set((services.data?.services ?? []).map((one) => one.service))].sort();
  const [problem, setProblem] = useState("");
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const value = (name: string): string | null => String(form.get(name) ?? "").trim() || null;
    const id = value("operation")?.toLowerCase();
    if (id && /^[0-9a-f]{32}$/.test(id)) { go(href(pathOf("trace", id))); return; }
    const attribute = value("attribute");
    if (attribute && !attribute.includes("=")) { setProblem("an attribute is written key=value"); return; }
    setProblem("");
    setQuery(Object.fromEntries([...FIELDS, "limit"].map((name) => [name, value(name)])));
  };
  const field = (name: string): string => query.value[name] ?? "";
  return (
    <form class="card searchform" onSubmit={submit}>
      <label>Service <input name="service" list="servicenames" defaultValue={field("service")} /></label>
      <datalist id="servicenames">{names.map((name) => <option key={name} value={name} />)}</datalist>
      <label>Operation or trace id <input name="operation" defaultValue={field("operation")} size={26} /></label>
      <label>Status
        <select name="status" defaultValue={field("status")}>
          <option value="" selected={field("status") === ""}>any</option><option value="error" selected={field("status") === "error"}>error</option>
        </select>
      </label>
      <label>Span at least, ms <input class="narrow" name="min_duration_ms" type="number" min="0" step="any" defaultValue={field("min_duration_ms")} /></label>
      <label>at most, ms <input class="narrow" name="max_duration_ms" type="number" min="0" step="any" defaultValue={field("max_duration_ms")} /></label>
      <label>Attribute key=value <input name="attribute" defaultValue={field("attribute")} size={26} spellcheck={false} /></label>
      <label>Limit
        <select name="limit">{LIMITS.map((one) => <option key={one} value={one} selected={one === limit}>{one}</option>)}</select>
      </label>
      <button type="submit" class="primary">Search</button>
      {problem ? <span class="problem" role="alert">{problem}</span> : null}
    </form>
  );
}

function Nothing() {
  const filters = FIELDS.filter((name) => query.value[name]);
  if (filters.length > 0 || env.value) {
    return (
      <Empty why="filter">
        No trace in {rangeLabel(from.value, to.value)} matches. Drop one:{" "}
        {filters.map((name) => <button key={name} type="button" onClick={() => setQuery({ [name]: null })}>{name.replace(/_/g, " ")} = {query.value[name]}</button>)}
        {env.value ? <button type="button" onClick={() => setQuery({ env: null })}>environment = {env.value}</button> : null}
      </Empty>
    );
  }
  return <Empty why="range">No trace in {rangeLabel(from.value, to.value)}. <button type="button" onClick={() => setRange("now-7d", "now")}>Look at the last 7 d</button></Empty>;
}
