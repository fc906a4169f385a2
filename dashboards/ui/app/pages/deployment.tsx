// /deployments/{service}/{version}: the verdict, its findings, times before and after, who explains it, the rollout, and the evidence.
import { DistributionChart } from "../charts/distribution";
import { digits } from "../core/format";
import { useKeys } from "../core/keys";
import { useApi } from "../core/load";
import { env, href, query, setQuery } from "../core/router";
import type { DeploymentDetail, Distribution, Finding, Structure as Change, Verdict } from "../core/types";
import { pathOf, queryOf } from "../core/url";
import { Banner, Figures } from "../deployment/banner";
import { Evidence, OPENER } from "../deployment/evidence";
import { Exemplars } from "../deployment/exemplars";
import { FindingsTable } from "../deployment/findings";
import { OverTime } from "../deployment/overtime";
import { Rollout } from "../deployment/rollout";
import { Suspects } from "../deployment/suspects";
import { findingKey, placeWords, signalWords } from "../deployment/words";
import { Head } from "../ui/filter";
import { Empty, Panel } from "../ui/panel";
import { verdictLook } from "../ui/states";
import { DataTable, type Column } from "../ui/table";

export default function DeploymentPage({ parameters }: { parameters: Record<string, string> }) {
  const service = parameters["service"] ?? "";
  const version = parameters["version"] ?? "";
  const path = pathOf("deployments", service, version);
  const load = useApi<DeploymentDetail>(`${path}${queryOf({ env: env.value })}`);
  const from = load.data?.deployment.previous_version;
  const show = (): void => setQuery({ evidence: "1" });
  useKeys("Deployment", [{ keys: "e", does: "the evidence of the verdict", run: () => { if (load.data) show(); } }]);
  return (
    <>
      <Head title={<><a href={href("/deployments")}>Deployments</a> / {service} <span class="version">{from ? <>{from}<span class="arrow" aria-label="to">→</span></> : null}{version}</span></>}
        note={load.data?.deployment.environment || null}>
        <a href={href(pathOf("services", service))}>service</a>
        <a href={href("/traces", { service, attribute: `service.version=${version}` })}>traces of {version}</a>
        <button type="button" id={OPENER} aria-haspopup="dialog" disabled={!load.data} onClick={show}>Evidence <kbd>e</kbd></button>
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
      <Figures verdict={verdict} />
      {verdict.findings.length > 0
        ? <FindingsTable name="Operations of the judged service" findings={verdict.findings} selected={selected} own />
        : <Empty why="no data">{capital(verdict.reason || "nothing was compared yet")}. {verdictLook(verdict.state).todo}</Empty>}
      <div class="columns charts" style={{ marginTop: "12px" }}>
        <section class="card"><h2>Example traces <span class="muted">each beside a typical one of before</span></h2><Exemplars exemplars={verdict.exemplars} /></section>
        {selected ? <Latency path={path} service={deployment.service} finding={selected} /> : null}
        {selected && selected.operation !== null && selected.service === deployment.service ? <section class="card"><h2>Around the cut-over <span class="muted">self time of {selected.operation} by version</span></h2><OverTime deployment={deployment} operation={selected.operation} /></section> : null}
        <section class="card"><h2>Who explains it <span class="muted">after explaining away callers and callees</span></h2><Suspects suspects={verdict.suspects} service={deployment.service} /></section>
        <section class="card"><h2>Rollout <span class="muted">share of the service's traces, the last six hours</span></h2><Rollout series={data.share_series} deployment={deployment} /></section>
      </div>
      {verdict.affected.length > 0 ? (
        <section class="card"><h2>Other services in the same traces <span class="muted">who inherits it, or who caused it</span></h2><FindingsTable name="Other services" findings={verdict.affected} selected={selected} own={false} /></section>
      ) : null}
      <Structure verdict={verdict} />
      {query.value["evidence"] ? <Evidence deployment={deployment} verdict={verdict} finding={selected} path={`${path}${queryOf({ env: env.value })}`} /> : null}
    </>
  );
}

function Latency({ path, service, finding }: { path: string; service: string; finding: Finding }) {
  // Only self times of the judged service are kept as distributions; a finding elsewhere shows its own numbers instead.
  const here = finding.service === service && finding.node === "self" && finding.signal === "latency";
  const load = useApi<Distribution>(here ? `${path}/distribution${queryOf({ operation: finding.operation, env: env.value })}` : null);
  return (
    <section class="card">
      <h2>{capital(signalWords(finding))} of {placeWords(finding)}
        {here ? <span class="legend"><span><span class="dot before" />before</span><span><span class="dot after" />after</span><span>dashed: cumulative</span></span> : null}
      </h2>
      {here ? <Panel load={load} rows={7}>{(data) => <DistributionChart data={data} />}</Panel> : <p class="muted">{finding.why}</p>}
    </section>
  );
}

function capital(text: string): string { return text.charAt(0).toUpperCase() + text.slice(1); }

const calls = (value: number | null): string => (value === null ? "—" : digits(value));
const STRUCTURE: Column<Change>[] = [
  { id: "caller", head: "Caller", class: "clip", value: (one) => one.caller, cell: (one) => one.caller },
  { id: "callee", head: "Callee", class: "clip", value: (one) => one.callee, cell: (one) => one.callee },
  { id: "before", head: "Calls per trace before", number: true, value: (one) => one.calls_per_trace_before, cell: (one) => calls(one.calls_per_trace_before) },
  { id: "after", head: "after", number: true, value: (one) => one.calls_per_trace_after, cell: (one) => calls(one.calls_per_trace_after) },
];

function Structure({ verdict }: { verdict: Verdict }) {
  if (verdict.structure.length === 0) return null;
  return (
    <section class="card">
      <h2>Changed call structure</h2>
      <DataTable name="Changed call structure" columns={STRUCTURE} rows={verdict.structure} rowKey={(one) => `${one.caller}|${one.callee}`} keys={false} sortParameter="calls" pageParameter="callspage" />
    </section>
  );
}
