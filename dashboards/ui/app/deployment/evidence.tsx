// The evidence drawer: how it was compared, the test of the chosen place and of all others, what else differed, traces in pairs, and
// the SQL that repeats it, with copies for people and machines.
import { getJson } from "../core/api";
import { change, count, percent, span, UNKNOWN } from "../core/format";
import { href, setQuery } from "../core/router";
import { copy, curl, say } from "../core/share";
import { dateTime, nanoToMs } from "../core/time";
import type { Deployment, Finding, Verdict } from "../core/types";
import { VerdictChip } from "../ui/chip";
import { Drawer } from "../ui/drawer";
import { RUNGS, classWord, verdictLook } from "../ui/states";
import { Exemplars } from "./exemplars";
import { markdown } from "./markdown";
import { Environment } from "./parity";
import { Splits } from "./splits";
import { OneTest, Tests } from "./tests";

interface Props { deployment: Deployment; verdict: Verdict; finding: Finding | null; path: string }

export const OPENER = "evidence-open";

export function Evidence({ deployment, verdict, finding, path }: Props) {
  const close = (): void => setQuery({ evidence: null }, "replace");
  return (
    <Drawer opener={OPENER} close={close} title={<>Evidence <span class="muted">{deployment.service} {deployment.version}</span> <VerdictChip state={verdict.state} also={verdict.state === "INHERITED" ? null : classWord(verdict.class)} /></>}>
      <p>{verdict.state}: {verdictLook(verdict.state).means}. {verdict.what_would_change ? <>What would change it: {verdict.what_would_change}.</> : null}</p>
      <Comparison verdict={verdict} />
      {finding ? <OneTest finding={finding} alpha={verdict.alpha} material={verdict.material_ratio} /> : null}
      <Tests findings={[...verdict.findings, ...verdict.affected]} selected={finding} alpha={verdict.alpha} />
      <h3>What the two versions ran on</h3>
      <Environment parity={verdict.parity} confounders={verdict.confounders} />
      <h3>Example traces, in pairs</h3>
      <Exemplars exemplars={verdict.exemplars} />
      <Replay deployment={deployment} verdict={verdict} path={path} />
    </Drawer>
  );
}

function Comparison({ verdict }: { verdict: Verdict }) {
  const { baseline, candidate } = verdict;
  return (
    <>
      <h3>The comparison</h3>
      <ol class="ladder" aria-label="Baselines, best first">
        {RUNGS.map((one) => (
          <li key={one.rung} class={one.rung === baseline.rung ? "used" : undefined} aria-current={one.rung === baseline.rung ? "true" : undefined} title={one.why}>
            <b>{one.rung}</b> {one.name}{one.rung === baseline.rung ? <span class="sr"> (used)</span> : null}
          </li>
        ))}
      </ol>
      <dl class="facts">
        <dt>Compared with</dt><dd>{baseline.meaning} <span class="muted">because {RUNGS.find((one) => one.rung === baseline.rung)?.why ?? "nothing better was there"}</span></dd>
        <dt>Before</dt><dd>{baseline.version ?? "no version"}, {count(baseline.traces)} traces <span class="muted">{range(baseline)}</span></dd>
        <dt>After</dt><dd>{candidate.version}, {count(candidate.traces)} traces <span class="muted">{range(candidate)}</span></dd>
        <Splits splits={verdict.splits} />
        <dt>Coverage</dt><dd>{percent(verdict.coverage)} of the new version's traces are of a kind that the old one served too</dd>
        <dt>Judged</dt><dd>{dateTime(nanoToMs(verdict.judged_at_unix_nano))} UTC, look {count(verdict.looks)}</dd>
        <dt>False alarms</dt><dd>at most {percent(verdict.alpha)}, however often one looks: evidence counts from {count(1 / verdict.alpha)} on</dd>
        <dt>Planned for</dt><dd>{count(verdict.planned_traces)} traces of each version, where the test is sharpest <span class="muted">set by the old version's traffic before this one came, or as configured</span></dd>
        <dt>Material change</dt><dd>{change(verdict.material_ratio - 1)} and more</dd>
        <dt>Smallest change shown</dt><dd>{verdict.mde_ratio === null ? `${UNKNOWN} not known before the first comparison` : `${change(verdict.mde_ratio - 1)} with this many traces; less than that may be there unseen`}</dd>
        <dt>Still needed</dt><dd>{verdict.traces_needed === null ? "no more traces" : `${count(verdict.traces_needed)} traces${verdict.seconds_needed === null ? "" : `, about ${span(verdict.seconds_needed)} at this rate`}`}</dd>
      </dl>
    </>
  );
}

function range(of: { from_unix_nano: string; to_unix_nano: string }): string {
  const from = nanoToMs(of.from_unix_nano);
  const to = nanoToMs(of.to_unix_nano);
  if (from === null || to === null || to <= from) return "";
  return `${dateTime(from)} – ${dateTime(to)} UTC (${span((to - from) / 1000)})`;
}

function Replay({ deployment, verdict, path }: { deployment: Deployment; verdict: Verdict; path: string }) {
  const copyJson = (): void => {
    getJson(path).then((body) => copy(JSON.stringify(body, null, 2), "the JSON")).catch((problem: unknown) => say(String(problem)));
  };
  return (
    <>
      <h3>Replay</h3>
      <pre class="code wrap" tabIndex={0} aria-label="SQL that repeats the comparison">{verdict.sql}</pre>
      <div class="controls">
        <button type="button" class="primary" onClick={() => void copy(verdict.sql, "the SQL")}>Copy SQL</button>
        <a href={href("/sql", { q: verdict.sql })}>Open in SQL</a>
        <button type="button" onClick={() => void copy(curl(path), "cURL")}>Copy cURL</button>
        <button type="button" onClick={copyJson}>Copy JSON</button>
        <button type="button" onClick={() => void copy(markdown(deployment, verdict, location.href), "Markdown")}>Copy Markdown</button>
      </div>
    </>
  );
}
