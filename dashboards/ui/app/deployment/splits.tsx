// How the traffic was split while a declared weight was in force: what was promised, what came, and the query that counts it again.
import { Fragment } from "preact";
import { UNKNOWN, count, percent, statistic } from "../core/format";
import { href } from "../core/router";
import { dateTime, nanoToMs } from "../core/time";
import type { Split } from "../core/types";

/** Rows for a list of facts; none where no weight was declared. */
export function Splits({ splits }: { splits: Split[] }) {
  return <>{splits.map((one) => <Fragment key={`${one.asker ?? ""}|${one.from_unix_nano}`}><dt>Traffic split</dt><dd><Said one={one} /></dd></Fragment>)}</>;
}

function Said({ one }: { one: Split }) {
  const all = one.traces + one.elsewhere + one.mixed;
  return (
    <>
      <span class={one.skewed ? "bad strong" : undefined}>{one.share === null ? UNKNOWN : percent(one.share)} of {count(all)} traces where {percent(one.declared)} was declared</span>
      {one.asker ? <> for {one.asker}</> : null}{one.skewed ? ": the cohorts are not alike" : ""}{" "}
      <span class="muted">{dateTime(nanoToMs(one.from_unix_nano))} – {dateTime(nanoToMs(one.to_unix_nano))} UTC, p = {statistic(one.p_value)}{one.effective_traces < 0.99 * all || one.effective_traces > 1.01 * all ? `, sampled: as good as ${count(Math.round(one.effective_traces))} traces` : ""}</span>{" "}
      <a href={href("/sql", { q: one.sql })} aria-label={`count the traces from ${dateTime(nanoToMs(one.from_unix_nano))} on in SQL`}>count them in SQL</a>
    </>
  );
}
