// /sql: a statement, its table, and the same rows as CSV. Trace ids link to their trace.
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, postSql } from "../core/api";
import { count, ms } from "../core/format";
import { href, query, setQuery } from "../core/router";
import { download } from "../core/share";
import type { SqlAnswer } from "../core/types";
import { pathOf } from "../core/url";
import { Head } from "../ui/filter";
import { Empty, Failure, Partial, Skeleton } from "../ui/panel";

/** Rows drawn; the rest is in the CSV. */
const ROWS_SHOWN = 1000;
const FIRST = "SELECT service_name, count(*) AS spans FROM spans GROUP BY service_name ORDER BY spans DESC LIMIT 50";
const EXAMPLES: [string, string][] = [
  ["Spans by service", FIRST],
  ["Newest traces", "SELECT * FROM traces ORDER BY start_time_unix_nano DESC LIMIT 50"],
  ["Who calls whom", "SELECT caller, callee, environment, calls, errors, hdr_quantile(latency, 0.95) / 1e6 AS p95_ms FROM edges ORDER BY calls DESC LIMIT 200"],
  ["Newest SLIs", "SELECT service, operation, version, environment, journey, spans, errors, p50_ns / 1e6 AS p50_ms, p95_ns / 1e6 AS p95_ms FROM slis ORDER BY window_start_unix_nano DESC LIMIT 100"],
  ["Verdicts", "SELECT * FROM verdicts LIMIT 100"],
  ["Deployments", "SELECT * FROM deployments LIMIT 100"],
];

type Result = { kind: "none" } | { kind: "running" } | { kind: "rows"; answer: SqlAnswer } | { kind: "failed"; error: ApiError };

export default function SqlPage() {
  const asked = query.value["q"];
  const [text, setText] = useState(asked ?? FIRST);
  const [result, setResult] = useState<Result>({ kind: "none" });
  const abort = useRef<AbortController | null>(null);
  const run = (statement: string): void => {
    abort.current?.abort();
    const mine = new AbortController();
    abort.current = mine;
    setResult({ kind: "running" });
    setQuery({ q: statement }, "replace");
    postSql(statement, "application/json", mine.signal)
      .then(async (answer) => setResult({ kind: "rows", answer: await answer.json() as SqlAnswer }))
      .catch((problem: unknown) => {
        if (mine.signal.aborted) return;
        setResult({ kind: "failed", error: problem instanceof ApiError ? problem : new ApiError(-1, "page", String(problem), null, "/sql") });
      });
  };
  const cancel = (): void => { abort.current?.abort(); setResult({ kind: "none" }); };
  useEffect(() => { if (asked) run(asked); return () => abort.current?.abort(); }, []);
  const onKey = (event: KeyboardEvent): void => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); run(text); }
    else if (event.key === "Escape" && result.kind === "running") cancel();
  };
  return (
    <>
      <Head title="SQL" note="read-only, over memory and files alike">
        <select aria-label="Examples" value="" onChange={(event) => { const one = EXAMPLES[Number(event.currentTarget.value)]; if (one) { setText(one[1]); run(one[1]); } }}>
          <option value="">examples…</option>
          {EXAMPLES.map(([name], at) => <option key={name} value={String(at)}>{name}</option>)}
        </select>
      </Head>
      <textarea class="sqlbox" aria-label="SQL statement" spellcheck={false} value={text} onInput={(event) => setText(event.currentTarget.value)} onKeyDown={onKey} />
      <div class="sqlbar">
        <button type="button" class="primary" onClick={() => run(text)} disabled={text.trim() === ""}>Run  Ctrl+Enter</button>
        {result.kind === "running" ? <button type="button" onClick={cancel}>Cancel  Esc</button> : null}
        <button type="button" disabled={text.trim() === ""} onClick={() => void saveCsv(text, (error) => setResult({ kind: "failed", error }))}>CSV</button>
        {result.kind === "rows" ? <span class="muted">{count(result.answer.row_count)} {result.answer.row_count === 1 ? "row" : "rows"}, {ms(result.answer.elapsed_ms)}{result.answer.truncated ? "; cut off at the row limit" : ""}</span> : null}
      </div>
      <Shown result={result} retry={() => run(text)} />
    </>
  );
}

function Shown({ result, retry }: { result: Result; retry: () => void }) {
  if (result.kind === "none") return <p class="muted">Tables: spans, traces, edges, slis, slos, deployments, verdicts.</p>;
  if (result.kind === "running") return <Skeleton rows={8} />;
  if (result.kind === "failed") return <Failure error={result.error} retry={retry} />;
  const { columns, rows, partial } = result.answer;
  if (rows.length === 0) return <><Partial notes={partial} /><Empty why="filter">The statement ran and found no rows.</Empty></>;
  return (
    <>
      <Partial notes={partial} />
      <div class="sqlresult">
        <table class="grid" aria-label="Rows">
          <thead><tr>{columns.map((column, at) => <th key={at} scope="col" class={isNumber(column.type) ? "num" : undefined} title={column.type}>{column.name}</th>)}</tr></thead>
          <tbody>{rows.slice(0, ROWS_SHOWN).map((row, at) => (
            <tr key={at}>{columns.map((column, index) => <td key={index} class={isNumber(column.type) ? "num" : undefined}><Cell value={row[index]} name={column.name} /></td>)}</tr>
          ))}</tbody>
        </table>
      </div>
      {rows.length > ROWS_SHOWN ? <p class="muted">The first {count(ROWS_SHOWN)} of {count(rows.length)} rows; CSV has all.</p> : null}
    </>
  );
}

function isNumber(type: string): boolean {
  return /^(u?int|float|decimal)/i.test(type);
}

function Cell({ value, name }: { value: unknown; name: string }) {
  if (value === null || value === undefined) return <span class="null">null</span>;
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  if (/trace_id$/i.test(name) && /^[0-9a-f]{32}$/.test(text)) return <a class="mono" href={href(pathOf("trace", text))}>{text}</a>;
  return <span title={text.length > 60 ? text : undefined}>{text}</span>;
}

async function saveCsv(statement: string, failed: (error: ApiError) => void): Promise<void> {
  try {
    const answer = await postSql(statement, "text/csv");
    download("rows.csv", "text/csv", await answer.blob());
  } catch (problem) {
    failed(problem instanceof ApiError ? problem : new ApiError(-1, "page", String(problem), null, "/sql"));
  }
}
