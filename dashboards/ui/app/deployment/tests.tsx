// The tests behind a verdict: one in full with its interval, and all of them in a table that chooses.
import { IntervalChart } from "../charts/interval";
import { change, count, digits, ms, percent, statistic, UNKNOWN } from "../core/format";
import { setQuery } from "../core/router";
import type { Finding } from "../core/types";
import { VerdictChip } from "../ui/chip";
import { classWord } from "../ui/states";
import { DataTable, type Column } from "../ui/table";
import { findingKey, placeWords, signalWords } from "./words";

export function OneTest({ finding: one, alpha, material }: { finding: Finding; alpha: number; material: number }) {
  const interval = one.ratio !== null && one.ratio_low !== null && one.ratio_high !== null;
  return (
    <>
      <h3>Test of {one.service}: {placeWords(one)}, {signalWords(one)} <VerdictChip state={one.state} also={one.state === "INHERITED" ? null : classWord(one.class)} /></h3>
      <p class="muted">{one.why}</p>
      <div class="onetest">
        <dl class="facts">
          <dt>Test</dt><dd>{one.signal === "errors" ? "share of traces that failed by themselves, within strata" : "ranks of one value a trace, within strata (van Elteren)"}</dd>
          <dt>Traces</dt><dd>{count(one.traces_before)} before, {count(one.traces_after)} after, in {count(one.strata)} {one.strata === 1 ? "stratum" : "strata"} (kinds of request)</dd>
          {one.signal === "errors"
            ? <><dt>Failing</dt><dd>{percent(one.errors_before)} before, {percent(one.errors_after)} after</dd></>
            : <><dt>Median, p95</dt><dd>{ms(one.before_ms?.p50)} → {ms(one.after_ms?.p50)}, {ms(one.before_ms?.p95)} → {ms(one.after_ms?.p95)}</dd></>}
          <dt>Effect</dt><dd>{one.ratio === null ? UNKNOWN : change(one.ratio - 1)}{interval ? `, interval ${change((one.ratio_low ?? 1) - 1)} to ${change((one.ratio_high ?? 1) - 1)}` : ""}{one.excess_ms === null ? "" : `; ${digits(one.excess_ms)} ms more a trace`}</dd>
          <dt>Evidence (e-value)</dt><dd>{statistic(one.e_value)} {one.e_value === null ? "" : one.e_value >= 1 / alpha ? `reaches ${count(1 / alpha)}` : `below ${count(1 / alpha)}`}</dd>
          <dt>p-value, z</dt><dd>{statistic(one.p_value)}, {statistic(one.z)}</dd>
          <dt>Own share</dt><dd>{one.own_share === null ? UNKNOWN : `${percent(one.own_share)} of the slowdown is spent here`}</dd>
        </dl>
        {interval ? <IntervalChart ratio={one.ratio ?? 1} low={one.ratio_low ?? 1} high={one.ratio_high ?? 1} material={material} /> : null}
      </div>
    </>
  );
}

export function Tests({ findings, selected, alpha }: { findings: Finding[]; selected: Finding | null; alpha: number }) {
  if (findings.length === 0) return null;
  return (
    <>
      <h3>All tests <span class="muted">evidence from {count(1 / alpha)} on counts</span></h3>
      <DataTable name="Tests" columns={TESTS} rows={findings} rowKey={findingKey} keys={false} sortParameter="tests" pageParameter="testspage"
        selected={(one) => selected !== null && findingKey(one) === findingKey(selected)} />
    </>
  );
}

const TESTS: Column<Finding>[] = [
  { id: "place", head: "Place", class: "clip place", value: (one) => `${one.service} ${placeWords(one)}`, cell: (one) => (
    <button type="button" class="rowlink" title={`${one.service}: ${placeWords(one)}`} onClick={() => setQuery({ op: findingKey(one) }, "replace")}>{one.service}: {placeWords(one)}</button>) },
  { id: "what", head: "Measured", class: "nowrap", value: signalWords, cell: signalWords },
  { id: "outcome", head: "Outcome", class: "nowrap", value: (one) => one.state, cell: (one) => <VerdictChip state={one.state} /> },
  { id: "strata", head: "Strata", number: true, value: (one) => one.strata, cell: (one) => count(one.strata) },
  { id: "e", head: "e-value", number: true, hint: "evidence against “no material change”", value: (one) => one.e_value, cell: (one) => <span title={String(one.e_value)}>{statistic(one.e_value)}</span> },
  { id: "p", head: "p", number: true, value: (one) => one.p_value, cell: (one) => <span title={String(one.p_value)}>{statistic(one.p_value)}</span> },
  { id: "z", head: "z", number: true, value: (one) => one.z, cell: (one) => <span title={String(one.z)}>{statistic(one.z)}</span> },
  { id: "excess", head: "Excess, ms", number: true, hint: "milliseconds more a trace", value: (one) => one.excess_ms, cell: (one) => (one.excess_ms === null ? UNKNOWN : statistic(one.excess_ms)) },
];
