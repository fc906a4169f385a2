// /trace/{id}: loads the trace and shows it; what the URL holds (span, zoom, fold, find, view) is read and written here.
import { useEffect, useMemo, useState } from "preact/hooks";
import { count, ms, shortId } from "../core/format";
import { useApi } from "../core/load";
import { href, query, setQuery } from "../core/router";
import { apiUrl } from "../core/api";
import { copy } from "../core/share";
import { dateTime, nanoToMs } from "../core/time";
import type { TraceBody } from "../core/types";
import { pathOf } from "../core/url";
import { buildModel, operationOf, serviceOf, type Model } from "../trace/model";
import { OperationsView } from "../trace/operations";
import { WaterfallView } from "../trace/view";
import { Head } from "../ui/filter";
import { Empty, Panel } from "../ui/panel";

/** A trace that ended this recently may still grow, so it is loaded again with each refresh. */
const QUIET_MS = 20_000;

export default function TracePage({ parameters }: { parameters: Record<string, string> }) {
  const id = parameters["id"] ?? "";
  const valid = /^[0-9a-f]{32}$/i.test(id);
  const [live, setLive] = useState(true);
  const load = useApi<TraceBody>(valid ? pathOf("traces", id.toLowerCase()) : null, live);
  const held = load.data;
  const growing = held === null || Date.now() - ((nanoToMs(held.start_unix_nano) ?? 0) + Number(held.duration_ns) / 1e6) < QUIET_MS;
  useEffect(() => setLive(growing), [growing]);
  // Spans only ever arrive: the same number of them is the same trace, and folds and selection stay.
  const model = useMemo(() => (held ? buildModel(held) : null), [held?.trace_id, held?.spans]);
  if (!valid) return <><Head title="Trace" /><Empty why="filter">A trace id is 32 hexadecimal digits; “{id}” is not. Try the <a href={href("/traces")}>search</a>.</Empty></>;
  return (
    <div class="tracepage">
      <Title id={id} model={model} live={growing} />
      <Panel load={load} rows={16}>{() => (model && model.size > 0 ? <Shown model={model} /> : <Empty why="no data">No span of this trace is stored.</Empty>)}</Panel>
    </div>
  );
}

function Title({ id, model, live }: { id: string; model: Model | null; live: boolean }) {
  const start = model ? nanoToMs(model.body.start_unix_nano) ?? 0 : 0;
  return (
    <Head title={<span title={id}>Trace <code>{shortId(id)}</code></span>} note={model ? (
      <>
        {serviceOf(model, 0)} {operationOf(model, 0)} · {ms(model.durationNs / 1e6)} · {count(model.size)} spans · {model.body.services.length} services
        {model.errors.length > 0 ? <span class="bad"> · ✕ {count(model.errors.length)} errors</span> : null} · {dateTime(start)} UTC
      </>
    ) : null}>
      {model && live ? <span class="chip info" title="spans may still arrive; loaded again with each refresh">◉ live</span> : null}
      <button type="button" onClick={() => void copy(id, "the trace id")}>Copy id</button>
      <a href={apiUrl(pathOf("traces", id))} target="_blank" rel="noopener">JSON</a>
    </Head>
  );
}

function Shown({ model }: { model: Model }) {
  const view = query.value["view"] === "operations" ? "operations" : "waterfall";
  return (
    <>
      <Anomalies model={model} />
      {view === "operations" ? <OperationsView model={model} tabs={<Tabs view={view} />} /> : <WaterfallView key={model.body.trace_id} model={model} tabs={<Tabs view={view} />} />}
    </>
  );
}

function Tabs({ view }: { view: string }) {
  return (
    <div class="tabs" role="tablist" aria-label="View" style={{ margin: 0 }}>
      <button type="button" role="tab" aria-selected={view === "waterfall"} onClick={() => setQuery({ view: null })}>Waterfall</button>
      <button type="button" role="tab" aria-selected={view === "operations"} onClick={() => setQuery({ view: "operations" })}>Operations</button>
    </div>
  );
}

function Anomalies({ model }: { model: Model }) {
  const { anomalies } = model.body;
  if (anomalies.length === 0) return null;
  const kinds = new Map<string, number>();
  for (const one of anomalies) kinds.set(one.kind, (kinds.get(one.kind) ?? 0) + 1);
  return (
    <details class="anomalies">
      <summary>! {[...kinds].map(([kind, number]) => `${kind.replace(/_/g, " ")}${number > 1 ? ` ×${number}` : ""}`).join(", ")}</summary>
      <ul class="lines">{anomalies.slice(0, 50).map((one, at) => (
        <li key={at}>{one.message} {one.span_id ? <button type="button" class="rowlink mono" onClick={() => setQuery({ span: one.span_id })}>{one.span_id}</button> : null}</li>
      ))}</ul>
      {anomalies.length > 50 ? <p class="muted">and {count(anomalies.length - 50)} more</p> : null}
    </details>
  );
}
