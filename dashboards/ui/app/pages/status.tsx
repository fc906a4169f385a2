// /status: what the server is doing, what it refused and why, and the limits it keeps.
import type { ComponentChildren } from "preact";
import { useApi } from "../core/load";
import { bytes, count, rate, short } from "../core/format";
import { now } from "../core/refresh";
import { href } from "../core/router";
import { ago, dateTime, nanoToMs } from "../core/time";
import type { Status } from "../core/types";
import { Head } from "../ui/filter";
import { Panel } from "../ui/panel";

const STATES: Record<Status["state"], { tone: string; glyph: string; word: string }> = {
  ready: { tone: "good", glyph: "✓", word: "ready" },
  recovering: { tone: "info", glyph: "…", word: "recovering" },
  read_only: { tone: "warn", glyph: "!", word: "read only" },
  disk_full: { tone: "bad", glyph: "✕", word: "disk full" },
};

export default function StatusPage() {
  const load = useApi<Status>("/status");
  return (
    <>
      <Head title="Status" note={load.data ? `Daytwo ${load.data.version}` : null}>
        <a href={href("/start")}>How to send spans</a>
      </Head>
      <Panel load={load} rows={12}>{(status) => <Shown status={status} />}</Panel>
    </>
  );
}

function Shown({ status }: { status: Status }) {
  const state = STATES[status.state] ?? { tone: "none", glyph: "?", word: status.state };
  const { ingest, storage, query, correlation } = status;
  const rejected = sum(ingest.rejected_spans);
  const shed = sum(ingest.shed_requests);
  return (
    <>
      <div class={`card banner ${state.tone}`}>
        <span class={`chip large ${state.tone}`} data-state={status.state}><span aria-hidden="true">{state.glyph}</span> {state.word}</span>
        <div class="said tiles">
          <Tile value={rate(ingest.spans_per_second)} name="spans" exact={ingest.spans_per_second} />
          <Tile value={short(ingest.accepted_spans)} name="accepted, durable" exact={ingest.accepted_spans} />
          <Tile value={count(rejected)} name="rejected" exact={rejected} tone={rejected > 0 ? "warn" : undefined} />
          <Tile value={count(shed)} name="requests shed" exact={shed} tone={shed > 0 ? "warn" : undefined} />
          <Tile value={bytes(storage.file_bytes)} name="in files" exact={storage.file_bytes} />
          {status.state_reason ? <p class="bad">{status.state_reason}</p> : null}
        </div>
        <span class="end">since {dateTime(nanoToMs(status.started_unix_nano))} UTC<br />{ago(status.started_unix_nano, now.value)}</span>
      </div>
      <div class="statusgrid">
        <Facts title="OTLP" rows={[
          ["gRPC", <code>{status.otlp.grpc}</code>], ["HTTP", <code>{status.otlp.http}</code>], ["Data folder", <code>{status.data_dir}</code>],
        ]} />
        <Facts title="Ingest" rows={[
          ["Received", count(ingest.received_spans)], ["Accepted", count(ingest.accepted_spans)], ["Deduplicated", count(ingest.deduplicated_spans)],
          ["Rejected", <Reasons of={ingest.rejected_spans} />], ["Shed requests", <Reasons of={ingest.shed_requests} />],
        ]} />
        <Facts title="Storage" rows={[
          ["Hot buffer", `${count(storage.buffer_spans)} spans, ${bytes(storage.buffer_bytes)}`], ["WAL", bytes(storage.wal_bytes)],
          ["Files", `${count(storage.files)}, ${count(storage.file_rows)} spans, ${bytes(storage.file_bytes)}`],
          ["Per span", storage.file_rows > 0 ? `${(storage.file_bytes / storage.file_rows).toFixed(1)} bytes` : "—"],
          ["Flushes", <>{count(storage.flushes)}{bad(storage.flush_failures, "failed")}</>],
          ["Quarantined", storage.quarantined_files > 0 ? <span class="bad">{count(storage.quarantined_files)} {storage.quarantined_files === 1 ? "file" : "files"} cannot be read</span> : "0 files"],
        ]} />
        <Facts title="Correlation" rows={[
          ["Open traces", count(correlation.open_traces)], ["Closed traces", count(correlation.closed_traces)], ["Measurement cells", count(correlation.cells)],
          ["Late spans", count(correlation.late_spans)], ["Traces in unnamed journeys", count(correlation.overflowed_journeys)],
          ["Pace", correlation.lagging ? <span class="warn">! behind the traffic</span> : "keeping up"],
        ]} />
        <Facts title="Queries" rows={[
          ["Running", `${count(query.running)} of ${count(query.limit)}`], ["Completed", count(query.completed)],
          ["Cancelled", count(query.cancelled)], ["Failed", query.failed > 0 ? <span class="warn">{count(query.failed)}</span> : "0"],
        ]} />
        <Facts title="Limits" rows={Object.entries(status.limits).map(([name, value]) => [name.replace(/_/g, " "), String(value)])} />
      </div>
    </>
  );
}

type Row = [string, ComponentChildren];

function Facts({ title, rows }: { title: string; rows: Row[] }) {
  return (
    <section class="card">
      <h2>{title}</h2>
      <dl class="facts">{rows.map(([name, value]) => [<dt key={`${name}t`}>{name}</dt>, <dd key={`${name}d`}>{value}</dd>])}</dl>
    </section>
  );
}

function Tile({ value, name, exact, tone }: { value: string; name: string; exact: number; tone?: string | undefined }) {
  return <div class="tile" title={String(exact)}><b class={tone}>{value}</b><span>{name}</span></div>;
}

function Reasons({ of }: { of: Record<string, number> }) {
  const entries = Object.entries(of).filter(([, number]) => number > 0).sort((a, b) => b[1] - a[1]);
  if (entries.length === 0) return <>0</>;
  return <ul class="reasons">{entries.map(([reason, number]) => <li key={reason}><b>{count(number)}</b> {reason.replace(/_/g, " ")}</li>)}</ul>;
}

function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((all, one) => all + one, 0);
}

function bad(failures: number, word: string) {
  return failures > 0 ? <span class="bad">, {count(failures)} {word}</span> : null;
}
