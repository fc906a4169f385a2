// Self time of the chosen operation before and after the cut-over, minute by minute. Asked for once: it is a query over cells.
import { useMemo } from "preact/hooks";
import { Plot } from "../charts/plot";
import { ms } from "../core/format";
import { useRows } from "../core/rows";
import { href } from "../core/router";
import { nanoToMs } from "../core/time";
import type { Deployment, SqlAnswer } from "../core/types";
import { Panel } from "../ui/panel";
import { cutoverLines, cutoverSql } from "./cutover";

export function OverTime({ deployment, operation }: { deployment: Deployment; operation: string }) {
  const sql = cutoverSql(deployment, operation);
  const load = useRows(sql);
  if (sql === null) return <p class="muted">There is no older version to draw beside it.</p>;
  return (
    <>
      <Panel load={load} rows={6}>{(data) => <Drawn data={data} deployment={deployment} operation={operation} />}</Panel>
      <a href={href("/sql", { q: sql })}>Open this chart in SQL</a>
    </>
  );
}

function Drawn({ data, deployment, operation }: { data: SqlAnswer; deployment: Deployment; operation: string }) {
  const drawn = useMemo(() => cutoverLines(data, deployment), [data]);
  const marks = useMemo(() => [{ at: (nanoToMs(deployment.first_seen_unix_nano) ?? 0) / 1000, label: deployment.version }], [deployment.first_seen_unix_nano]);
  if (drawn.times.length < 2) return <p class="muted">Fewer than two minutes of it are in the cells.</p>;
  return <Plot name={`p50 and p95 of the self time of ${operation} by version`} times={drawn.times} lines={drawn.lines} marks={marks} low={0} format={(value) => ms(value)} />;
}
