// The evidence drawer: test, thresholds, counts, the SQL that repeats it, and copies for people and machines.
import { getJson } from "../core/api";
import { count, digits, percent, span, UNKNOWN } from "../core/format";
import { href } from "../core/router";
import { copy, curl, say } from "../core/share";
import { dateTime, nanoToMs } from "../core/time";
import type { Deployment, Finding, Parity, Verdict } from "../core/types";
import { DataTable, type Column } from "../ui/table";
import { findingKey, placeWords } from "./findings";
import { markdown } from "./markdown";

interface Props { deployment: Deployment; verdict: Verdict; path: string }

export function Evidence({ deployment, verdict, path }: Props) {
  const copyJson = (): void => {
    getJson(path).then((body) => copy(JSON.stringify(body, null, 2), "the JSON")).catch((problem: unknown) => say(String(problem)));
  };
  return (
    <details class="card" open>
      <summary>Evidence</summary>
      <div class="evidence">
        <div class="columns" style={{ margin: 0 }}>
          <dl class="facts">
            <dt>Baseline</dt><dd>{verdict.baseline ? <>{verdict.baseline.meaning} <span class="muted">(rung {verdict.baseline.rung}, {verdict.baseline.version ?? "several versions"}, {count(verdict.baseline.traces)} traces)</span></> : "none: nothing to compare with"}</dd>
            {verdict.baseline ? <><dt>Baseline window</dt><dd>{window(verdict.baseline)}</dd></> : null}
            <dt>Candidate</dt><dd>{verdict.candidate.version} <span class="muted">({count(verdict.candidate.traces)} traces)</span></dd>
            <dt>Candidate window</dt><dd>{window(verdict.candidate)}</dd>
            <dt>Judged</dt><dd>{dateTime(nanoToMs(verdict.judged_at_unix_nano))} UTC, look {count(verdict.looks)}</dd>
          </dl>
          <dl class="facts">
            <dt>False-alarm rate</dt><dd>{percent(verdict.alpha)} over all looks</dd>
            <dt>Material change</dt><dd>{verdict.material_ratio > 0 ? `+${digits((verdict.material_ratio - 1) * 100)} %` : UNKNOWN} and up</dd>
            <dt>Smallest change seen</dt><dd>{verdict.mde_ratio === null ? UNKNOWN : `+${digits((verdict.mde_ratio - 1) * 100)} % with this many traces`}</dd>
            <dt>Still needed</dt><dd>{verdict.traces_needed === null ? "nothing" : `${count(verdict.traces_needed)} traces${verdict.seconds_needed === null ? "" : `, about ${span(verdict.seconds_needed)} at this rate`}`}</dd>
            <dt>Coverage</dt><dd>{percent(verdict.coverage)} of the candidate's traces had a match</dd>
            {verdict.what_would_change ? <><dt>Would change it</dt><dd>{verdict.what_would_change}</dd></> : null}
          </dl>
        </div>
        {verdict.confounders.length > 0 ? <p class="warn">! Also different: {verdict.confounders.join("; ")}</p> : null}
        <Environment parity={verdict.parity} />
        <Tests findings={[...verdict.findings, ...verdict.affected]} />
        <div class="copyable"><pre class="code wrap">{verdict.sql}</pre></div>
        <div class="controls">
          <a href={href("/sql", { q: verdict.sql })}>Open in SQL</a>
          <button type="button" onClick={() => void copy(verdict.sql, "the SQL")}>Copy SQL</button>
          <button type="button" onClick={() => void copy(curl(path), "cURL")}>Copy cURL</button>
          <button type="button" onClick={copyJson}>Copy JSON</button>
          <button type="button" onClick={() => void copy(markdown(deployment, verdict, location.href), "Markdown")}>Copy Markdown</button>
        </div>
      </div>
    </details>
  );
}

function Environment({ parity }: { parity: Parity[] }) {
  if (parity.length === 0) return null;
  const most = (values: Parity["values"], of: "before" | "after"): string => values.filter((one) => one[of] > 0).map((one) => `${one.value} ${percent(one[of])}`).join(", ") || "none";
  return (
    <table class="grid" aria-label="What the two cohorts ran on">
      <thead><tr><th scope="col">Service</th><th scope="col">Attribute</th><th scope="col">before</th><th scope="col">after</th><th scope="col">the two are</th></tr></thead>
      <tbody>{parity.map((one) => (
        <tr key={one.service + one.attribute}><td>{one.service}</td><td>{one.attribute}</td><td>{most(one.values, "before")}</td><td>{most(one.values, "after")}</td><td class={one.state === "differs" ? "warn" : "muted"}>{one.state === "differs" ? "different" : one.state}</td></tr>
      ))}</tbody>
    </table>
  );
}

function window(of: { from_unix_nano: string; to_unix_nano: string }): string {
  const from = nanoToMs(of.from_unix_nano);
  const to = nanoToMs(of.to_unix_nano);
  return `${dateTime(from)} – ${dateTime(to)} UTC${from !== null && to !== null ? ` (${span((to - from) / 1000)})` : ""}`;
}

const number = (value: number | null): string => (value === null ? UNKNOWN : Math.abs(value) >= 1e6 || (value !== 0 && Math.abs(value) < 1e-4) ? value.toExponential(1) : digits(value));

const TESTS: Column<Finding>[] = [
  { id: "place", head: "Test", class: "clip", cell: (one) => `${one.service}: ${placeWords(one)}, ${one.signal}` },
  { id: "strata", head: "Strata", number: true, cell: (one) => count(one.strata) },
  { id: "z", head: "z", number: true, cell: (one) => <span title={String(one.z)}>{number(one.z)}</span> },
  { id: "e", head: "e-value", number: true, hint: "evidence against “no change”; above 1 / false-alarm rate it counts", cell: (one) => <span title={String(one.e_value)}>{number(one.e_value)}</span> },
  { id: "p", head: "p", number: true, cell: (one) => <span title={String(one.p_value)}>{number(one.p_value)}</span> },
  { id: "excess", head: "Excess", number: true, cell: (one) => (one.excess_ms === null ? UNKNOWN : `${digits(one.excess_ms)} ms`) },
];

function Tests({ findings }: { findings: Finding[] }) {
  if (findings.length === 0) return null;
  return <DataTable name="Tests" columns={TESTS} rows={findings} rowKey={findingKey} keys={false} sortParameter="sort4" />;
}
