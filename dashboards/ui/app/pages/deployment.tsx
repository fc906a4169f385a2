// /deployments/{service}/{version}: the verdict, its findings, the latency before and after, examples and evidence.
import { DistributionChart } from "../charts/distribution";
import { count, digits, percent, span } from "../core/format";
import { useApi } from "../core/load";
import { now } from "../core/refresh";
import { env, href, query } from "../core/router";
import { ago, dateTime, nanoToMs } from "../core/time";
import type { DeploymentDetail, Distribution, Finding, Verdict } from "../core/types";
import { pathOf, queryOf } from "../core/url";
import { Evidence } from "../deployment/evidence";
import { Exemplars } from "../deployment/exemplars";
import { FindingsTable, findingKey, placeWords } from "../deployment/findings";
import { VerdictChip, classWord, verdictLook } from "../ui/chip";
import { Head } from "../ui/filter";
import { Empty, Panel } from "../ui/panel";

export default function DeploymentPage({ parameters }: { parameters: Record<string, string> }) {
  const service = parameters["service"] ?? "";
  const version = parameters["version"] ?? "";
  const path = pathOf("deployments", service, version);
  const load = useApi<DeploymentDetail>(`${path}${queryOf({ env: env.value })}`);
  const from = load.data?.deployment.previous_version;
  return (
    <>
      <Head title={<><a href={href("/deployments")}>Deployments</a> / {service} <span class="version">{from ? <>{from}<span class="arrow">→</span></> : null}{version}</span></>}
        note={load.data?.deployment.environment || null}>
        <a href={href(pathOf("services", service))}>service</a>
        <a href={href("/traces", { service, attribute: `service.version=${version}` })}>traces of {version}</a>
      </Head>
      <Panel load={load} rows={14}>{(data) => <Shown data={data} path={path} />}</Panel>
    </>
  );
}

function Shown({ data, path }: { data: DeploymentDetail; path: string }) {
  const { deployment, verdict } = data;
  const all = [...verdict.findings, ...verdict.affected];
  const selected = all.find((one) => findingKey(one) === query.value["op"]) ?? verdict.findings[0] ?? null;
  return (
    <>
      <Banner data={data} />
      {verdict.findings.length > 0
        ? <FindingsTable name="Operations of the judged service" findings={verdict.findings} selected={selected} own />
        : <Empty why="no data">{verdict.reason || "Nothing was compared yet."}{verdict.traces_needed !== null ? ` ${count(verdict.traces_needed)} more traces are needed${verdict.seconds_needed === null ? "" : `, about ${span(verdict.seconds_needed)}`}.` : ""}</Empty>}
      <div class="columns" style={{ marginTop: "12px" }}>
        <section class="card"><h2>Example traces</h2><Exemplars exemplars={verdict.exemplars} /></section>
        {selected ? <Latency path={path} service={deployment.service} finding={selected} /> : null}
      </div>
      {verdict.affected.length > 0 ? (
        <section class="card"><h2>Other services in the same traces <span class="muted">who inherits it, or who caused it</span></h2><FindingsTable name="Other services" findings={verdict.affected} selected={selected} own={false} /></section>
      ) : null}
      <Structure verdict={verdict} />
      <Evidence deployment={deployment} verdict={verdict} path={`${path}${queryOf({ env: env.value })}`} />
    </>
  );
}

function Banner({ data: { deployment, verdict } }: { data: DeploymentDetail }) {
  const look = verdictLook(verdict.state);
  return (
    <div class={`card banner ${look.tone}`} role="status">
      <VerdictChip state={verdict.state} large />
      <div class="said">
        <p class="headline">{verdict.headline}</p>
        <p class="muted">
          {verdict.class ? <>class {classWord(verdict.class)} · </> : null}
          {verdict.reason && verdict.reason !== verdict.headline ? <>{verdict.reason} · </> : null}
          {verdict.baseline ? <>compared with {verdict.baseline.meaning}: {count(verdict.baseline.traces)} traces before, {count(verdict.candidate.traces)} after</> : "no baseline"}
          {verdict.state === "CONTINUE" && verdict.traces_needed !== null ? <> · needs {count(verdict.traces_needed)} more{verdict.seconds_needed !== null ? `, about ${span(verdict.seconds_needed)}` : ""}</> : null}
          {verdict.confounders.length > 0 ? <span class="warn"> · ! {verdict.confounders.join("; ")}</span> : null}
        </p>
        {deployment.notes.map((note) => (
          <p class="muted" key={note.kind + note.at_unix_nano}><span title={`${dateTime(nanoToMs(note.at_unix_nano))} UTC`}>{ago(note.at_unix_nano, now.value)}</span>: {note.text}</p>
        ))}
      </div>
      <span class="end">
        {deployment.kind === "first" ? "first version seen" : deployment.kind} {ago(deployment.first_seen_unix_nano, now.value)}<br />
        {dateTime(nanoToMs(deployment.first_seen_unix_nano))} UTC{deployment.share !== null ? <><br />{percent(deployment.share)} of the traffic</> : null}
      </span>
    </div>
  );
}

function Latency({ path, service, finding }: { path: string; service: string; finding: Finding }) {
  // Only the judged service has its distribution kept; a finding elsewhere shows its own numbers instead.
  const here = finding.service === service && finding.operation !== null;
  const load = useApi<Distribution>(here ? `${path}/distribution${queryOf({ operation: finding.operation, env: env.value })}` : null);
  return (
    <section class="card">
      <h2>Self time of {placeWords(finding)}
        <span class="legend"><span><span class="dot" style={{ background: "var(--before-fill)", border: "1px solid var(--before)" }} />before</span><span><span class="dot" style={{ background: "var(--after)" }} />after</span><span>dashed: cumulative</span></span>
      </h2>
      {here ? <Panel load={load} rows={7}>{(data) => <DistributionChart data={data} />}</Panel> : <p class="muted">{finding.why}</p>}
    </section>
  );
}

function Structure({ verdict }: { verdict: Verdict }) {
  if (verdict.structure.length === 0) return null;
  const calls = (value: number | null): string => (value === null ? "—" : digits(value));
  return (
    <section class="card">
      <h2>Changed call structure <span class="muted">calls per trace</span></h2>
      <table class="grid" aria-label="Changed call structure">
        <thead><tr><th scope="col">Caller</th><th scope="col">Callee</th><th scope="col" class="num">before</th><th scope="col" class="num">after</th></tr></thead>
        <tbody>{verdict.structure.map((one) => (
          <tr key={one.caller + one.callee}><td>{one.caller}</td><td>{one.callee}</td><td class="num">{calls(one.calls_per_trace_before)}</td><td class="num">{calls(one.calls_per_trace_after)}</td></tr>
        ))}</tbody>
      </table>
    </section>
  );
}
