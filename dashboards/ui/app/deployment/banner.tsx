// The verdict in one sentence, what its state means and asks for, the notes of the rollout, and the numbers that bound it.
import { change, count, percent, span } from "../core/format";
import { useApi } from "../core/load";
import { now } from "../core/refresh";
import { href } from "../core/router";
import { ago, dateTime, nanoToMs } from "../core/time";
import type { Deployment, DeploymentDetail, Deployments, Note, Verdict } from "../core/types";
import { pathOf, queryOf } from "../core/url";
import { VerdictChip } from "../ui/chip";
import { RUNGS, classMeans, classWord, verdictLook } from "../ui/states";
import { KINDS, culpritOf, isWarning, noteWord, tally } from "./words";

/** A rollout has many notes when it flaps; the newest say enough. */
const NOTES_MAX = 4;

export function Banner({ data: { deployment, verdict } }: { data: DeploymentDetail }) {
  const look = verdictLook(verdict.state);
  const culprit = deployment.explained_by ?? culpritOf(deployment.service, verdict);
  return (
    <div class={`card banner ${look.tone}`}>
      <VerdictChip state={verdict.state} large />
      <div class="said">
        <p class="headline" role="status">{verdict.headline}</p>
        <p>{verdict.state}: {look.means}{verdict.class && verdict.state !== "INHERITED" ? <> – <strong>{classWord(verdict.class)}</strong>, {classMeans(verdict.class)}</> : null}. {look.todo}</p>
        {verdict.reason && !verdict.headline.includes(verdict.reason) ? <p class="muted">{verdict.reason}</p> : null}
        {culprit ? <Culprit service={culprit} environment={deployment.environment} inherited={verdict.state === "INHERITED"} /> : null}
        {verdict.confounders.length > 0 ? <p class="warn"><span aria-hidden="true">≠</span> {verdict.confounders.length === 1 ? "One thing besides the version differs" : `${count(verdict.confounders.length)} things besides the version differ`} between the two: {verdict.confounders[0]}{verdict.confounders.length > 1 ? " …" : ""}</p> : null}
        <Notes notes={deployment.notes} />
      </div>
      <Facts deployment={deployment} />
    </div>
  );
}

/** Points from what only inherits a change to the deployment that explains it. */
function Culprit({ service, environment, inherited }: { service: string; environment: string; inherited: boolean }) {
  const load = useApi<Deployments>(`/deployments${queryOf({ service, env: environment })}`);
  const all = load.data?.deployments ?? [];
  const found = all.find((one) => one.state === "FAIL" || one.state === "WARN") ?? all[0];
  return (
    <p class="culprit">
      <span aria-hidden="true">↳</span> {inherited ? "explained by" : "most of it is explained by"}{" "}
      {found
        ? <><a href={href(pathOf("deployments", found.service, found.version), { env: found.environment || null })}>{found.service} {found.version}</a> <VerdictChip state={found.state} also={classWord(found.class)} /></>
        : <a href={href(pathOf("services", service))}>{service}</a>}
    </p>
  );
}

function Notes({ notes }: { notes: Note[] }) {
  const shown = notes.slice(-NOTES_MAX);
  if (shown.length === 0) return null;
  return (
    <ul class="notes" aria-label="Notes on the rollout">
      {notes.length > shown.length ? <li class="muted">{count(notes.length - shown.length)} earlier notes</li> : null}
      {shown.map((note) => (
        <li key={note.kind + note.at_unix_nano}>
          <span class={`chip ${isWarning(note.kind) ? "warn" : "calm"}`}>{noteWord(note.kind)}</span> {note.text} <span class="muted" title={`${dateTime(nanoToMs(note.at_unix_nano))} UTC`}>{ago(note.at_unix_nano, now.value)}</span>
        </li>
      ))}
    </ul>
  );
}

function Facts({ deployment }: { deployment: Deployment }) {
  const { identity, declared } = deployment;
  const names = [...identity.revisions.map((one) => `revision ${one.slice(0, 12)}`), ...identity.image_tags.map((one) => `image ${one}`), ...identity.image_digests.map((one) => one.slice(0, 19)), ...identity.pod_template_hashes.map((one) => `pods ${one}`)];
  const safe = declared?.url && /^https?:\/\//.test(declared.url) ? declared.url : null;
  return (
    <span class="end">
      {KINDS[deployment.kind] ?? deployment.kind} {ago(deployment.first_seen_unix_nano, now.value)}<br />
      {dateTime(nanoToMs(deployment.first_seen_unix_nano))} UTC
      {deployment.share !== null ? <><br />{percent(deployment.share)} of the traffic{declared && declared.weight !== null ? `, ${percent(declared.weight)} declared` : ""}</> : null}
      {deployment.instances > 0 ? <><br />{count(deployment.instances)} {deployment.instances === 1 ? "instance" : "instances"}</> : null}
      {names.length > 0 ? <><br /><span class="identity" title={names.join(", ")}>{names.slice(0, 2).join(", ")}</span></> : null}
      {declared ? <><br />declared{declared.actor ? ` by ${declared.actor}` : ""}{safe ? <>, <a href={safe} target="_blank" rel="noopener noreferrer">details</a></> : null}</> : null}
    </span>
  );
}

/** The figures that say how far the verdict reaches; the smallest change and what is missing are always among them. */
export function Figures({ verdict }: { verdict: Verdict }) {
  const { operations, worse, open, inheriting } = tally(verdict);
  const rung = RUNGS.find((one) => one.rung === verdict.baseline.rung);
  return (
    <div class="card tiles figures">
      <div class="tile"><b class={worse > 0 ? "bad" : undefined}>{count(worse)} of {count(operations)}</b><span>operations became worse by themselves</span></div>
      <div class="tile"><b class={inheriting > 0 ? "warn" : undefined}>{count(inheriting)}</b><span>other services inherit it</span></div>
      <div class="tile"><b>{count(open)}</b><span>operations not decided</span></div>
      <div class="tile" title={String(verdict.mde_ratio)}><b>{verdict.mde_ratio === null ? "—" : change(verdict.mde_ratio - 1)}</b><span>smallest change these traces show</span></div>
      <div class="tile"><b>{verdict.traces_needed === null ? "none" : count(verdict.traces_needed)}</b><span>more {verdict.traces_needed === 1 ? "trace" : "traces"} needed{verdict.seconds_needed !== null ? `, about ${span(verdict.seconds_needed)}` : ""}</span></div>
      <div class="tile"><b>{count(verdict.baseline.traces)} / {count(verdict.candidate.traces)}</b><span>traces before / after</span></div>
      <div class="tile"><b>{verdict.baseline.rung}</b><span>{rung?.name ?? verdict.baseline.meaning}</span></div>
      <div class="tile"><b>{percent(verdict.coverage)}</b><span>of the new traffic compared</span></div>
    </div>
  );
}
